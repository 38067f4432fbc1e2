import { withoutComments } from "./protocol-file.ts";

/** Reads the enumerations, numbers and parameter names of libvirt's headers. */

export interface Enumeration {
  /** As in C: `virDomainState`. */
  readonly name: string;
  /** The members without the prefix that they share. */
  readonly members: readonly { readonly name: string; readonly value: number }[];
}

export interface Header {
  readonly enumerations: readonly Enumeration[];
  /** `#define VIR_DOMAIN_CPU_STATS_CPUTIME "cpu_time"`: the names of typed parameters. */
  readonly texts: ReadonlyMap<string, string>;
}

/** `values` collects the members of all headers so far: a member may be defined by one of an earlier header. */
export function parseHeader(text: string, values: Map<string, number>): Header {
  const bare = withoutComments(text);
  const texts = new Map<string, string>();
  for (const [, name = "", value = ""] of bare.matchAll(/^# *define (VIR_\w+)\s+"([^"]*)"/gm)) {
    texts.set(name, value);
  }
  for (const [, name = "", value = ""] of bare.matchAll(/^# *define (VIR_\w+)[ \t]+(\(?\d[\w ()+]*)$/gm)) {
    values.set(name, valueOf(value, values));
  }
  const enumerations = [...bare.matchAll(/typedef enum \{([^}]*)\} (\w+);/g)].map(
    ([, body = "", name = ""]) => parseEnumeration(name, body, values),
  );
  return { enumerations, texts };
}

export function parseEnumeration(name: string, body: string, values: Map<string, number>): Enumeration {
  const members: { name: string; value: number }[] = [];
  const names: string[] = [];
  let next = 0;
  // VIR_ENUM_SENTINELS adds the number of members, under a name like theirs.
  const sentinel = /^#\s*ifdef VIR_ENUM_SENTINELS\s+(\w+)/m.exec(body)?.[1];
  for (const part of body.replaceAll(/^#\s*(ifdef|endif).*$/gm, "").split(/,|\n(?=\s*VIR_\w+\s*$)/)) {
    if (part.trim() === "") continue;
    const [, member, expression] = /^\s*([A-Z]\w+)\s*(?:=\s*([\s\S]+?))?\s*$/.exec(part) ?? [];
    if (member === undefined) throw new Error(`cannot read a member of ${name}: ${part}`);
    const value = expression === undefined ? next : valueOf(expression, values);
    next = value + 1;
    values.set(member, value);
    names.push(member);
    if (member !== sentinel) members.push({ name: member, value });
  }
  const prefix = commonPrefix(names.length === 1 ? [...names, inUpperCase(name)] : names);
  return { name, members: members.map((member) => ({ ...member, name: member.name.slice(prefix.length) })) };
}

/** A number, an earlier member, or one of the few expressions that libvirt's headers use. */
function valueOf(expression: string, values: ReadonlyMap<string, number>): number {
  const text = expression
    .trim()
    .replaceAll(/\(([^()]*)\)/g, "$1")
    .trim();
  for (const operator of ["|", "<<", "+"] as const) {
    const parts = text.split(operator);
    if (parts.length < 2) continue;
    const numbers = parts.map((part) => valueOf(part, values));
    return numbers.reduce((a, b) =>
      operator === "|" ? (a | b) >>> 0 : operator === "+" ? a + b : a * 2 ** b,
    );
  }
  const plain = /^(-?(?:0x[0-9a-fA-F]+|\d+))[uUlL]*$/.exec(text)?.[1];
  const value = plain === undefined ? values.get(text) : Number(plain);
  if (value === undefined || Number.isNaN(value)) throw new Error(`unknown value: ${expression}`);
  return value;
}

/** `virDomainXMLFlags` as `VIR_DOMAIN_XML_FLAGS`: the prefix of a lone member is what it shares with its type. */
function inUpperCase(name: string): string {
  return name.replaceAll(/([a-z\d])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3_$2$4").toUpperCase();
}

function commonPrefix(names: readonly string[]): string {
  const [first = [], ...others] = names.map((name) => name.split("_"));
  const shared = first.slice(0, -1).findIndex((word, i) => {
    return others.some((words) => i >= words.length - 1 || words[i] !== word);
  });
  const words = shared === -1 ? first.slice(0, -1) : first.slice(0, shared);
  return words.map((word) => `${word}_`).join("");
}
