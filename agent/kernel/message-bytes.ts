/** Bytes that a page, a report's part or a delta may have on the wire: a quarter of what gRPC clients accept by default. */
export const pageBytes = 2 ** 20;

/** Tag and longest varint, and no number is longer. */
const numberBytes = 12;
/** Tag and length. */
const headBytes = 6;

const known = new WeakMap<object, number>();

/**
 * An upper bound of the bytes that a message, given as a plain object, has on the wire. Names of fields are counted as if
 * they were keys of a map. Kept by object: messages are not changed once they are made.
 */
export function messageBytes(message: object): number {
  let bytes = known.get(message);
  if (bytes === undefined) {
    bytes = bytesOf(message, true);
    known.set(message, bytes);
  }
  return bytes;
}

/** The same of a value that holds no maps, and tighter: no names are counted. Not kept. */
export const plainBytes = (value: unknown): number => bytesOf(value, false);

function bytesOf(value: unknown, withNames: boolean): number {
  if (typeof value === "string") return headBytes + Buffer.byteLength(value);
  if (value === null || value === undefined) return 0;
  if (typeof value !== "object") return numberBytes;
  if (value instanceof Uint8Array) return headBytes + value.byteLength;
  let bytes = headBytes;
  if (Array.isArray(value)) for (const each of value) bytes += bytesOf(each, withNames);
  else
    for (const [key, each] of Object.entries(value))
      bytes += (withNames ? headBytes + Buffer.byteLength(key) : 0) + bytesOf(each, withNames);
  return bytes;
}

/** How many of the first `items` fit into `most` bytes: at least one, so that a list always gets on. */
export function countWithin(items: readonly object[], most = pageBytes): number {
  let bytes = 0;
  const over = items.findIndex((item) => (bytes += messageBytes(item)) > most);
  return over < 0 ? items.length : Math.max(1, over);
}
