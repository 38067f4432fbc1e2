import { messageBytes } from "../../kernel/text/message-bytes.ts";
import { inSlices, type Slice } from "../../kernel/concurrency/slice.ts";

const known = new WeakMap<object, Buffer>();
/** A message whose lists hold more than FEW_OBJECTS objects or FEW_BYTES bytes is encoded in slices. */
const FEW_OBJECTS = 32;
const FEW_BYTES = 32 * 1024;

type Encode = (message: object) => Buffer;

/** Caches a message's wire form, for large messages that are sent often. */
export function setEncoding(message: object, bytes: Buffer): void {
  known.set(message, bytes);
}

export const encodingOf = (message: object): Buffer | undefined => known.get(message);

/** The wire form of a message, cached or by `encode`: in slices where that takes long. */
export function encoded(message: object, encode: Encode, slice: () => Slice): Buffer | Promise<Buffer> {
  const known = encodingOf(message);
  if (known !== undefined) return known;
  return isLong(message) ? inSlices(encoding(message, encode), slice()) : encode(message);
}

function isLong(message: object): boolean {
  const items = listsOf(message).flatMap(([, each]) => each);
  return items.length > FEW_OBJECTS || items.reduce((sum, item) => sum + messageBytes(item), 0) > FEW_BYTES;
}

/**
 * The wire form in steps: one for each object of its lists, one for the rest. Concatenated encodings of a message's parts
 * are an encoding of the message.
 */
export function* encoding(message: object, encode: Encode): Generator<undefined, Buffer, undefined> {
  const lists = listsOf(message);
  const pieces = [encode({ ...message, ...Object.fromEntries(lists.map(([name]) => [name, []])) })];
  for (const [name, items] of lists)
    for (const item of items) {
      yield;
      pieces.push(encode({ [name]: [item] }));
    }
  yield;
  return Buffer.concat(pieces);
}

const listsOf = (message: object): (readonly [string, readonly object[]])[] =>
  Object.entries(message).filter(
    (entry): entry is [string, object[]] => Array.isArray(entry[1]) && typeof entry[1][0] === "object",
  );
