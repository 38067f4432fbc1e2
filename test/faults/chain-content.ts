// What a disk should have, as letters: one for each block.

export const BLOCK_BYTES = 65536;
const BLOCKS = 64;
export const DISK_BYTES = BLOCKS * BLOCK_BYTES;

export type Content = readonly string[];

/** A new disk. */
export const nothing: Content = Array.from({ length: BLOCKS }, () => "\0");

/** Every block is of one byte: another one is written as "?". */
export function contentOf(bytes: Buffer): Content {
  return Array.from({ length: Math.max(BLOCKS, Math.ceil(bytes.length / BLOCK_BYTES)) }, (_, at) => {
    const block = bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
    const [first = -1] = block;
    return block.length === BLOCK_BYTES && block.equals(Buffer.alloc(BLOCK_BYTES, first))
      ? String.fromCharCode(first)
      : "?";
  });
}

export const bytesOf = (content: Content): Buffer =>
  Buffer.concat(content.map((letter) => Buffer.alloc(BLOCK_BYTES, letter.charCodeAt(0))));

export const isSameContent = (one: Content, other: Content): boolean => one.join("") === other.join("");

/** The blocks that are not as wanted. */
export function difference(found: Content, wanted: Content): string {
  const wrong = found.flatMap((letter, at) =>
    letter === wanted[at]
      ? []
      : [`${at}: ${JSON.stringify(letter)}, not ${JSON.stringify(wanted[at] ?? "")}`],
  );
  return wrong.length === 0 ? "" : `${wrong.length} blocks differ (${wrong.slice(0, 6).join("; ")})`;
}
