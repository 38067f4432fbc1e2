// Reads the images that iso9660.ts writes. A volume may have other bytes by now: every place in it is checked.

const SECTOR = 2048;
const PRIMARY = 16 * SECTOR;
const MOST_ENTRIES = 64;

/** The files in the root directory by their names in small letters, as Linux shows them. Throws a RangeError for another image. */
export function isoFiles(image: Buffer): ReadonlyMap<string, Buffer> {
  if (image.length < PRIMARY + SECTOR || image.toString("latin1", PRIMARY + 1, PRIMARY + 6) !== "CD001")
    throw new RangeError("no ISO 9660 image");
  const directory = extent(image, PRIMARY + 156);
  const files = new Map<string, Buffer>();
  for (let at = 0, entries = 0; at < directory.length && directory.readUInt8(at) !== 0; entries += 1) {
    const length = directory.readUInt8(at);
    const nameLength = at + 33 <= directory.length ? directory.readUInt8(at + 32) : 0;
    if (length < 33 + nameLength || at + length > directory.length || entries >= MOST_ENTRIES)
      throw new RangeError("a directory that ends early");
    const isDirectory = (directory.readUInt8(at + 25) & 2) !== 0;
    const name = directory.toString("latin1", at + 33, at + 33 + nameLength);
    if (!isDirectory) files.set(name.replace(/\.?;1$/, "").toLowerCase(), extent(directory, at, image));
    at += length;
  }
  return files;
}

/** The bytes that a directory record refers to. */
function extent(record: Buffer, at: number, image = record): Buffer {
  const start = record.readUInt32LE(at + 2) * SECTOR;
  const end = start + record.readUInt32LE(at + 10);
  if (end > image.length) throw new RangeError("a file that ends behind the image");
  return image.subarray(start, end);
}
