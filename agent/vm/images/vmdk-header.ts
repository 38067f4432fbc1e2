import { HEADER_BYTES } from "../storage/qcow2-header.ts";
import { mismatch, MOST_CAPACITY_BYTES, unsafe } from "./header-check.ts";

// The header and the embedded descriptor of a hosted sparse extent, by VMware's "Virtual Disk Format 5.0". Numbers are
// little-endian, and places and sizes are in sectors.

export interface VmdkHeader {
  readonly capacitySectors: number;
  readonly grainSectors: number;
  /** Each grain is compressed, behind a marker: a stream-optimized extent. */
  readonly isCompressed: boolean;
  /** A zeroed grain has the entry 1. */
  readonly hasZeroGrains: boolean;
  /** AT_END: the footer has it. */
  readonly directorySector: bigint;
  /** The header and the descriptor. */
  readonly ownSectors: number;
}

export const SECTOR_BYTES = 512;
export const TABLE_ENTRIES = 512;
export const AT_END = 2n ** 64n - 1n;

const MAGIC = "KDMV";
const at = {
  version: 4,
  flags: 8,
  capacity: 12,
  grainSize: 20,
  descriptorOffset: 28,
  descriptorSize: 36,
  entriesPerTable: 44,
  directory: 56,
  uncleanShutdown: 72,
  compression: 77,
} as const;
const flag = { zeroGrains: 1 << 2, compressed: 1 << 16, markers: 1 << 17 } as const;
const DEFLATE = 1;
/** 4 KiB to 2 MiB. */
const GRAIN_SECTORS = { least: 8n, most: 4096n };
const DESCRIPTOR_MAGIC = "# Disk DescriptorFile";
const flatten =
  "make one file of it first (qemu-img convert -O vmdk -o subformat=streamOptimized), from a source that you trust";

/**
 * Judges the first bytes (`HEADER_BYTES` of them, or all). A descriptor may name any file of the host: only one that names
 * its own file passes. Throws `invalid` IMAGE_FORMAT_MISMATCH, `denied` IMAGE_UNSAFE.
 */
export function readVmdkHeader(head: Buffer): VmdkHeader {
  if (head.toString("latin1", 0, DESCRIPTOR_MAGIC.length) === DESCRIPTOR_MAGIC)
    throw unsafe(`it is a VMDK descriptor, whose data is in other files; ${flatten}`);
  if (head.length < SECTOR_BYTES || head.toString("latin1", 0, MAGIC.length) !== MAGIC)
    throw mismatch(
      'the image does not begin with "KDMV", as a sparse VMDK does: name its format, or convert it',
    );
  const version = head.readUInt32LE(at.version);
  if (version < 1 || version > 3) throw field("version", version, "1 to 3 are known");
  if (head[at.uncleanShutdown] !== 0)
    throw field("uncleanShutdown", head[at.uncleanShutdown], "close the disk first, or convert it");
  const grainSize = head.readBigUInt64LE(at.grainSize);
  const isPower = (grainSize & (grainSize - 1n)) === 0n;
  if (grainSize < GRAIN_SECTORS.least || grainSize > GRAIN_SECTORS.most || !isPower)
    throw field("grainSize", grainSize, "a power of two from 8 to 4096 sectors is possible");
  const capacity = head.readBigUInt64LE(at.capacity);
  if (capacity === 0n || capacity > BigInt(MOST_CAPACITY_BYTES / SECTOR_BYTES))
    throw field("capacity", capacity, "an image's disk has 1 sector to 16 TiB");
  const entries = head.readUInt32LE(at.entriesPerTable);
  if (entries !== TABLE_ENTRIES) throw field("numGTEsPerGT", entries, "it is 512 in every VMDK");
  const flags = head.readUInt32LE(at.flags);
  const isCompressed = (flags & flag.compressed) !== 0;
  const compression = head.readUInt16LE(at.compression);
  if (compression !== (isCompressed ? DEFLATE : 0))
    throw field("compressAlgorithm", compression, "flags differ");
  if (((flags & flag.markers) !== 0) !== isCompressed)
    throw field("flags", flags, "grains are either compressed with markers, or neither");
  const ownSectors = requireOwnDescriptor(head, Number(capacity), isCompressed);
  return {
    capacitySectors: Number(capacity),
    grainSectors: Number(grainSize),
    isCompressed,
    hasZeroGrains: (flags & flag.zeroGrains) !== 0,
    directorySector: head.readBigUInt64LE(at.directory),
    ownSectors,
  };
}

/** The directory's place in the copy of the header at the end of a stream. Throws `denied` IMAGE_UNSAFE. */
export function readVmdkFooter(tail: Buffer, head: Buffer): bigint {
  const footer = tail.subarray(SECTOR_BYTES, 2 * SECTOR_BYTES);
  const [markerSize, markerType, endSize, endType] = [8, 12, 1032, 1036].map((place) =>
    tail.readUInt32LE(place),
  );
  const isFooter = markerSize === 0 && markerType === 3 && endSize === 0 && endType === 0;
  const same = (from: number, to: number): boolean =>
    footer.subarray(from, to).equals(head.subarray(from, to));
  const { descriptorOffset, entriesPerTable, compression } = at;
  const isCopy = same(0, descriptorOffset) && same(entriesPerTable, 48) && same(compression, compression + 2);
  if (!isFooter || !isCopy) throw unsafe("its footer is no copy of its header: it may be truncated");
  return footer.readBigUInt64LE(at.directory);
}

/** The sectors up to the end of the descriptor. */
function requireOwnDescriptor(head: Buffer, capacitySectors: number, isCompressed: boolean): number {
  const [first, count] = [head.readBigUInt64LE(at.descriptorOffset), head.readBigUInt64LE(at.descriptorSize)];
  // libvirt reads a descriptor there, whatever the header has.
  if (first !== 1n)
    throw field(
      "descriptorOffset",
      first,
      `the descriptor must be behind the header, in sector 1; ${flatten}`,
    );
  const endBytes = (first + count) * BigInt(SECTOR_BYTES);
  if (count === 0n || endBytes > BigInt(Math.min(head.length, HEADER_BYTES)))
    throw field("descriptorSize", count, "the descriptor is not within the first 64 KiB");
  // libvirt reads to the first zero, whatever size the header has.
  const zeroAt = head.indexOf(0, SECTOR_BYTES);
  const all = head.toString("latin1", SECTOR_BYTES, zeroAt === -1 ? head.length : zeroAt);
  const [found] = leadsElsewhere.exec(all) ?? [];
  if (found !== undefined) throw descriptor(`has ${found}: it needs another file, or a key; ${flatten}`);
  const { extents, values } = readDescriptor(all.slice(0, Number(endBytes) - SECTOR_BYTES));
  const createType = isCompressed ? "streamOptimized" : "monolithicSparse";
  if (values.get("createtype") !== createType)
    throw descriptor(
      `has the createType ${shown(values.get("createtype") ?? "")}, and its header that of ${createType}`,
    );
  const parent = values.get("parentcid")?.toLowerCase() ?? "ffffffff";
  if (parent !== "ffffffff")
    throw descriptor(`has the parentCID ${shown(parent)}: it is an overlay; ${flatten}`);
  const [extent] = extents;
  if (extent === undefined || extents.length !== 1)
    throw descriptor(`has ${extents.length} extents: one is possible; ${flatten}`);
  const [, access = "", sectors = "", type = "", file = ""] = extent;
  if (type !== "SPARSE" || access === "NOACCESS")
    throw descriptor(`has an extent of the type ${access} ${type}: SPARSE alone is possible; ${flatten}`);
  if (/[/\\:]/.test(file))
    throw descriptor(`has an extent in the file ${shown(file)}: its own file alone is possible`);
  if (Number(sectors) !== capacitySectors)
    throw descriptor(`has an extent of ${sectors} sectors, and the header's capacity is ${capacitySectors}`);
  return Number(first + count);
}

/** Programs search the text for these words, in whatever line. */
const leadsElsewhere = /parentFileNameHint|changeTrackPath|encryption\.|keySafe/i;
const extentLine = /^(RW|RDONLY|NOACCESS)\s+(\d{1,15})\s+([A-Z]{1,32})(?:\s+"([^"]*)"(?:\s+\d+)?)?$/;
const plainKey = /^[A-Za-z][\w.-]*$/;

function readDescriptor(text: string): { extents: RegExpExecArray[]; values: ReadonlyMap<string, string> } {
  if (!text.startsWith(DESCRIPTOR_MAGIC)) throw descriptor(`does not begin with "${DESCRIPTOR_MAGIC}"`);
  const extents: RegExpExecArray[] = [];
  const values = new Map<string, string>();
  for (const line of text.split(/[\r\n]+/).map((each) => each.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const extent = extentLine.exec(line);
    if (extent !== null) {
      extents.push(extent);
      continue;
    }
    const [key, value] = parted(line);
    if (!plainKey.test(key)) throw descriptor(`has the line ${shown(line)}, which is not known`);
    if (values.has(key.toLowerCase())) throw descriptor(`has two values of ${shown(key)}`);
    values.set(key.toLowerCase(), value);
  }
  return { extents, values };
}

/** `key = "value"`; without an equals sign the key is empty. */
function parted(line: string): [key: string, value: string] {
  const at = Math.max(0, line.indexOf("="));
  const value = line.slice(at + 1).trim();
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return [line.slice(0, at).trim(), isQuoted ? value.slice(1, -1) : value];
}

const field = (name: string, value: number | bigint | undefined, why: string): Error =>
  unsafe(`its header has ${name} ${value}: ${why}`);

const descriptor = (why: string): Error => unsafe(`its descriptor ${why}`);

/** Any user may have written the text, which goes into messages. */
const shown = (text: string): string => JSON.stringify(text.slice(0, 80));
