import { keyOf, compareReleases } from "./public-api.ts";
import type { Declaration, NumberedProcedure, ProtocolFile } from "./protocol-file.ts";

/** Writes procedures, events and structs as declarations with the functions of agent/libvirt/rpc. */

export type Program = "remote" | "qemu";

const basicTypes: Readonly<Record<string, string>> = {
  int: "int",
  char: "int",
  short: "int",
  "unsigned short": "uint",
  "unsigned int": "uint",
  "unsigned char": "uint",
  hyper: "hyper",
  "unsigned hyper": "uhyper",
  double: "double",
  remote_nonnull_string: "text",
  remote_string: "optionalText",
  remote_uuid: "uuid",
  remote_typed_param: "typedParameter",
};

/** rpc/xdr.ts and rpc/errors.ts have these by hand. */
const handWritten = new Set(["remote_typed_param", "remote_error"]);

/** Integers that are truth values in libvirt's API. */
const truths =
  /^(need_\w+|autostart|active|persistent|updated|supported|secure|found|current|cancelled|enforcing|metadata)$/;

/** Streams that the annotations do not show: libvirt's generator knows one direction, and no hand-written server code. */
const otherStreams: Readonly<Record<string, string>> = {
  DOMAIN_OPEN_CONSOLE: "both",
  DOMAIN_OPEN_CHANNEL: "both",
  DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS: "write",
};

const readPermission =
  /:(getattr|read|read_secure|search_\w+|mem_read|block_read|data_read|screenshot|detect_\w+)$/;
// Names that decide by themselves: a query of the guest agent requires a permission to write.
const readName = /_GET(_|$)|_COMPARE_|_BASELINE_|^CONNECT_CLOSE$/;
const changeName = /_SET_|REGISTER/;

/** Whether a repeated call does no harm, by the procedure's name, or by the permissions that libvirt requires. */
function onlyReads({ name, permissions }: NumberedProcedure): boolean {
  if (changeName.test(name)) return false;
  if (readName.test(name)) return true;
  return permissions.every(
    (required) => required.condition !== undefined || readPermission.test(required.name),
  );
}

/** The driver that answers; first match. */
const families: readonly (readonly [RegExp, string])[] = [
  // The hypervisor's driver takes devices from the host and returns them.
  [/^NODE_DEVICE_(DETTACH|DETACH_FLAGS|RE_ATTACH|RESET)$/, "hypervisor"],
  [/^NETWORK_|^CONNECT_(LIST_ALL|LIST|NUM_OF)_(DEFINED_)?NETWORKS|^CONNECT_NETWORK_EVENT/, "network"],
  [/^STORAGE_|_STORAGE_POOL/, "storage"],
  [/^NODE_DEVICE_|^NODE_NUM_OF_DEVICES|^NODE_LIST_DEVICES|_NODE_DEVICE/, "nodedev"],
  [/^SECRET_|_SECRET/, "secret"],
  [/^NWFILTER_|_NWFILTER/, "nwfilter"],
  [/^INTERFACE_|^CONNECT_.*_INTERFACES$/, "interface"],
  [/^/, "hypervisor"],
];

/** virDomainCreateXML, of 0.5.0, is the new name of a function as old as libvirt. */
const renamedFunction = "DOMAIN_CREATE_XML";

/**
 * The release of each procedure, by name: that of its public function, but not before the program itself. A procedure
 * without one has the newest release of the procedures numbered before it.
 */
export function releasesOf(
  procedures: readonly NumberedProcedure[],
  functions: ReadonlyMap<string, string>,
  first: string,
): Map<string, string> {
  const releases = new Map<string, string>();
  let newest = first;
  for (const { name } of procedures) {
    const own = functions.get(keyOf(name)) ?? newest;
    releases.set(name, compareReleases(own, first) < 0 ? first : own);
    if (name !== renamedFunction && compareReleases(own, newest) > 0) newest = own;
  }
  return releases;
}

export class Writer {
  readonly #program: Program;
  readonly #file: ProtocolFile;
  readonly #releases: ReadonlyMap<string, string>;
  readonly #optional: ReadonlySet<string>;
  readonly #enums: ReadonlySet<string>;

  /** `shared`: the remote program's file, whose typedefs and enums the other programs use. */
  constructor(
    program: Program,
    file: ProtocolFile,
    shared: ProtocolFile,
    releases: ReadonlyMap<string, string>,
  ) {
    this.#program = program;
    this.#file = file;
    this.#releases = releases;
    const typedefs = [...shared.typedefs.values()];
    this.#optional = new Set(typedefs.filter((one) => one.repeat.kind === "optional").map((one) => one.name));
    this.#enums = new Set(shared.enums.keys());
  }

  procedure(procedure: NumberedProcedure): string {
    const { name, number, stream } = procedure;
    const isEvent = this.isEvent(name);
    const [, family = ""] = families.find(([pattern]) => pattern.test(name)) ?? [];
    const direction = otherStreams[name] ?? stream;
    const options = [
      `since: "${this.#releases.get(name) ?? ""}"`,
      this.#program === "remote" ? "" : `program: "${this.#program}"`,
      isEvent || family === "hypervisor" ? "" : `family: "${family}"`,
      !isEvent && onlyReads(procedure) ? "onlyReads: true" : "",
      direction === undefined ? "" : `stream: "${direction}"`,
    ].filter((option) => option !== "");
    const bodies = (isEvent ? ["msg"] : ["args", "ret"]).map((part) => this.#body(name, part));
    const call = `${isEvent ? "event" : "procedure"}("${name}", ${number}, ${bodies.join(", ")}, { ${options.join(", ")} })`;
    return `export const ${camelCase(name)} = /* @__PURE__ */ ${call};`;
  }

  isEvent(name: string): boolean {
    return this.#file.structs.has(`${this.#program}_${name.toLowerCase()}_msg`);
  }

  /** The structs that others contain, each with its type. */
  structs(): string[] {
    const contained = new Set(
      [...this.#file.structs.values()].flat().flatMap((field) => (isInLine(field) ? [] : field.type)),
    );
    for (const { name, type } of this.#file.typedefs.values()) if (contained.has(name)) contained.add(type);
    const shared = [...this.#file.structs].filter(([name]) => contained.has(name) && !handWritten.has(name));
    return shared.map(([structName, fields]) => {
      const name = codecName(structName);
      const type = name.charAt(0).toUpperCase() + name.slice(1);
      const codec = `/* @__PURE__ */ struct(${this.#fields(fields)})`;
      return `export const ${name} = ${codec};\nexport type ${type} = Value<typeof ${name}>;`;
    });
  }

  #body(procedure: string, part: string): string {
    const fields = this.#file.structs.get(`${this.#program}_${procedure.toLowerCase()}_${part}`) ?? [];
    const isTruth = (name: string): boolean => name === "result" && /_HAS_/.test(procedure);
    return this.#fields(fields, isTruth);
  }

  #fields(fields: readonly Declaration[], isTruth: (name: string) => boolean = () => false): string {
    const inLine = fields.flatMap((field) =>
      isInLine(field) ? (this.#file.structs.get(field.type) ?? []) : field,
    );
    const written = inLine.map((field) => {
      const isBoolean = field.type === "int" && (truths.test(field.name) || isTruth(field.name));
      const [name, codec] = [camelCase(field.name), isBoolean ? "bool" : this.#codec(field)];
      return name === codec ? name : `${name}: ${codec}`;
    });
    return written.length === 0 ? "{}" : `{ ${written.join(", ")} }`;
  }

  #codec({ type, repeat }: Declaration): string {
    if (type === "opaque" && repeat.kind === "list") return pure("opaque", repeat.count);
    if (type === "char" && repeat.kind === "fixed") return pure("chars", repeat.count);
    if (type === "remote_typed_param" && repeat.kind === "list") return pure("typedParameters", repeat.count);
    const basic = this.#enums.has(type) ? "int" : (basicTypes[type] ?? codecName(type));
    const one = this.#optional.has(type) && basicTypes[type] === undefined ? pure("optional", basic) : basic;
    switch (repeat.kind) {
      case "one":
        return one;
      case "optional":
        return pure("optional", one);
      case "list":
        return pure("array", one, repeat.count);
      case "fixed":
        throw new Error(`no codec for ${type}[${repeat.count}]`);
    }
  }
}

/** The older message within that of an event with a callback: XDR has nothing around the fields of a struct. */
function isInLine({ type }: Declaration): boolean {
  return type.endsWith("_msg");
}

/** Bundlers remove an unused declaration whose calls are all marked. */
function pure(name: string, ...values: readonly (string | number)[]): string {
  return `/* @__PURE__ */ ${name}(${values.join(", ")})`;
}

/** `interface` is a word of TypeScript. Structs of replies would have the names of their procedures. */
function codecName(name: string): string {
  const object = name.replace(/^(remote|qemu)_(nonnull_)?/, "");
  return object === "interface"
    ? "hostInterface"
    : camelCase(object.replace(/_get_/, "_").replace(/_ret$/, ""));
}

/** `DOMAIN_GET_XML_DESC`, `need_results`, `callbackID`: domainGetXmlDesc, needResults, callbackId. */
export function camelCase(name: string): string {
  const words = name.split("_").flatMap((word) => word.match(/[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? []);
  return words
    .map(
      (word, i) =>
        (i === 0 ? word.charAt(0).toLowerCase() : word.charAt(0).toUpperCase()) + word.slice(1).toLowerCase(),
    )
    .join("");
}
