/** Fields that are durations: as messages they look like timestamps. */
export const durationFields: ReadonlySet<string> = new Set([
  "timeout",
  "gracefulTimeout",
  "ttl",
  "remaining",
  "expectedDowntime",
  "heartbeatInterval",
  "reconnectSpread",
  "delay",
]);

/**
 * A message as JSON for programs: the contract's fields in camel case, enums by name, bytes in base64, a Timestamp as
 * RFC 3339, a Duration as "1.5s", numbers as numbers (all fit 2^53). Absent messages are null, absent optional numbers
 * are omitted.
 */
export function toJson(value: unknown, field = ""): unknown {
  if (Buffer.isBuffer(value)) return value.toString("base64");
  if (Array.isArray(value)) return value.map((element) => toJson(element));
  if (typeof value !== "object" || value === null) return value;
  if (isTime(value)) {
    const { seconds, nanos } = value;
    return durationFields.has(field)
      ? `${(seconds + nanos / 1e9).toFixed(9).replace(/\.?0+$/, "")}s`
      : new Date(seconds * 1000 + Math.floor(nanos / 1e6)).toISOString();
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => inner !== undefined && !isPresenceMark(value, key, inner))
      .map(([key, inner]) => [key, toJson(inner, key)]),
  );
}

const isTime = (value: object): value is { seconds: number; nanos: number } =>
  "seconds" in value &&
  "nanos" in value &&
  typeof value.seconds === "number" &&
  typeof value.nanos === "number" &&
  Object.keys(value).length === 2;

/** proto-loader marks a present optional field by `_field: "field"`. */
const isPresenceMark = (message: object, key: string, inner: unknown): boolean =>
  key.startsWith("_") && inner === key.slice(1) && inner in message;
