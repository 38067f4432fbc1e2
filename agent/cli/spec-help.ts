import * as z from "../kernel/zod.ts";
import { specFile } from "./spec-file.ts";

/** A field of the file, from the schema. */
export interface SpecField {
  /** `disks[].newVolume.pool`. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  /** An example as YAML; empty: it has fields of its own. */
  readonly value: string;
  /** The fields of the map, or of each item of the list. */
  readonly inner: readonly SpecField[];
  readonly isList: boolean;
}

/** Every field in the order of the schema. A size is shown under its short name alone: `memory`, not `memoryBytes`. */
export const specFields = (object: z.ZodObject = specFile, at = ""): SpecField[] =>
  Object.entries<z.core.$ZodType>(object.shape)
    .filter(([name]) => !name.endsWith("Bytes"))
    .map(([name, schema]) => {
      const { field, description = "", examples } = plain(schema);
      const path = `${at}${name}`;
      if (Array.isArray(examples)) {
        const example: unknown = examples[0];
        const value = typeof example === "string" ? example : JSON.stringify(example);
        return { path, name, description, value, inner: [], isList: false };
      }
      const isList = field instanceof z.ZodArray;
      const item = isList ? plain(field.element).field : field;
      const inner = item instanceof z.ZodObject ? specFields(item, `${path}${isList ? "[]" : ""}.`) : [];
      return { path, name, description, value: "", inner, isList };
    });

/** The schema of a field's value, and its description. */
function plain(schema: z.core.$ZodType): z.core.GlobalMeta & { readonly field: z.core.$ZodType } {
  const meta = z.globalRegistry.get(schema);
  if (schema instanceof z.ZodExactOptional) return plain(schema.unwrap());
  if (schema instanceof z.ZodPipe) return { ...plain(schema.in), ...meta };
  return { ...meta, field: schema };
}

/** What a first VM needs; the example has the other fields as comments. */
const first = [
  "name",
  "vcpus",
  "memory",
  "disks",
  "disks[].name",
  "disks[].newVolume",
  "disks[].newVolume.pool",
  "disks[].newVolume.capacity",
  "nics",
  "nics[].name",
  "nics[].network",
];

/** A spec in YAML with every field and its description. */
export const exampleSpec = (): string =>
  [
    "# A VM, for: socle vm create -f FILE. Fields that are commented out may be left out.",
    "# Sizes are like 512MiB, or bytes under the longer name (memoryBytes).",
    ...specFields().flatMap(exampleOf),
    "",
  ].join("\n");

function exampleOf({ path, name, description, value, inner, isList }: SpecField): string[] {
  const below = inner.flatMap(exampleOf).map((line, index) => {
    if (!isList) return `  ${line}`;
    return index === 0 ? `  - ${line}` : `    ${line}`;
  });
  const lines = [`${name}:${value === "" ? "" : ` ${value}`} # ${description}`, ...below];
  return first.includes(path) ? lines : lines.map((line) => `#${line.replace(/^( *)#/, "$1")}`);
}
