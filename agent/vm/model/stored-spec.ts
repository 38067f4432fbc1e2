import { hash } from "node:crypto";
import * as z from "../../kernel/zod.ts";
import { vmSpec, type VmSpec } from "../../contract/spec.ts";

// A VM's spec as it is stored: in its domain's metadata, and in the intent of its creation until that has ended. A stored
// text is never rewritten: the instance of a VM of version 0.1.0 derives from it.

type Fields = Readonly<Record<string, unknown>>;

/**
 * From each version to the next. A change of the schema after a release adds one, and with it a version: a test compares the
 * schema with that of each release. test/fixtures/stored-spec has fixtures of each released version and of this one.
 */
const migrations: readonly ((fields: Fields) => Fields)[] = [
  // Version 1 is 0.1.0's, which stored no version. Version 2 has the same fields.
  (fields) => fields,
];

/** Of the format that this agent writes. */
export const STORED_SPEC_VERSION = migrations.length + 1;

const stored = z.looseObject({ version: z.int().min(1).default(1) });

/** Reads the stored spec of any version up to this one, and writes this one. */
export const storedSpec = z.codec(stored, vmSpec, {
  decode({ version, ...fields }, context) {
    if (version > STORED_SPEC_VERSION) {
      const message = `version ${version} is of a later Socle, this one reads up to version ${STORED_SPEC_VERSION}; run the later one`;
      context.issues.push({ code: "custom", message, input: version });
    }
    const migrated = migrations.slice(version - 1).reduce<Fields>((spec, migrate) => migrate(spec), fields);
    // The cast gives unchecked fields to the schema, which checks them next.
    return migrated as z.input<typeof vmSpec>;
  },
  encode: (spec) => ({ version: STORED_SPEC_VERSION, ...spec }),
});

/** The text in the metadata of a VM's domain, and its SHA-256 in hex. The order of keys is the schema's. */
export function storedText(spec: VmSpec): { readonly spec: string; readonly specDigest: string } {
  const text = JSON.stringify({ version: STORED_SPEC_VERSION, ...spec });
  return { spec: text, specDigest: digestOf(text) };
}

export const digestOf = (text: string): string => hash("sha256", text);
