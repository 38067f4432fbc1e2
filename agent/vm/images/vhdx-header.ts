import { readPart, type FileSpace, type StoredBytes } from "./foreign-disk.ts";
import { mismatch, MOST_CAPACITY_BYTES, unsafe } from "./header-check.ts";

// The headers, the region table and the metadata of a virtual hard disk, by [MS-VHDX]. Numbers are little-endian.

export const MIB = 2 ** 20;
const KIB = 1024;

export interface VhdxHeader {
  readonly capacityBytes: number;
  readonly blockBytes: number;
  /** The block allocation table. */
  readonly tableAt: number;
  readonly tableBytes: number;
}

interface Region {
  readonly at: number;
  readonly length: number;
}

const SIGNATURE = "vhdxfile";
const HEADER_PLACES = [64 * KIB, 128 * KIB];
const HEADER_BYTES = 4 * KIB;
const TABLE_PLACES = [192 * KIB, 256 * KIB];
const TABLE_BYTES = 64 * KIB;
const MOST_ENTRIES = 2047;
const ENTRY_BYTES = 32;
/** Of the region table, and of the metadata table. */
const ENTRIES_AT = { regions: 16, metadata: 32 };
const CHECKSUM_AT = 4;
const BLOCK_BYTES = { least: MIB, most: 256 * MIB };
const HAS_PARENT = 2;

/** A GUID's bytes in hexadecimal: its first three numbers are little-endian. */
const guid = (text: string): string => {
  const [a = "", b = "", c = "", ...rest] = text.toLowerCase().split("-");
  const swapped = [a, b, c].map((part) => Buffer.from(part, "hex").reverse().toString("hex"));
  return [...swapped, ...rest].join("");
};
const regionIds = {
  blocks: guid("2DC27766-F623-4200-9D64-115E9BFD4A08"),
  metadata: guid("8B7CA206-4790-4B9A-B8FE-575F050F886E"),
};
const itemIds = {
  parameters: guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"),
  size: guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8"),
  diskId: guid("BECA12AB-B2E6-4523-93EF-C309E000C746"),
  logicalSector: guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F"),
  physicalSector: guid("CDA348C7-445D-4471-9CC9-E9885251C556"),
};
const PARENT_LOCATOR = guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C");
const NO_LOG = "0".repeat(32);

/** Throws `invalid` IMAGE_FORMAT_MISMATCH for bytes that do not begin as a VHDX. */
export function requireVhdxSignature(head: Buffer): void {
  if (head.toString("latin1", 0, SIGNATURE.length) !== SIGNATURE)
    throw mismatch(
      'the image does not begin with "vhdxfile", as a VHDX does: name its format, or convert it',
    );
}

/**
 * Reads what leads to the blocks, and takes its space in the file. Throws `invalid` IMAGE_FORMAT_MISMATCH, `denied`
 * IMAGE_UNSAFE: a differencing disk, which has its data in another file, and a disk with a log, which a writer must replay.
 */
export async function readVhdxHeader(bytes: StoredBytes, space: FileSpace): Promise<VhdxHeader> {
  requireVhdxSignature(await bytes.read(0, Math.min(KIB, bytes.sizeBytes)));
  space.take(0, 1, "its header");
  const log = await logOf(bytes);
  if (log.length > 0) takeRegion(space, log, "its log");
  const { blocks, metadata } = await regionsOf(bytes);
  takeRegion(space, blocks, "its block allocation table");
  takeRegion(space, metadata, "its metadata");
  const { capacityBytes, blockBytes } = await metadataOf(bytes, metadata);
  return { capacityBytes, blockBytes, tableAt: blocks.at, tableBytes: blocks.length };
}

/** The log's place, in the newer of the two headers: it must be empty. */
async function logOf(bytes: StoredBytes): Promise<Region> {
  const whole: Buffer[] = [];
  for (const place of HEADER_PLACES) {
    const header = await readPart(bytes, place, HEADER_BYTES, "its header");
    if (isWhole(header, "head")) whole.push(header);
  }
  const [first, second] = whole;
  if (first === undefined) throw unsafe('none of its headers has the signature "head" and a right checksum');
  const isNewer = second !== undefined && second.readBigUInt64LE(8) > first.readBigUInt64LE(8);
  const header = isNewer ? second : first;
  const version = header.readUInt16LE(66);
  if (version !== 1) throw unsafe(`its header has Version ${version}: 1 is known`);
  if (header.toString("hex", 48, 64) !== NO_LOG)
    throw unsafe("its header has a LogGuid: it was not closed cleanly; open and close it where it was made");
  return { at: Number(header.readBigUInt64LE(72)), length: header.readUInt32LE(68) };
}

async function regionsOf(bytes: StoredBytes): Promise<{ blocks: Region; metadata: Region }> {
  const whole: Buffer[] = [];
  for (const place of TABLE_PLACES) {
    const table = await readPart(bytes, place, TABLE_BYTES, "its region table");
    if (isWhole(table, "regi")) whole.push(table);
  }
  const [table, copy = table] = whole;
  if (table === undefined || copy === undefined)
    throw unsafe('none of its region tables has the signature "regi" and a right checksum');
  // Another program might read the other one.
  if (!table.equals(copy)) throw unsafe("its two region tables differ");
  const regions = new Map<string, Region>();
  for (const entry of entriesOf(table, table.readUInt32LE(8), ENTRIES_AT.regions, "region table")) {
    const id = entry.toString("hex", 0, 16);
    if (regions.has(id)) throw unsafe(`its region table has the region ${id} twice`);
    const isKnown = id === regionIds.blocks || id === regionIds.metadata;
    if (!isKnown && (entry.readUInt32LE(28) & 1) !== 0)
      throw unsafe(`its region table has the required region ${id}, which is not known`);
    regions.set(id, { at: Number(entry.readBigUInt64LE(16)), length: entry.readUInt32LE(24) });
  }
  const blocks = regions.get(regionIds.blocks);
  const metadata = regions.get(regionIds.metadata);
  if (blocks === undefined || metadata === undefined)
    throw unsafe("its region table lacks the block allocation table, or the metadata");
  return { blocks, metadata };
}

async function metadataOf(
  bytes: StoredBytes,
  region: Region,
): Promise<{ capacityBytes: number; blockBytes: number }> {
  const table = await readPart(bytes, region.at, TABLE_BYTES, "its metadata");
  if (table.toString("latin1", 0, 8) !== "metadata")
    throw unsafe('its metadata does not begin with "metadata"');
  const items = new Map<string, Region>();
  const known = new Set<string>(Object.values(itemIds));
  for (const entry of entriesOf(table, table.readUInt16LE(10), ENTRIES_AT.metadata, "metadata")) {
    const id = entry.toString("hex", 0, 16);
    if (id === PARENT_LOCATOR)
      throw unsafe(
        "its metadata has a parent locator: it is a differencing disk; merge it first (Merge-VHD)",
      );
    const [isUsers, isRequired] = [(entry.readUInt32LE(24) & 1) !== 0, (entry.readUInt32LE(24) & 4) !== 0];
    if (!known.has(id) && isRequired)
      throw unsafe(`its metadata has the required item ${id}, which is not known`);
    if (isUsers || !known.has(id)) continue;
    if (items.has(id)) throw unsafe(`its metadata has the item ${id} twice`);
    const item = { at: entry.readUInt32LE(16), length: entry.readUInt32LE(20) };
    if (item.at < TABLE_BYTES || item.at + item.length > region.length)
      throw unsafe(`its metadata has the item ${id} outside of its region`);
    items.set(id, { at: region.at + item.at, length: item.length });
  }
  const item = async (id: string, length: number, what: string): Promise<Buffer> => {
    const found = items.get(id);
    if (found?.length !== length) throw unsafe(`its metadata has no ${what} of ${length} bytes`);
    return await readPart(bytes, found.at, length, what);
  };
  const parameters = await item(itemIds.parameters, 8, "FileParameters");
  const [blockBytes, flags] = [parameters.readUInt32LE(0), parameters.readUInt32LE(4)];
  if ((flags & HAS_PARENT) !== 0)
    throw unsafe("its metadata has HasParent: it is a differencing disk; merge it first (Merge-VHD)");
  const isPower = (blockBytes & (blockBytes - 1)) === 0;
  if (blockBytes < BLOCK_BYTES.least || blockBytes > BLOCK_BYTES.most || !isPower)
    throw unsafe(
      `its metadata has BlockSize ${blockBytes}: a power of two from 1 MiB to 256 MiB is possible`,
    );
  const sector = (await item(itemIds.logicalSector, 4, "LogicalSectorSize")).readUInt32LE(0);
  if (sector !== 512)
    throw unsafe(
      `its metadata has LogicalSectorSize ${sector}: disks of VMs have 512, so that a guest finds no partition`,
    );
  const capacity = (await item(itemIds.size, 8, "VirtualDiskSize")).readBigUInt64LE(0);
  if (capacity === 0n || capacity > BigInt(MOST_CAPACITY_BYTES) || capacity % 512n !== 0n)
    throw unsafe(
      `its metadata has VirtualDiskSize ${capacity}: an image's disk has 512 bytes to 16 TiB, in whole sectors`,
    );
  return { capacityBytes: Number(capacity), blockBytes };
}

function takeRegion(space: FileSpace, { at, length }: Region, what: string): void {
  if (at % MIB !== 0 || length % MIB !== 0 || length === 0)
    throw unsafe(`${what} is at ${at} with ${length} bytes, and not in whole MiB`);
  space.take(at / MIB, length / MIB, what);
}

function entriesOf(table: Buffer, count: number, first: number, what: string): Buffer[] {
  if (count > MOST_ENTRIES) throw unsafe(`its ${what} has ${count} entries; ${MOST_ENTRIES} are possible`);
  return Array.from({ length: count }, (_, index) => {
    const at = first + index * ENTRY_BYTES;
    return table.subarray(at, at + ENTRY_BYTES);
  });
}

function isWhole(structure: Buffer, signature: string): boolean {
  if (structure.toString("latin1", 0, 4) !== signature) return false;
  const plain = Buffer.from(structure);
  plain.writeUInt32LE(0, CHECKSUM_AT);
  return crc32c(plain) === structure.readUInt32LE(CHECKSUM_AT);
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ 0x82f63b78;
  return value >>> 0;
});

/** CRC-32C (Castagnoli), which Node's zlib does not have. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
