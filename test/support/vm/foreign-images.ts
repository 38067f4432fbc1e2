import { deflateSync } from "node:zlib";
import type { ForeignDisk, StoredBytes } from "../../../agent/vm/images/foreign-disk.ts";
import { crc32c } from "../../../agent/vm/images/vhdx-header.ts";

// Small files by VMware's "Virtual Disk Format 5.0" and by [MS-VHDX], with changes.

const SECTOR_BYTES = 512;
const KIB = 1024;
const MIB = 2 ** 20;
export const VMDK_GRAIN_BYTES = 4096;
/** The sectors of a small VMDK. */
const sectors = { descriptor: 1, directory: 3, table: 4, grains: 8 } as const;

export const bytesOf = (file: Buffer): StoredBytes => ({
  sizeBytes: file.length,
  read: (at, length) =>
    at < 0 || length < 0 || at + length > file.length
      ? Promise.reject(new Error(`a read of ${length} bytes at ${at}`))
      : Promise.resolve(file.subarray(at, at + length)),
});

/** The clusters with data, at most 64. */
export async function clustersOf(disk: ForeignDisk): Promise<ReadonlyMap<number, Buffer>> {
  const clusters = new Map<number, Buffer>();
  for (const table of disk.map.usedTables)
    for (let index = table * 8192; index < (table + 1) * 8192 && clusters.size < 64; index += 1)
      if (disk.map.state(index) === "data") clusters.set(index, await disk.cluster(index));
  return clusters;
}

export const descriptorOf = (createType: string, sectorCount: number): string =>
  `# Disk DescriptorFile\nversion=1\nCID=3e1f2a4b\nparentCID=ffffffff\ncreateType="${createType}"\n\n# Extent description\n` +
  `RW ${sectorCount} SPARSE "small.vmdk"\n\n#DDB\n\nddb.virtualHWVersion = "4"\nddb.adapterType = "ide"\n`;

export interface VmdkChange {
  readonly isCompressed?: boolean;
  readonly descriptor?: (text: string) => string;
  readonly change?: (file: Buffer) => void;
  readonly length?: number;
}

/** A disk of 256 KiB whose grains 1 and 17 have data. */
export function smallVmdk({
  isCompressed = false,
  descriptor = (text) => text,
  change,
  length,
}: VmdkChange = {}): Buffer {
  const capacity = 512;
  const file = Buffer.alloc(24 * SECTOR_BYTES);
  file.write("KDMV", 0, "latin1");
  file.writeUInt32LE(isCompressed ? 3 : 1, 4);
  file.writeUInt32LE(isCompressed ? 0x30001 : 1, 8);
  file.writeBigUInt64LE(BigInt(capacity), 12);
  file.writeBigUInt64LE(BigInt(VMDK_GRAIN_BYTES / SECTOR_BYTES), 20);
  file.writeBigUInt64LE(BigInt(sectors.descriptor), 28);
  file.writeBigUInt64LE(2n, 36);
  file.writeUInt32LE(512, 44);
  file.writeBigUInt64LE(BigInt(sectors.directory), 56);
  file.writeBigUInt64LE(BigInt(sectors.grains), 64);
  file.write("\n \r\n", 73, "latin1");
  file.writeUInt16LE(isCompressed ? 1 : 0, 77);
  const text = descriptor(descriptorOf(isCompressed ? "streamOptimized" : "monolithicSparse", capacity));
  file.write(text, SECTOR_BYTES, 2 * SECTOR_BYTES, "latin1");
  file.writeUInt32LE(sectors.table, sectors.directory * SECTOR_BYTES);
  for (const [order, grain] of [1, 17].entries()) {
    const at = (sectors.grains + order * 8) * SECTOR_BYTES;
    file.writeUInt32LE(at / SECTOR_BYTES, sectors.table * SECTOR_BYTES + grain * 4);
    const content = Buffer.alloc(VMDK_GRAIN_BYTES, grain);
    if (!isCompressed) {
      content.copy(file, at);
      continue;
    }
    const packed = deflateSync(content);
    file.writeBigUInt64LE(BigInt(grain * 8), at);
    file.writeUInt32LE(packed.length, at + 8);
    packed.copy(file, at + 12);
  }
  change?.(file);
  return file.subarray(0, length);
}

/** The places of a small VHDX. */
export const vhdxAt = {
  headers: [64 * KIB, 128 * KIB],
  regions: [192 * KIB, 256 * KIB],
  log: MIB,
  metadata: 2 * MIB,
  items: 2 * MIB + 64 * KIB,
  blocks: 3 * MIB,
  data: 4 * MIB,
} as const;
const CHECKSUM_AT = 4;

const guidBytes = (text: string): Buffer => {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8),
  ]);
};
export const PARENT_LOCATOR = guidBytes("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C");

/** Writes the checksums of the headers and region tables. */
export function sealVhdx(file: Buffer): void {
  const parts = [...vhdxAt.headers.map((at) => [at, 4 * KIB]), ...vhdxAt.regions.map((at) => [at, 64 * KIB])];
  for (const [at = 0, length = 0] of parts) {
    file.writeUInt32LE(0, at + CHECKSUM_AT);
    file.writeUInt32LE(crc32c(file.subarray(at, at + length)), at + CHECKSUM_AT);
  }
}

/** A disk of 3 MiB whose second block has data. */
export function smallVhdx(change: (file: Buffer) => void = () => undefined, isSealed = true): Buffer {
  const file = Buffer.alloc(5 * MIB);
  file.write("vhdxfile", 0, "latin1");
  for (const [order, at] of vhdxAt.headers.entries()) {
    file.write("head", at, "latin1");
    file.writeBigUInt64LE(BigInt(order), at + 8);
    file.writeUInt16LE(1, at + 66);
    file.writeUInt32LE(MIB, at + 68);
    file.writeBigUInt64LE(BigInt(vhdxAt.log), at + 72);
  }
  for (const at of vhdxAt.regions) {
    file.write("regi", at, "latin1");
    file.writeUInt32LE(2, at + 8);
    const regions = [
      ["2DC27766-F623-4200-9D64-115E9BFD4A08", vhdxAt.blocks],
      ["8B7CA206-4790-4B9A-B8FE-575F050F886E", vhdxAt.metadata],
    ] as const;
    for (const [order, [id, place]] of regions.entries()) {
      const entry = at + 16 + order * 32;
      guidBytes(id).copy(file, entry);
      file.writeBigUInt64LE(BigInt(place), entry + 16);
      file.writeUInt32LE(MIB, entry + 24);
      file.writeUInt32LE(1, entry + 28);
    }
  }
  file.write("metadata", vhdxAt.metadata, "latin1");
  const items = [
    ["CAA16737-FA36-4D43-B3B6-33F0AA44E76B", 8],
    ["2FA54224-CD1B-4876-B211-5DBED83BF4B8", 8],
    ["8141BF1D-A96F-4709-BA47-F233A8FAAB5F", 4],
  ] as const;
  file.writeUInt16LE(items.length, vhdxAt.metadata + 10);
  for (const [order, [id, length]] of items.entries()) {
    const entry = vhdxAt.metadata + 32 + order * 32;
    guidBytes(id).copy(file, entry);
    file.writeUInt32LE(64 * KIB + order * 8, entry + 16);
    file.writeUInt32LE(length, entry + 20);
    file.writeUInt32LE(4, entry + 24);
  }
  file.writeUInt32LE(MIB, vhdxAt.items);
  file.writeBigUInt64LE(BigInt(3 * MIB), vhdxAt.items + 8);
  file.writeUInt32LE(512, vhdxAt.items + 16);
  file.writeUInt32LE((4 << 20) | 6, vhdxAt.blocks + 8);
  file.fill(7, vhdxAt.data);
  change(file);
  if (isSealed) sealVhdx(file);
  return file;
}
