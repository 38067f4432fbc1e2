// What a disk should have, as letters: one for each block.

export const BLOCK_BYTES = 65536;
const BLOCKS = 64;
export const DISK_BYTES = BLOCKS * BLOCK_BYTES;

export type Content = readonly string[];

/** A block that begins as a qcow2 image over a file whose reader hangs. */
export const FORGED = "!";
export const forgedBlock: Buffer = forge("/proc/kmsg");

/** The header of version 2, without a format of the file below: who follows it opens that to find one. */
function forge(backing: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write("QFI\u00fb", 0, "latin1");
  block.writeUInt32BE(2, 4);
  block.writeBigUInt64BE(512n, 8);
  block.writeUInt32BE(backing.length, 16);
  block.writeUInt32BE(16, 20);
  block.writeBigUInt64BE(2n ** 60n, 24);
  block.write(backing, 512);
  return block;
}

/** A new disk. */
export const nothing: Content = Array.from({ length: BLOCKS }, () => "\0");

/** Every block is of one byte, or forged: another one is written as "?". */
export function contentOf(bytes: Buffer): Content {
  return Array.from({ length: Math.max(BLOCKS, Math.ceil(bytes.length / BLOCK_BYTES)) }, (_, at) => {
    const block = bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
    if (block.equals(forgedBlock)) return FORGED;
    const [first = -1] = block;
    return block.length === BLOCK_BYTES && block.equals(Buffer.alloc(BLOCK_BYTES, first))
      ? String.fromCharCode(first)
      : "?";
  });
}

export const bytesOf = (content: Content): Buffer =>
  Buffer.concat(
    content.map((letter) =>
      letter === FORGED ? forgedBlock : Buffer.alloc(BLOCK_BYTES, letter.charCodeAt(0)),
    ),
  );

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
