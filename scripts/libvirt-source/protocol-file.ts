/**
 * Reads libvirt's protocol files (`*_protocol.x`): XDR's language (RFC 4506) as far as libvirt uses it, and the
 * annotations that libvirt's own generator reads from the comments of procedures.
 */

/** How a declaration is laid out: once, as a pointer that may be absent, or as a list. */
export type Repeat =
  | { readonly kind: "one" | "optional" }
  | { readonly kind: "fixed" | "list"; readonly count: number };

export interface Declaration {
  readonly name: string;
  /** A basic type ("int", "unsigned hyper"), or the name of a typedef, struct or enum. */
  readonly type: string;
  readonly repeat: Repeat;
}

export interface NumberedProcedure {
  /** Without `REMOTE_PROC_` or `QEMU_PROC_`. */
  readonly name: string;
  readonly number: number;
  /** `object:permission` of each access check, with the flag on which the check depends, if any. */
  readonly permissions: readonly { readonly name: string; readonly condition: string | undefined }[];
  readonly stream: "read" | "write" | undefined;
}

export interface ProtocolFile {
  readonly constants: ReadonlyMap<string, number>;
  readonly typedefs: ReadonlyMap<string, Declaration>;
  readonly structs: ReadonlyMap<string, readonly Declaration[]>;
  /** The text of each enum's body, without the numbering of procedures. */
  readonly enums: ReadonlyMap<string, string>;
  readonly procedures: readonly NumberedProcedure[];
}

/** `known`: constants of other files. Throws for what it cannot read: a later libvirt may use more of the language. */
export function parseProtocolFile(text: string, known: ReadonlyMap<string, number>): ProtocolFile {
  const source = text.replaceAll(/^%.*$/gm, "");
  const bare = withoutComments(source);
  const constants = new Map(known);
  const sizeOf = (word: string): number => {
    const value = /^\d/.test(word) ? Number(word) : constants.get(word);
    if (value === undefined || Number.isNaN(value)) throw new Error(`unknown constant: ${word}`);
    return value;
  };
  for (const [, name = "", value = ""] of bare.matchAll(/^const (\w+)\s*=\s*(\w+);/gm)) {
    constants.set(name, sizeOf(value));
  }
  const typedefs = [...bare.matchAll(/^typedef ([^;]+);/gm)].map(([, line = ""]) =>
    declaration(line, sizeOf),
  );
  const structs = [...bare.matchAll(/^struct (\w+)\s*\{([^}]*)\}/gm)].map(([, name = "", body = ""]) => {
    const lines = body.split(";").filter((line) => line.trim() !== "");
    return [name, lines.map((line) => declaration(line, sizeOf))] as const;
  });
  const enums = [...bare.matchAll(/^enum (\w+)\s*\{([^}]*)\}/gm)].map(
    ([, name = "", body = ""]) => [name, body] as const,
  );
  const procedures = source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*[A-Z]+_PROC_(\w+) = (\d+)/g);
  return {
    constants,
    typedefs: new Map(typedefs.map((typedef) => [typedef.name, typedef])),
    structs: new Map(structs),
    enums: new Map(enums.filter(([name]) => !name.endsWith("_procedure"))),
    procedures: [...procedures].map(([, comment = "", name = "", number = ""]) => ({
      name,
      number: Number(number),
      permissions: permissionsOf(comment),
      stream: /@(read|write)stream:/.exec(comment)?.[1] as "read" | "write" | undefined,
    })),
  };
}

export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "");
}

/** `type name`, `type *name`, `type name[SIZE]` or `type name<MAX>`. */
function declaration(line: string, sizeOf: (word: string) => number): Declaration {
  const pattern = /^((?:unsigned )?\w+) (\*?)(\w+)(?:([[<])(\w*)[\]>])?$/;
  const match = pattern.exec(line.trim().replaceAll(/\s+/g, " "));
  if (match === null) throw new Error(`cannot read a declaration: ${line.trim()}`);
  const [, type = "", pointer, name = "", bracket, size = ""] = match;
  if (bracket === undefined) return { name, type, repeat: { kind: pointer === "*" ? "optional" : "one" } };
  const count = size === "" ? Infinity : sizeOf(size);
  return { name, type, repeat: { kind: bracket === "[" ? "fixed" : "list", count } };
}

function permissionsOf(comment: string): NumberedProcedure["permissions"] {
  return [...comment.matchAll(/@acl: (\S+)/g)].flatMap(([, rule = ""]) => {
    const [object, permission, ...condition] = rule.split(":");
    if (object === undefined || permission === undefined) return [];
    return [{ name: `${object}:${permission}`, condition: condition[0] }];
  });
}
