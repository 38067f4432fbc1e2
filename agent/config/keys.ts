import * as z from "../kernel/zod.ts";
import { configSchema } from "./schema.ts";
import { defined } from "../kernel/defined.ts";

/** One key of the configuration, from the schema. */
export interface ConfigKey {
  readonly section: string;
  readonly name: string;
  readonly description: string;
  /** Absent: the key has no default. */
  readonly defaultValue?: unknown;
  /** Allowed values as a sentence; "" if the description covers them. */
  readonly allowed: string;
  /** The keys below it, if it is a map of fixed keys: `api.limits`. */
  readonly inner: readonly Omit<ConfigKey, "section">[];
}

/** A node of the schema as JSON schema. */
const nodeSchema = z.object({
  type: z.string().optional(),
  description: z.string().default(""),
  default: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  get properties() {
    return z.record(z.string(), nodeSchema).default({});
  },
  /** For a map whose keys the operator chooses. */
  get additionalProperties() {
    return z.union([nodeSchema, z.boolean()]).optional();
  },
  get items() {
    return nodeSchema.optional();
  },
  get anyOf() {
    return z.array(nodeSchema).default([]);
  },
});
type Node = z.output<typeof nodeSchema>;

const wholeSchema = (): Node => nodeSchema.parse(z.toJSONSchema(configSchema, { io: "input" }));

/** Every key in the order of the schema. */
export const configKeys = (): ConfigKey[] =>
  Object.entries(wholeSchema().properties).flatMap(([section, { properties }]) =>
    Object.entries(properties).map(([name, key]) => ({ section, ...described(name, key) })),
  );

/** The schema's alternatives at this path of the file. */
function nodesAt(path: readonly (string | number)[]): Node[] {
  const alternatives = (node: Node): Node[] => [node, ...node.anyOf.flatMap(alternatives)];
  const below = (node: Node, step: string | number): Node | undefined => {
    if (typeof step === "number") return node.items;
    const { properties, additionalProperties: others } = node;
    return properties[step] ?? (typeof others === "object" ? others : undefined);
  };
  let nodes = alternatives(wholeSchema());
  for (const step of path)
    nodes = nodes.flatMap((node) => {
      const next = below(node, step);
      return next === undefined ? [] : alternatives(next);
    });
  return nodes;
}

/** The known keys at this path of the file; none if the operator chooses them. */
export const keysAt = (path: readonly (string | number)[]): string[] =>
  nodesAt(path).flatMap(({ properties }) => Object.keys(properties));

export const mayBeNull = (path: readonly (string | number)[]): boolean =>
  nodesAt(path).some(({ type }) => type === "null");

const described = (name: string, key: Node): Omit<ConfigKey, "section"> =>
  defined({
    name,
    description: key.description,
    defaultValue: key.default,
    allowed: allowedBy(key),
    inner: Object.entries(key.properties).map(([inner, property]) => described(inner, property)),
  });

function allowedBy({ enum: values, minimum, maximum }: Node): string {
  if (values !== undefined) return `One of ${values.join(", ")}.`;
  if (minimum === undefined) return "";
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER
    ? `At least ${minimum}.`
    : `${minimum} to ${maximum}.`;
}
