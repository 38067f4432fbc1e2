import { CLUSTER_BYTES, TABLE_CLUSTERS, type ClusterMap } from "./cluster-map.ts";

// A qcow2 image (QEMU's docs/interop/qcow2.txt, version 3) in one pass from its first byte to its last: which clusters it
// has is known before, so that its size is known too. Each cluster is referred to once, and there is no hole.

export interface Backing {
  /** Relative to the directory of the image. */
  readonly file: string;
  readonly format: "qcow2";
}

/** The bytes of a cluster. It is asked for the clusters with data, ascending. */
export type ReadCluster = (index: number) => Promise<Buffer>;

export const MAGIC = 0x514649fb;
export const HEADER_BYTES = 104;
export const BACKING_FORMAT = 0xe2792aca;
/** In the upper half of a reference: the cluster has no other one. */
const COPIED = 2 ** 31;
/** In place of a reference: the cluster is zero. */
export const ZERO_FLAG = 1n;
const REFCOUNTS_PER_BLOCK = CLUSTER_BYTES / 2;

interface Layout extends Counted {
  readonly l1Clusters: number;
}

interface Counted {
  readonly blocks: number;
  readonly refTableClusters: number;
  readonly clusters: number;
}

function layoutOf(map: ClusterMap): Layout {
  const l1Clusters = Math.max(1, Math.ceil((map.tables * 8) / CLUSTER_BYTES));
  return { l1Clusters, ...clustersWith(1 + l1Clusters + map.usedTables.length + map.dataClusters) };
}

/** All clusters of an image that has these besides the counters of references. */
export function clustersWith(others: number): Counted {
  let [blocks, refTableClusters] = [1, 1];
  // The counters count themselves.
  for (;;) {
    const clusters = others + blocks + refTableClusters;
    const needed = Math.ceil(clusters / REFCOUNTS_PER_BLOCK);
    const tableNeeded = Math.ceil((needed * 8) / CLUSTER_BYTES);
    if (needed <= blocks && tableNeeded <= refTableClusters) return { blocks, refTableClusters, clusters };
    [blocks, refTableClusters] = [Math.max(needed, blocks), Math.max(tableNeeded, refTableClusters)];
  }
}

/** The exact size of the image. */
export const imageBytes = (map: ClusterMap): number => layoutOf(map).clusters * CLUSTER_BYTES;

/** The bytes of the image, in order. An overlay's map needs `backing`. */
export async function* qcow2Image(
  map: ClusterMap,
  readCluster: ReadCluster,
  backing?: Backing,
): AsyncGenerator<Buffer, void, undefined> {
  if (map.isOverlay !== (backing !== undefined))
    throw new Error("an overlay is an image with a backing file");
  const { l1Clusters, refTableClusters, blocks, clusters } = layoutOf(map);
  const refTableAt = (1 + l1Clusters) * CLUSTER_BYTES;
  const blocksAt = refTableAt + refTableClusters * CLUSTER_BYTES;
  yield header(map, { l1At: CLUSTER_BYTES, refTableAt, refTableClusters, backing });
  yield firstLevel(map, l1Clusters, blocksAt + blocks * CLUSTER_BYTES);
  yield refTable(refTableClusters, blocks, blocksAt);
  for (let block = 0; block < blocks; block += 1) yield refBlock(block, clusters);
  let at = blocksAt + blocks * CLUSTER_BYTES;
  for (const table of map.usedTables) {
    const { bytes, data } = secondLevel(map, table, at + CLUSTER_BYTES);
    yield bytes;
    for (const index of data) yield await readCluster(index);
    at += (1 + data.length) * CLUSTER_BYTES;
  }
}

function header(
  map: ClusterMap,
  {
    l1At,
    refTableAt,
    refTableClusters,
    backing,
  }: { l1At: number; refTableAt: number; refTableClusters: number; backing: Backing | undefined },
): Buffer {
  const bytes = Buffer.alloc(CLUSTER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(Math.log2(CLUSTER_BYTES), 20);
  bytes.writeBigUInt64BE(BigInt(map.capacityBytes), 24);
  bytes.writeUInt32BE(map.tables, 36);
  bytes.writeBigUInt64BE(BigInt(l1At), 40);
  bytes.writeBigUInt64BE(BigInt(refTableAt), 48);
  bytes.writeUInt32BE(refTableClusters, 56);
  // Reference counts of 2^4 bits.
  bytes.writeUInt32BE(4, 96);
  bytes.writeUInt32BE(HEADER_BYTES, 100);
  if (backing === undefined) return bytes;
  let at = HEADER_BYTES;
  bytes.writeUInt32BE(BACKING_FORMAT, at);
  bytes.writeUInt32BE(backing.format.length, at + 4);
  bytes.write(backing.format, at + 8, "latin1");
  at += 8 + Math.ceil(backing.format.length / 8) * 8;
  // The end of the extensions is eight zeros.
  at += 8;
  bytes.writeBigUInt64BE(BigInt(at), 8);
  bytes.writeUInt32BE(bytes.write(backing.file, at, "utf8"), 16);
  return bytes;
}

function firstLevel(map: ClusterMap, l1Clusters: number, tablesAt: number): Buffer {
  const bytes = Buffer.alloc(l1Clusters * CLUSTER_BYTES);
  let at = tablesAt;
  for (const table of map.usedTables) {
    writeReference(bytes, at, table * 8);
    at += (1 + map.dataIn(table)) * CLUSTER_BYTES;
  }
  return bytes;
}

function secondLevel(map: ClusterMap, table: number, dataAt: number): { bytes: Buffer; data: number[] } {
  const bytes = Buffer.alloc(CLUSTER_BYTES);
  const data: number[] = [];
  for (let entry = 0; entry < TABLE_CLUSTERS; entry += 1) {
    const index = table * TABLE_CLUSTERS + entry;
    const state = map.state(index);
    if (state === "zero") bytes.writeBigUInt64BE(ZERO_FLAG, entry * 8);
    if (state !== "data") continue;
    writeReference(bytes, dataAt + data.length * CLUSTER_BYTES, entry * 8);
    data.push(index);
  }
  return { bytes, data };
}

/** Without a BigInt: there is one for each cluster of the disk. */
function writeReference(bytes: Buffer, to: number, place: number): void {
  bytes.writeUInt32BE(COPIED + Math.floor(to / 2 ** 32), place);
  bytes.writeUInt32BE(to % 2 ** 32, place + 4);
}

export function refTable(refTableClusters: number, blocks: number, blocksAt: number): Buffer {
  const bytes = Buffer.alloc(refTableClusters * CLUSTER_BYTES);
  for (let block = 0; block < blocks; block += 1)
    bytes.writeBigUInt64BE(BigInt(blocksAt + block * CLUSTER_BYTES), block * 8);
  return bytes;
}

/** One counter for each cluster of the image. */
export function refBlock(block: number, clusters: number): Buffer {
  const used = Math.min(REFCOUNTS_PER_BLOCK, clusters - block * REFCOUNTS_PER_BLOCK);
  const bytes = Buffer.alloc(CLUSTER_BYTES);
  for (let at = 0; at < used; at += 1) bytes.writeUInt16BE(1, at * 2);
  return bytes;
}
