import * as z from "zod";
import { configSchema } from "./schema.ts";

/** One key of the configuration, as the schema says it. */
export interface ConfigKey {
  readonly section: string;
  readonly name: string;
  readonly description: string;
  /** Absent: the key is left out unless it is set. */
  readonly defaultValue?: unknown;
  /** What is allowed, in words; "" where the description says it all. */
  readonly allowed: string;
  /** The keys below it, where it is a map of fixed ones: `api.limits`. */
  readonly inner: readonly Omit<ConfigKey, "section">[];
}

const propertySchema = z.object({
  description: z.string().default(""),
  default: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  get properties() {
    return z.record(z.string(), propertySchema).optional();
  },
});
const sectionsSchema = z.object({
  properties: z.record(z.string(), z.object({ properties: z.record(z.string(), propertySchema) })),
});

/** Every key in the order of the schema. */
export function configKeys(): ConfigKey[] {
  const { properties } = sectionsSchema.parse(z.toJSONSchema(configSchema, { io: "input" }));
  return Object.entries(properties).flatMap(([section, { properties: keys }]) =>
    Object.entries(keys).map(([name, key]) => ({ section, ...described(name, key) })),
  );
}

const described = (name: string, key: z.output<typeof propertySchema>): Omit<ConfigKey, "section"> => ({
  name,
  description: key.description,
  ...(key.default === undefined ? {} : { defaultValue: key.default }),
  allowed: allowedBy(key),
  inner: Object.entries(key.properties ?? {}).map(([inner, property]) => described(inner, property)),
});

function allowedBy({ enum: values, minimum, maximum }: z.output<typeof propertySchema>): string {
  if (values !== undefined) return `One of ${values.join(", ")}.`;
  if (minimum === undefined) return "";
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER
    ? `At least ${minimum}.`
    : `${minimum} to ${maximum}.`;
}
