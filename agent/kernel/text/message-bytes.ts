/** Most bytes of a page, a report part or a delta on the wire: a quarter of gRPC clients' default limit. */
export const pageBytes = 2 ** 20;

/** Tag and longest varint; no number is longer. */
const numberBytes = 12;
/** Tag and length. */
const headBytes = 6;

const known = new WeakMap<object, number>();

/**
 * An upper bound of the wire size in bytes of a message, given as a plain object. Field names are counted as if
 * they were map keys. Cached by object: messages never change once made.
 */
export function messageBytes(message: object): number {
  let bytes = known.get(message);
  if (bytes === undefined) {
    bytes = bytesOf(message);
    known.set(message, bytes);
  }
  return bytes;
}

/** A tighter bound for a value without maps: field names are not counted, numbers at their real length. Not cached. */
export function plainBytes(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === "number") return tagBytes + varintBytes(value);
  if (typeof value === "string") return withHead(Buffer.byteLength(value));
  if (typeof value !== "object") return tagBytes + 1;
  if (!Array.isArray(value)) return withHead(sumOf(Object.values(value)));
  // Packed numbers have no tags.
  return typeof value[0] === "number"
    ? withHead((value as number[]).reduce((sum, each) => sum + varintBytes(each), 0))
    : sumOf(value);
}

/** Tag size of the first 2,047 fields of a message. */
const tagBytes = 2;
const withHead = (bytes: number): number => tagBytes + varintBytes(bytes) + bytes;
const sumOf = (values: readonly unknown[]): number =>
  values.reduce((sum: number, each) => sum + plainBytes(each), 0);

/** Anything but a non-negative integer takes at most ten bytes. */
function varintBytes(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return 10;
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}

function bytesOf(value: unknown): number {
  if (typeof value === "string") return headBytes + Buffer.byteLength(value);
  if (value === null || value === undefined) return 0;
  if (typeof value !== "object") return numberBytes;
  if (value instanceof Uint8Array) return headBytes + value.byteLength;
  let bytes = headBytes;
  if (Array.isArray(value)) for (const each of value) bytes += bytesOf(each);
  else
    for (const [key, each] of Object.entries(value))
      bytes += headBytes + Buffer.byteLength(key) + bytesOf(each);
  return bytes;
}

/** How many of the first `items` fit into `most` bytes: at least one, so that a list always advances. */
export function countWithin(items: readonly object[], most = pageBytes): number {
  let bytes = 0;
  const over = items.findIndex((item) => (bytes += messageBytes(item)) > most);
  return over < 0 ? items.length : Math.max(1, over);
}
