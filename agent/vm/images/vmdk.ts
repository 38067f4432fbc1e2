import { promisify } from "node:util";
import { inflate } from "node:zlib";
import { Slice } from "../../kernel/concurrency/slice.ts";
import { CLUSTER_BYTES, ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import { HEADER_BYTES } from "../storage/qcow2-header.ts";
import { FileSpace, readPart, type ForeignDisk, type StoredBytes } from "./foreign-disk.ts";
import { unsafe } from "./header-check.ts";
import {
  AT_END,
  readVmdkFooter,
  readVmdkHeader,
  SECTOR_BYTES,
  TABLE_ENTRIES,
  type VmdkHeader,
} from "./vmdk-header.ts";

const TABLE_BYTES = TABLE_ENTRIES * 4;
/** The footer, between its marker and the one of the stream's end. */
const FOOTER_BYTES = 3 * SECTOR_BYTES;
/** Before the compressed bytes of a grain: the sector of the disk in 8 bytes, and their number. */
const MARKER_BYTES = 12;
/** More than deflate adds to bytes that it cannot compress. */
const DEFLATE_ADDS_BYTES = 4096;
/**
 * Bounds of what is held in memory, at most 200 MiB: a bit for each sector of the file (64 MiB), the directory (4 MiB), the
 * tables with an entry (64 MiB), and the map of the clusters (64 MiB). One conversion runs at a time on a host. Tables with an
 * entry lead to 1 TiB with the usual grain of 64 KiB: a disk with data all over more than that is refused.
 */
export const MOST_VMDK_BYTES = 2 ** 38;
const MOST_TABLES = 2 ** 20;
const MOST_USED_TABLES = 2 ** 15;
/** Tables may be in any order, and each may need a transfer: those of a disk of 2 TiB, the most of VMware's own sparse files. */
const MOST_READ_TABLES = 2 ** 16;

const inflated = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);

/** The disk of a VMDK in one file. Throws `invalid` IMAGE_FORMAT_MISMATCH, `denied` IMAGE_UNSAFE. */
export async function openVmdk(bytes: StoredBytes): Promise<ForeignDisk> {
  const { sizeBytes } = bytes;
  const head = await bytes.read(0, Math.min(HEADER_BYTES, sizeBytes));
  const header = readVmdkHeader(head);
  const space = new FileSpace(Math.floor(sizeBytes / SECTOR_BYTES));
  space.take(0, header.ownSectors, "its descriptor");
  const tables = await readTables(bytes, space, header, await directoryOf(bytes, header, head));
  return new VmdkDisk({ bytes, space, header, tables, map: await mapOf(header, tables) });
}

/** The grains' sectors in the file, by the number of their table; 0: none. */
type Tables = ReadonlyMap<number, Uint32Array>;

async function directoryOf(
  bytes: StoredBytes,
  { directorySector }: VmdkHeader,
  head: Buffer,
): Promise<number> {
  let sector = directorySector;
  if (sector === AT_END) {
    const tailAt = Math.max(0, bytes.sizeBytes - FOOTER_BYTES);
    sector = readVmdkFooter(await readPart(bytes, tailAt, FOOTER_BYTES, "its footer"), head);
  }
  if (sector === 0n || sector >= BigInt(bytes.sizeBytes))
    throw unsafe(`its header has gdOffset ${sector}, which is no sector of the file`);
  return Number(sector);
}

async function readTables(
  bytes: StoredBytes,
  space: FileSpace,
  { capacitySectors, grainSectors, isCompressed, hasZeroGrains }: VmdkHeader,
  directorySector: number,
): Promise<Tables> {
  const grains = Math.ceil(capacitySectors / grainSectors);
  const count = Math.ceil(grains / TABLE_ENTRIES);
  if (count > MOST_TABLES)
    throw unsafe(
      `its grain directory has ${count} entries; ${MOST_TABLES} are possible: its grains are too small`,
    );
  space.take(directorySector, Math.ceil((count * 4) / SECTOR_BYTES), "its grain directory");
  const directory = await readPart(bytes, directorySector * SECTOR_BYTES, count * 4, "its grain directory");
  const tables = new Map<number, Uint32Array>();
  let tablesRead = 0;
  const slice = new Slice();
  for (let number = 0; number < count; number += 1) {
    if (slice.over) await slice.rest();
    const sector = directory.readUInt32LE(number * 4);
    if (sector === 0) continue;
    if ((tablesRead += 1) > MOST_READ_TABLES)
      throw unsafe(`it has more than ${MOST_READ_TABLES} grain tables: convert it first (qemu-img convert)`);
    const what = `its grain table ${number}`;
    space.take(sector, TABLE_BYTES / SECTOR_BYTES, what);
    const read = await readPart(bytes, sector * SECTOR_BYTES, TABLE_BYTES, what);
    const table = new Uint32Array(TABLE_ENTRIES);
    let isUsed = false;
    const last = Math.min(TABLE_ENTRIES, grains - number * TABLE_ENTRIES);
    for (let entry = 0; entry < last; entry += 1) {
      const grain = read.readUInt32LE(entry * 4);
      if (grain === 0 || (grain === 1 && hasZeroGrains)) continue;
      const left = capacitySectors - (number * TABLE_ENTRIES + entry) * grainSectors;
      // The length of a compressed grain is known once its marker is read.
      space.take(grain, isCompressed ? 1 : Math.min(grainSectors, left), `grain ${entry} of ${what}`);
      table[entry] = grain;
      isUsed = true;
    }
    if (isUsed) tables.set(number, table);
    if (tables.size > MOST_USED_TABLES)
      throw unsafe(`it uses more than ${MOST_USED_TABLES} grain tables: convert it first (qemu-img convert)`);
  }
  return tables;
}

async function mapOf({ capacitySectors, grainSectors }: VmdkHeader, tables: Tables): Promise<ClusterMap> {
  const map = new ClusterMap(capacitySectors * SECTOR_BYTES, false);
  const slice = new Slice();
  for (const [number, table] of tables) {
    if (slice.over) await slice.rest();
    for (const [entry, sector] of table.entries()) {
      if (sector === 0) continue;
      const at = (number * TABLE_ENTRIES + entry) * grainSectors;
      const sectors = Math.min(grainSectors, capacitySectors - at);
      map.mark(at * SECTOR_BYTES, sectors * SECTOR_BYTES, "data");
    }
  }
  return map;
}

class VmdkDisk implements ForeignDisk {
  readonly map: ClusterMap;
  readonly #bytes: StoredBytes;
  readonly #space: FileSpace;
  readonly #tables: Tables;
  readonly #grainBytes: number;
  readonly #isCompressed: boolean;
  /** The last grain that was decompressed: a cluster may be a part of it. */
  #last: { readonly grain: number; readonly content: Buffer } | undefined;

  constructor(parts: {
    readonly bytes: StoredBytes;
    readonly space: FileSpace;
    readonly header: VmdkHeader;
    readonly tables: Tables;
    readonly map: ClusterMap;
  }) {
    this.map = parts.map;
    this.#bytes = parts.bytes;
    this.#space = parts.space;
    this.#tables = parts.tables;
    this.#grainBytes = parts.header.grainSectors * SECTOR_BYTES;
    this.#isCompressed = parts.header.isCompressed;
  }

  async cluster(index: number): Promise<Buffer> {
    const cluster = Buffer.alloc(CLUSTER_BYTES);
    const from = index * CLUSTER_BYTES;
    const end = Math.min(from + CLUSTER_BYTES, this.map.capacityBytes);
    for (let at = from; at < end;) {
      const grain = Math.floor(at / this.#grainBytes);
      const skip = at % this.#grainBytes;
      const length = Math.min(end - at, this.#grainBytes - skip);
      const sector = this.#tables.get(Math.floor(grain / TABLE_ENTRIES))?.[grain % TABLE_ENTRIES] ?? 0;
      if (sector !== 0) (await this.#part(grain, sector, skip, length)).copy(cluster, at - from);
      at += length;
    }
    return cluster;
  }

  async #part(grain: number, sector: number, skip: number, length: number): Promise<Buffer> {
    if (!this.#isCompressed)
      return await readPart(this.#bytes, sector * SECTOR_BYTES + skip, length, `grain ${grain}`);
    if (this.#last?.grain !== grain) this.#last = { grain, content: await this.#decompressed(grain, sector) };
    const part = this.#last.content.subarray(skip, skip + length);
    if (part.length < length) throw unsafe(`grain ${grain} has fewer bytes than its disk`);
    return part;
  }

  async #decompressed(grain: number, sector: number): Promise<Buffer> {
    const what = `grain ${grain}`;
    const at = sector * SECTOR_BYTES;
    const marker = await readPart(this.#bytes, at, MARKER_BYTES, what);
    const size = marker.readUInt32LE(8);
    if (marker.readBigUInt64LE(0) !== BigInt((grain * this.#grainBytes) / SECTOR_BYTES))
      throw unsafe(`the marker of ${what} names another one`);
    if (size === 0 || size > this.#grainBytes + DEFLATE_ADDS_BYTES)
      throw unsafe(`the marker of ${what} has the size ${size}`);
    this.#space.take(sector + 1, Math.ceil((MARKER_BYTES + size) / SECTOR_BYTES) - 1, what);
    const compressed = await readPart(this.#bytes, at + MARKER_BYTES, size, what);
    try {
      return await inflated(compressed, { maxOutputLength: this.#grainBytes });
    } catch {
      throw unsafe(`${what} is damaged, or larger than its disk`);
    }
  }
}
