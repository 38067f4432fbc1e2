import { Slice } from "../../kernel/concurrency/slice.ts";
import { CLUSTER_BYTES, ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import { FileSpace, readPart, type ForeignDisk, type StoredBytes } from "./foreign-disk.ts";
import { unsafe } from "./header-check.ts";
import { MIB, readVhdxHeader, type VhdxHeader } from "./vhdx-header.ts";

/** 2^23 sectors of 512 bytes: the part of a disk after whose blocks the table has an entry for their sector bitmap. */
const CHUNK_BYTES = 2 ** 32;
const ENTRY_BYTES = 8;
/**
 * Bounds of what is held in memory, at most 110 MiB: the table (16 MiB), the blocks' places (8 MiB), a bit for each MiB of the
 * file (2 MiB), and the map of the clusters (64 MiB).
 */
const MOST_ENTRIES = 2 ** 21;
export const MOST_VHDX_BYTES = 2 ** 44;
const PRESENT = 6;
/** Not present, undefined, zero, unmapped: all of them read as zeros. */
const absent: ReadonlySet<number> = new Set([0, 1, 2, 3]);

/** The disk of a VHDX that stands alone. Throws `invalid` IMAGE_FORMAT_MISMATCH, `denied` IMAGE_UNSAFE. */
export async function openVhdx(bytes: StoredBytes): Promise<ForeignDisk> {
  const { sizeBytes } = bytes;
  const space = new FileSpace(Math.floor(sizeBytes / MIB));
  const header = await readVhdxHeader(bytes, space);
  const map = new ClusterMap(header.capacityBytes, false);
  const places = await placesOf(bytes, space, header, map);
  return new VhdxDisk(bytes, header, map, places);
}

/** Each block's place in the file, in MiB; 0: none. */
async function placesOf(
  bytes: StoredBytes,
  space: FileSpace,
  { capacityBytes, blockBytes, tableAt, tableBytes }: VhdxHeader,
  map: ClusterMap,
): Promise<Uint32Array> {
  const blocks = Math.ceil(capacityBytes / blockBytes);
  const ofChunk = CHUNK_BYTES / blockBytes;
  const entryOf = (block: number): number => block + Math.floor(block / ofChunk);
  const entries = entryOf(blocks - 1) + 1;
  if (entries > MOST_ENTRIES)
    throw unsafe(
      `its block allocation table has ${entries} entries; ${MOST_ENTRIES} are possible: convert it first`,
    );
  if (entries * ENTRY_BYTES > tableBytes)
    throw unsafe(
      `its block allocation table has ${tableBytes} bytes, and its disk needs ${entries * ENTRY_BYTES}`,
    );
  const table = await readPart(bytes, tableAt, entries * ENTRY_BYTES, "its block allocation table");
  const places = new Uint32Array(blocks);
  const slice = new Slice();
  for (let block = 0; block < blocks; block += 1) {
    if (slice.over) await slice.rest();
    const at = entryOf(block) * ENTRY_BYTES;
    const low = table.readUInt32LE(at);
    const state = low & 7;
    if (absent.has(state)) continue;
    if (state !== PRESENT)
      throw unsafe(`block ${block} has the state ${state}, which only a differencing disk has`);
    // Bits 20 to 63.
    const place = (low >>> 20) + table.readUInt32LE(at + 4) * 2 ** 12;
    const length = Math.min(blockBytes, capacityBytes - block * blockBytes);
    space.take(place, Math.ceil(length / MIB), `block ${block}`);
    places[block] = place;
    map.mark(block * blockBytes, length, "data");
  }
  return places;
}

class VhdxDisk implements ForeignDisk {
  readonly map: ClusterMap;
  readonly #bytes: StoredBytes;
  readonly #blockBytes: number;
  readonly #places: Uint32Array;

  constructor(bytes: StoredBytes, { blockBytes }: VhdxHeader, map: ClusterMap, places: Uint32Array) {
    this.map = map;
    this.#bytes = bytes;
    this.#blockBytes = blockBytes;
    this.#places = places;
  }

  async cluster(index: number): Promise<Buffer> {
    const at = index * CLUSTER_BYTES;
    const length = Math.min(CLUSTER_BYTES, this.map.capacityBytes - at);
    const block = Math.floor(at / this.#blockBytes);
    const place = (this.#places[block] ?? 0) * MIB + (at % this.#blockBytes);
    const part = await readPart(this.#bytes, place, length, `block ${block}`);
    return length === CLUSTER_BYTES ? part : Buffer.concat([part], CLUSTER_BYTES);
  }
}
