import { damaged, partOf, type ByteSource } from "./byte-source.ts";
import { receivedName } from "./received-name.ts";

// POSIX tar (pax): blocks of 512 bytes, a header before each file. A size beyond the header's eleven octal digits is in a
// record of its own before it.

const BLOCK_BYTES = 512;
const MOST_IN_HEADER = 8 ** 11 - 1;
/** Of the records of one file. */
const MOST_RECORD_BYTES = 64 * 1024;
const MOST_FILES = 10_000;

/** The blocks before a file's bytes. Names are plain and short. */
export function tarHeader(name: string, sizeBytes: number, modifiedMs: number): Buffer {
  if (sizeBytes <= MOST_IN_HEADER) return block(name, sizeBytes, modifiedMs, "0");
  const record = Buffer.from(recordOf("size", String(sizeBytes)));
  const before = block(`PaxHeaders/${name}`.slice(0, 99), record.length, modifiedMs, "x");
  return Buffer.concat([before, record, padding(record.length), block(name, 0, modifiedMs, "0")]);
}

/** The zeros after a file's bytes. */
export const padding = (sizeBytes: number): Buffer =>
  Buffer.alloc((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);

export const tarEnd = (): Buffer => Buffer.alloc(2 * BLOCK_BYTES);

function block(name: string, sizeBytes: number, modifiedMs: number, type: "0" | "x"): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  if (bytes.write(name, 0, 100, "utf8") < Buffer.byteLength(name))
    throw new RangeError(`${name} is too long for a tar archive`);
  bytes.write("0000600\0" + "0000000\0" + "0000000\0", 100);
  bytes.write(`${octal(sizeBytes, 11)}\0`, 124);
  bytes.write(`${octal(Math.floor(modifiedMs / 1000), 11)}\0`, 136);
  // The checksum counts itself as blanks.
  bytes.write("        ", 148);
  bytes.write(type, 156);
  bytes.write("ustar\0" + "00", 257);
  bytes.write(`${octal(sumOf(bytes), 6)}\0 `, 148);
  return bytes;
}

/** "LENGTH KEY=VALUE\n", whose length counts its own digits. */
function recordOf(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

const sumOf = (bytes: Buffer): number => bytes.reduce((sum, byte) => sum + byte, 0);

/** The files of an archive, by name. Throws `invalid` BACKUP_DAMAGED for one that is no plain archive of files. */
export async function readTar(archive: ByteSource): Promise<Map<string, ByteSource>> {
  const files = new Map<string, ByteSource>();
  let size: number | undefined;
  for (let at = 0; ;) {
    if (at + BLOCK_BYTES > archive.sizeBytes) throw damaged(archive.name, "it has no end");
    const header = await archive.read(at, BLOCK_BYTES);
    at += BLOCK_BYTES;
    if (header.every((byte) => byte === 0)) return files;
    requireSum(header, archive.name);
    const type = String.fromCharCode(header[156] ?? 0);
    const inHeader = octalAt(header, 124, 12, archive.name);
    const length: number = type === "x" ? inHeader : (size ?? inHeader);
    if (at + length > archive.sizeBytes) throw damaged(archive.name, "it is cut short");
    if (type === "x") {
      if (length > MOST_RECORD_BYTES) throw damaged(archive.name, "it has a record of absurd size");
      size = sizeIn((await archive.read(at, length)).toString("utf8"), archive.name);
    } else {
      const name = textAt(header, 0, 100);
      if (type !== "0" && type !== "\0") throw damaged(archive.name, `${name} is no plain file`);
      if (!receivedName.safeParse(name).success) throw damaged(archive.name, `'${name}' is no plain name`);
      if (files.has(name) || files.size >= MOST_FILES)
        throw damaged(archive.name, "it has a file twice, or too many");
      files.set(name, partOf(archive, name, at, length));
      size = undefined;
    }
    at += length + padding(length).length;
  }
}

function requireSum(header: Buffer, name: string): void {
  const blank = Buffer.from(header);
  blank.fill(" ", 148, 156);
  if (sumOf(blank) !== octalAt(header, 148, 8, name))
    throw damaged(name, "it is no tar archive, or cut short");
}

function octalAt(header: Buffer, at: number, length: number, name: string): number {
  const text = textAt(header, at, length).trim();
  if (!/^[0-7]+$/.test(text)) throw damaged(name, "it is no tar archive");
  return Number.parseInt(text, 8);
}

function textAt(header: Buffer, at: number, length: number): string {
  const bytes = header.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end === -1 ? length : end);
}

function sizeIn(records: string, name: string): number {
  const found = /(?:^|\n)\d+ size=(\d{1,15})\n/.exec(records)?.[1];
  if (found === undefined) throw damaged(name, "it has records that no export writes");
  return Number(found);
}
