import { readFileSync } from "node:fs";
import { join } from "node:path";

/** libvirt's API description as far as the generated protocol can be compared with it. */
export interface ApiDescription {
  /** LIBVIR_VERSION_NUMBER: major * 1,000,000 + minor * 1,000 + micro. */
  readonly version: number;
  /** The release of each public function. */
  readonly functions: Readonly<Record<string, string>>;
  /** The members of each enumeration, in C's names. */
  readonly enumerations: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The macros that are text: names of typed parameters. */
  readonly texts: Readonly<Record<string, string>>;
}

/** `directory`: where libvirt-api.xml and libvirt-qemu-api.xml are, /usr/share/libvirt/api of Debian's libvirt-dev. */
export function readApiDescription(directory: string): ApiDescription {
  const files = ["libvirt-api.xml", "libvirt-qemu-api.xml"];
  const xml = files.map((file) => readFileSync(join(directory, file), "utf8")).join("\n");
  const elements = (name: string): Map<string, string>[] =>
    [...xml.matchAll(new RegExp(`<${name} ([^>]*)>`, "g"))].map(([, attributes = ""]) => {
      const pairs = attributes.matchAll(/(\w+)='([^']*)'/g);
      return new Map([...pairs].map(([, key = "", value = ""]) => [key, value]));
    });
  const functions: Record<string, string> = {};
  for (const element of elements("function")) {
    functions[element.get("name") ?? ""] = element.get("version") ?? "";
  }
  const enumerations: Record<string, Record<string, number>> = {};
  const numbers = new Map<string, number>();
  // A value may be another member's name.
  const members = elements("enum").sort((a, b) => Number(isName(a)) - Number(isName(b)));
  for (const member of members) {
    const [name = "", type = "", value = ""] = ["name", "type", "value"].map((key) => member.get(key) ?? "");
    const number = isName(member) ? numbers.get(value) : Number(value);
    if (number === undefined || Number.isNaN(number))
      throw new Error(`cannot read the value of ${name}: ${value}`);
    numbers.set(name, number);
    enumerations[type] = { ...enumerations[type], [name]: number };
  }
  const macros = elements("macro").map((element) => [element.get("name") ?? "", element] as const);
  const texts = macros.flatMap(([name, element]) => {
    const text = element.get("string");
    return text === undefined ? [] : [[name, text] as const];
  });
  const version = Number(new Map(macros).get("LIBVIR_VERSION_NUMBER")?.get("raw"));
  return { version, functions, enumerations, texts: Object.fromEntries(texts) };
}

function isName(member: ReadonlyMap<string, string>): boolean {
  return /^[A-Z]/.test(member.get("value") ?? "");
}
