import { setImmediate as nextTurn } from "node:timers/promises";
import { SocleError } from "../errors.ts";
import { CLUSTER_BYTES, TABLE_CLUSTERS, TABLE_COVERS_BYTES } from "./cluster-map.ts";
import { LUKS_BYTES, SECTOR_BYTES, type Luks } from "./luks.ts";
import { clustersWith, HEADER_BYTES, MAGIC, refBlock, refTable, ZERO_FLAG } from "./qcow2-image.ts";

// A plain image in the order of `qcow2Image`, encrypted while it passes: QEMU encrypts the clusters with data, each sector by
// its place in the file, and no table. The LUKS header is behind the image's own, so that everything else moves up.

const LUKS_CLUSTERS = Math.ceil(LUKS_BYTES / CLUSTER_BYTES);
export const CRYPT_LUKS = 2;
export const CRYPTO_HEADER = 0x0537be77;
export const CRYPTO_HEADER_BYTES = 24;
/** What is encrypted in a turn of the event loop: a fast source and reader would leave it no other. */
const TURN_BYTES = 2 * CLUSTER_BYTES;
/** In the upper half of a reference. */
const COPIED = 2 ** 31;

interface Layout {
  readonly clusters: number;
  readonly blocks: number;
  readonly refTableClusters: number;
}

function layoutsOf(plainBytes: number): { readonly plain: Layout; readonly encrypted: Layout } {
  const clusters = plainBytes / CLUSTER_BYTES;
  if (!Number.isSafeInteger(clusters)) throw otherOrder(`it has ${plainBytes} bytes`);
  const blocks = Math.ceil(clusters / (CLUSTER_BYTES / 2));
  const refTableClusters = Math.ceil((blocks * 8) / CLUSTER_BYTES);
  const others = clusters - blocks - refTableClusters;
  return { plain: { clusters, blocks, refTableClusters }, encrypted: clustersWith(others + LUKS_CLUSTERS) };
}

/** The exact size of an encrypted image, by that of the plain one. */
export const encryptedBytes = (plainBytes: number): number =>
  layoutsOf(plainBytes).encrypted.clusters * CLUSTER_BYTES;

/** Throws `invalid` IMAGE_FORMAT_MISMATCH for an image that `qcow2Image` would not have written. */
export async function* encryptedImage(
  plainBytes: number,
  image: AsyncIterable<Buffer>,
  luks: Luks,
): AsyncGenerator<Buffer, void, undefined> {
  const source = new Clusters(image);
  try {
    yield* encrypted(plainBytes, source, luks);
  } finally {
    await source.close();
  }
}

async function* encrypted(
  plainBytes: number,
  source: Clusters,
  { header: luksHeader, cipher }: Luks,
): AsyncGenerator<Buffer, void, undefined> {
  const { plain, encrypted } = layoutsOf(plainBytes);
  const header = await source.next();
  const l1Clusters = requireOrder(header, plain);
  const l1Moved = LUKS_CLUSTERS;
  const moved =
    l1Moved + encrypted.blocks - plain.blocks + encrypted.refTableClusters - plain.refTableClusters;
  const refTableAt = 1 + l1Moved + l1Clusters;
  yield encryptedHeader(header, (1 + l1Moved) * CLUSTER_BYTES, refTableAt * CLUSTER_BYTES, encrypted);
  yield padded(luksHeader);
  const firstLevel: Buffer[] = [];
  for (let index = 0; index < l1Clusters; index += 1) firstLevel.push(await source.next());
  const l1 = Buffer.concat(firstLevel);
  yield movedReferences(l1, moved);
  for (let index = 0; index < plain.refTableClusters + plain.blocks; index += 1) await source.next();
  const blocksAt = (refTableAt + encrypted.refTableClusters) * CLUSTER_BYTES;
  yield refTable(encrypted.refTableClusters, encrypted.blocks, blocksAt);
  for (let block = 0; block < encrypted.blocks; block += 1) yield refBlock(block, encrypted.clusters);
  let at = 1 + l1Clusters + plain.refTableClusters + plain.blocks;
  for (let table = 0; table < l1.length / 8; table += 1) {
    if (!isReferred(l1, table, at)) continue;
    const l2 = await source.next();
    at += 1;
    let data = 0;
    for (let entry = 0; entry < TABLE_CLUSTERS; entry += 1)
      if (isReferred(l2, entry, at + data, true)) data += 1;
    yield movedReferences(l2, moved);
    for (const end = at + data; at < end; at += 1) {
      yield cipher.encrypt(await source.next(), ((at + moved) * CLUSTER_BYTES) / SECTOR_BYTES);
      if ((at * CLUSTER_BYTES) % TURN_BYTES === 0) await nextTurn();
    }
  }
  if (at !== plain.clusters) throw otherOrder(`${plain.clusters - at} of its clusters belong to no table`);
  await source.requireEnd();
}

/** Returns the number of clusters of the first table. */
function requireOrder(header: Buffer, { refTableClusters }: Layout): number {
  const capacityBytes = Number(header.readBigUInt64BE(24));
  const tables = Math.ceil(capacityBytes / TABLE_COVERS_BYTES);
  const l1Clusters = Math.max(1, Math.ceil((tables * 8) / CLUSTER_BYTES));
  // Without a file below it has no extensions; else there must be room for one more.
  const behind = header.readBigUInt64BE(8) === 0n ? HEADER_BYTES : CLUSTER_BYTES - CRYPTO_HEADER_BYTES;
  const isInOrder =
    header.readUInt32BE(0) === MAGIC &&
    header.readUInt32BE(4) === 3 &&
    header.readUInt32BE(20) === Math.log2(CLUSTER_BYTES) &&
    header.readUInt32BE(32) === 0 &&
    header.readUInt32BE(36) === tables &&
    Number(header.readBigUInt64BE(40)) === CLUSTER_BYTES &&
    Number(header.readBigUInt64BE(48)) === (1 + l1Clusters) * CLUSTER_BYTES &&
    header.readUInt32BE(56) === refTableClusters &&
    header.readUInt32BE(60) === 0 &&
    // Features: incompatible, compatible, of bitmaps and the like.
    header.subarray(72, 96).every((byte) => byte === 0) &&
    header.readUInt32BE(96) === 4 &&
    header.readUInt32BE(100) === HEADER_BYTES &&
    header.subarray(behind).every((byte) => byte === 0);
  if (!isInOrder) throw otherOrder("its header is another one");
  return l1Clusters;
}

function encryptedHeader(
  plain: Buffer,
  l1At: number,
  refTableAt: number,
  { refTableClusters }: Layout,
): Buffer {
  const bytes = Buffer.alloc(CLUSTER_BYTES);
  plain.copy(bytes, 0, 0, HEADER_BYTES);
  plain.copy(bytes, HEADER_BYTES + CRYPTO_HEADER_BYTES, HEADER_BYTES);
  const nameAt = plain.readBigUInt64BE(8);
  if (nameAt !== 0n) bytes.writeBigUInt64BE(nameAt + BigInt(CRYPTO_HEADER_BYTES), 8);
  bytes.writeUInt32BE(CRYPT_LUKS, 32);
  bytes.writeBigUInt64BE(BigInt(l1At), 40);
  bytes.writeBigUInt64BE(BigInt(refTableAt), 48);
  bytes.writeUInt32BE(refTableClusters, 56);
  bytes.writeUInt32BE(CRYPTO_HEADER, HEADER_BYTES);
  bytes.writeUInt32BE(CRYPTO_HEADER_BYTES - 8, HEADER_BYTES + 4);
  bytes.writeBigUInt64BE(BigInt(CLUSTER_BYTES), HEADER_BYTES + 8);
  bytes.writeBigUInt64BE(BigInt(LUKS_BYTES), HEADER_BYTES + 16);
  return bytes;
}

function padded(luksHeader: Buffer): Buffer {
  const bytes = Buffer.alloc(LUKS_CLUSTERS * CLUSTER_BYTES);
  luksHeader.copy(bytes);
  return bytes;
}

/** Whether an entry of a table refers to a cluster, which must be this one. */
function isReferred(table: Buffer, entry: number, cluster: number, mayBeZero = false): boolean {
  const [high, low] = [table.readUInt32BE(entry * 8), table.readUInt32BE(entry * 8 + 4)];
  if (high === 0 && (low === 0 || (mayBeZero && low === Number(ZERO_FLAG)))) return false;
  if (high < COPIED || (high - COPIED) * 2 ** 32 + low !== cluster * CLUSTER_BYTES)
    throw otherOrder("its tables refer to other clusters than the next");
  return true;
}

function movedReferences(table: Buffer, clusters: number): Buffer {
  const moved = Buffer.from(table);
  for (let place = 0; place < moved.length; place += 8) {
    const high = moved.readUInt32BE(place);
    if (high < COPIED) continue;
    const to = (high - COPIED) * 2 ** 32 + moved.readUInt32BE(place + 4) + clusters * CLUSTER_BYTES;
    moved.writeUInt32BE(COPIED + Math.floor(to / 2 ** 32), place);
    moved.writeUInt32BE(to % 2 ** 32, place + 4);
  }
  return moved;
}

/** Bytes in pieces of any size, as clusters. */
class Clusters {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(image: AsyncIterable<Buffer>) {
    this.#pieces = image[Symbol.asyncIterator]();
  }

  async next(): Promise<Buffer> {
    const parts: Buffer[] = [this.#rest];
    let length = this.#rest.length;
    while (length < CLUSTER_BYTES) {
      const piece = await this.#pieces.next();
      if (piece.done === true) throw otherOrder("it ends early");
      // A piece may change once the next one is taken.
      parts.push(length + piece.value.length < CLUSTER_BYTES ? Buffer.from(piece.value) : piece.value);
      length += piece.value.length;
    }
    const bytes = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = bytes.subarray(CLUSTER_BYTES);
    return bytes.subarray(0, CLUSTER_BYTES);
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async requireEnd(): Promise<void> {
    const piece = await this.#pieces.next();
    if (this.#rest.length > 0 || piece.done !== true) throw otherOrder("it is longer than its clusters");
  }
}

const otherOrder = (why: string): SocleError =>
  new SocleError(
    "invalid",
    "IMAGE_FORMAT_MISMATCH",
    `an encrypted disk takes an image with its clusters in the order of socle vm backup alone: ${why}; restore it with socle vm restore`,
  );
