/** A file in the root directory of an image. Its name is of a-z, 0-9, '-' and at most one '.'. */
export interface IsoFile {
  readonly name: string;
  readonly data: Uint8Array;
}

// ISO 9660 (ECMA-119) with Joliet names, one directory. The primary volume has the names in capitals, which Linux shows
// in small letters. There is no time and no random number: equal files give equal images.

const SECTOR = 2048;
/** The first sector of each part. The path tables exist in both byte orders, one sector each; files follow. */
const at = {
  primary: 16,
  joliet: 17,
  terminator: 18,
  paths: 19,
  jolietPaths: 21,
  root: 23,
  jolietRoot: 24,
  files: 25,
};
const PATH_TABLE_BYTES = 10;

/** ECMA-119 7.2.3 and 7.3.3: a number in both byte orders. */
function both16(target: Buffer, value: number, offset: number): void {
  target.writeUInt16LE(value, offset);
  target.writeUInt16BE(value, offset + 2);
}

function both32(target: Buffer, value: number, offset: number): void {
  target.writeUInt32LE(value, offset);
  target.writeUInt32BE(value, offset + 4);
}

/** How a volume writes its texts. */
interface Names {
  readonly text: (text: string) => Buffer;
  readonly fileName: (name: string) => Buffer;
}

const plain: Names = {
  text: (text) => Buffer.from(text, "latin1"),
  // A name without a dot gets one: ECMA-119 7.5.1 has a separator in every file name.
  fileName: (name) => Buffer.from(`${name.toUpperCase()}${name.includes(".") ? "" : "."};1`, "latin1"),
};

const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();
const joliet: Names = { text: utf16, fileName: utf16 };

interface Extent {
  readonly sector: number;
  readonly bytes: number;
}

/** ECMA-119 9.1: a directory record, without a time. */
function record(name: Buffer, { sector, bytes }: Extent, isDirectory: boolean): Buffer {
  const length = 33 + name.length;
  const entry = Buffer.alloc(length + (length % 2));
  entry.writeUInt8(entry.length, 0);
  both32(entry, sector, 2);
  both32(entry, bytes, 10);
  entry.writeUInt8(isDirectory ? 2 : 0, 25);
  both16(entry, 1, 28);
  entry.writeUInt8(name.length, 32);
  name.copy(entry, 33);
  return entry;
}

const rootRecord = (sector: number, name = 0): Buffer =>
  record(Buffer.from([name]), { sector, bytes: SECTOR }, true);

/** ECMA-119 8.4 and 8.5. */
function descriptor(
  label: string,
  sectors: number,
  { isJoliet, root, paths }: { isJoliet: boolean; root: number; paths: number },
): Buffer {
  const { text } = isJoliet ? joliet : plain;
  const into = Buffer.alloc(SECTOR);
  const put = (value: string, offset: number, bytes: number): void => {
    const blank = text(" ");
    into.fill(blank, offset, offset + bytes - (bytes % blank.length));
    text(value).copy(into, offset);
  };
  into.writeUInt8(isJoliet ? 2 : 1, 0);
  into.write("CD001\x01", 1, "latin1");
  put("", 8, 32);
  put(label, 40, 32);
  both32(into, sectors, 80);
  // UCS-2 level 3.
  if (isJoliet) into.write("%/E", 88, "latin1");
  for (const offset of [120, 124]) both16(into, 1, offset);
  both16(into, SECTOR, 128);
  both32(into, PATH_TABLE_BYTES, 132);
  into.writeUInt32LE(paths, 140);
  into.writeUInt32BE(paths + 1, 148);
  rootRecord(root).copy(into, 156);
  // The names of the volume set, of its authors and of three files: none.
  for (const offset of [190, 318, 446, 574]) put("", offset, 128);
  for (const offset of [702, 739, 776]) put("", offset, 37);
  // Not specified: digits of zero, and a time zone of zero.
  for (const offset of [813, 830, 847, 864]) into.write("0000000000000000\0", offset, "latin1");
  into.writeUInt8(1, 881);
  return into;
}

/** ECMA-119 9.4: the root directory alone. */
function pathTable(root: number, order: "LE" | "BE"): Buffer {
  const table = Buffer.alloc(PATH_TABLE_BYTES);
  table.writeUInt8(1, 0);
  table[`writeUInt32${order}`](root, 2);
  table[`writeUInt16${order}`](1, 6);
  return table;
}

/** An image of exactly `imageBytes`. Throws a RangeError if the files, or their names, do not fit. */
export function isoImage(label: string, files: readonly IsoFile[], imageBytes: number): Buffer {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  let sectors = at.files;
  const placed = sorted.map(({ name, data }) => {
    const extent = { sector: sectors, bytes: data.byteLength };
    sectors += Math.ceil(data.byteLength / SECTOR);
    return { name, data, extent };
  });
  if (sectors * SECTOR > imageBytes) throw new RangeError(`the files take more than ${imageBytes} bytes`);
  const image = Buffer.alloc(imageBytes);
  const put = (sector: number, data: Uint8Array): void => image.set(data, sector * SECTOR);
  for (const [isJoliet, from, root, paths] of [
    [false, at.primary, at.root, at.paths],
    [true, at.joliet, at.jolietRoot, at.jolietPaths],
  ] as const) {
    const { fileName } = isJoliet ? joliet : plain;
    const entries = placed.map(({ name, extent }) => record(fileName(name), extent, false));
    // The directory itself, and its parent: also itself.
    const directory = Buffer.concat([rootRecord(root), rootRecord(root, 1), ...entries]);
    if (directory.length > SECTOR) throw new RangeError("the names take more than a sector");
    put(from, descriptor(label, sectors, { isJoliet, root, paths }));
    put(paths, pathTable(root, "LE"));
    put(paths + 1, pathTable(root, "BE"));
    put(root, directory);
  }
  put(at.terminator, Buffer.from("\xffCD001\x01", "latin1"));
  for (const { extent, data } of placed) put(extent.sector, data);
  return image;
}
