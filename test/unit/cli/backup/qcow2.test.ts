import assert from "node:assert/strict";
import test from "node:test";
import type { ByteSource } from "../../../../agent/cli/backup/byte-source.ts";
import { ClusterFeed, type Piece } from "../../../../agent/cli/backup/cluster-feed.ts";
import { CLUSTER_BYTES, ClusterMap, TABLE_COVERS_BYTES } from "../../../../agent/kernel/qcow2/cluster-map.ts";
import { Qcow2Chain, Qcow2File } from "../../../../agent/cli/backup/qcow2-file.ts";
import { imageBytes, qcow2Image, type Backing } from "../../../../agent/kernel/qcow2/qcow2-image.ts";

// qemu-img judges whole images in test/integration/backup-files.test.ts.

const TIB = 2 ** 40;
const data = (offsetBytes: number, text: string): Piece => ({
  offsetBytes,
  lengthBytes: text.length,
  bytes: Buffer.from(text),
});
const zeros = (offsetBytes: number, lengthBytes: number): Piece => ({ offsetBytes, lengthBytes });

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  for (const item of items) yield await Promise.resolve(item);
}

async function image(
  capacityBytes: number,
  pieces: readonly Piece[],
  over?: { readonly chain: Qcow2Chain; readonly backing: Backing },
): Promise<Buffer> {
  const map = new ClusterMap(capacityBytes, over !== undefined);
  for (const { offsetBytes, lengthBytes, bytes } of pieces)
    map.mark(offsetBytes, lengthBytes, bytes === undefined ? "zero" : "data");
  const feed = new ClusterFeed(each(pieces), over && ((at, length) => over.chain.read(at, length)));
  const parts: Buffer[] = [];
  for await (const part of qcow2Image(map, (index) => feed.cluster(index), over?.backing)) parts.push(part);
  await feed.finish();
  const bytes = Buffer.concat(parts);
  assert.equal(bytes.length, imageBytes(map));
  return bytes;
}

const source = (bytes: Buffer): ByteSource => ({
  name: "image",
  sizeBytes: bytes.length,
  read: (at, length) => Promise.resolve(bytes.subarray(at, at + length)),
  close: () => Promise.resolve(),
});
const chainOf = async (...images: readonly Buffer[]): Promise<Qcow2Chain> =>
  new Qcow2Chain(await Promise.all(images.map((bytes) => Qcow2File.open(source(bytes)))));

test("a chain reads as the newest image has it, and as those below where it has nothing", async () => {
  const capacity = TABLE_COVERS_BYTES + 3 * CLUSTER_BYTES + 512;
  const base = await image(capacity, [
    data(0, "first"),
    data(CLUSTER_BYTES, "second"),
    data(TABLE_COVERS_BYTES, "far"),
    data(capacity - 4, "last"),
  ]);
  const below = await chainOf(base);
  const over = { chain: below, backing: { file: "base.qcow2", format: "qcow2" } as const };
  // A part of a cluster, whole zeros, and zeros in a part.
  const top = await image(
    capacity,
    [data(2, "XX"), zeros(CLUSTER_BYTES, CLUSTER_BYTES), zeros(TABLE_COVERS_BYTES + 1, 1)],
    over,
  );
  const chain = await chainOf(top, base);
  const text = async (at: number, length: number): Promise<string> =>
    (await chain.read(at, length)).toString("latin1");
  assert.equal(await text(0, 5), "fiXXt");
  assert.equal(await text(CLUSTER_BYTES, 6), "\0".repeat(6));
  assert.equal(await text(TABLE_COVERS_BYTES, 3), "f\0r");
  assert.equal(await text(capacity - 4, 4), "last");
  assert.equal((await Qcow2File.open(source(top))).backing, "base.qcow2");
  // Flattened, the zeros are no clusters.
  assert.equal((await chain.map()).dataClusters, 3);
});

test("an image of a disk of 1 TiB takes memory and bytes for what it has, not for its size", async () => {
  const bytes = await image(TIB, [data(TIB / 2, "middle"), data(TIB - 3, "end")]);
  // A header, a first table, a counter with its table, and two clusters with their tables.
  assert.equal(bytes.length, 8 * CLUSTER_BYTES);
  const map = new ClusterMap(TIB, false);
  map.mark(0, TIB, "data");
  assert.equal(map.dataClusters, TIB / CLUSTER_BYTES);
  const overhead = imageBytes(map) / TIB;
  assert.ok(overhead > 1 && overhead < 1.0003, String(overhead));
});

test("references beyond 4 GiB are whole", async () => {
  const capacity = 9 * TABLE_COVERS_BYTES;
  const map = new ClusterMap(capacity, false);
  map.mark(0, capacity, "data");
  const cluster = Buffer.alloc(CLUSTER_BYTES);
  const tables: Buffer[] = [];
  let at = 0;
  let firstLevel: Buffer | undefined;
  for await (const part of qcow2Image(map, () => Promise.resolve(cluster))) {
    if (at === CLUSTER_BYTES) firstLevel = part;
    const isTable = firstLevel?.readBigUInt64BE(tables.length * 8) === BigInt(at) + 2n ** 63n;
    if (isTable) tables.push(part);
    at += part.length;
  }
  assert.equal(tables.length, 9);
  // The last cluster of the disk is the last one of the file.
  assert.equal(tables.at(-1)?.readBigUInt64BE(CLUSTER_BYTES - 8), BigInt(at - CLUSTER_BYTES) + 2n ** 63n);
  // A map is asked for its tables often, and sorts them once.
  assert.equal(map.usedTables, map.usedTables);
  const growing = new ClusterMap(capacity, false);
  for (const table of [3, 1]) {
    growing.mark(table * TABLE_COVERS_BYTES, 1, "data");
    assert.ok(growing.usedTables.includes(table));
  }
  assert.deepEqual(growing.usedTables, [1, 3]);
});

test("pieces that overlap, or with data that no extent announced, are refused", async () => {
  const wrong = { reason: "EXTENTS_INVALID" };
  await assert.rejects(image(CLUSTER_BYTES, [data(10, "abc"), data(11, "d")]), wrong);
  // The agent announces data, and sends none.
  const silent = new ClusterFeed(each([data(0, "asked")]));
  await silent.cluster(0);
  await assert.rejects(silent.cluster(1), wrong);
  await assert.rejects(new ClusterFeed(each([data(CLUSTER_BYTES, "later")])).cluster(0), wrong);
  const feed = new ClusterFeed(each([data(0, "hidden"), data(CLUSTER_BYTES, "asked")]));
  await assert.rejects(feed.cluster(1), wrong);
  const rest = new ClusterFeed(each([data(0, "asked"), data(CLUSTER_BYTES, "hidden")]));
  await rest.cluster(0);
  await assert.rejects(rest.finish(), wrong);
  assert.throws(() => new ClusterMap(100, false).mark(99, 2, "data"), RangeError);
});

test("an image that is no backup's, or leads out of itself, is refused", async () => {
  const good = await image(4 * CLUSTER_BYTES, [data(0, "a")]);
  const damaged = { reason: "BACKUP_DAMAGED" };
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes.writeUInt32BE(value, at);
    return bytes;
  };
  // The magic, the version, the cluster size, the encryption, the snapshots, an incompatible feature, the first table.
  for (const [at, value] of [
    [0, 1],
    [4, 2],
    [20, 12],
    [32, 1],
    [32, 2],
    [60, 1],
    [76, 4],
    [36, 9],
  ] as const)
    await assert.rejects(Qcow2File.open(source(changed(at, value))), damaged, `at ${at}`);
  await assert.rejects(Qcow2File.open(source(good.subarray(0, 1000))), damaged);
  // An entry of the second table behind the end.
  const l2 = 4 * CLUSTER_BYTES;
  const behind = Buffer.from(good);
  behind.writeBigUInt64BE(BigInt(1000 * CLUSTER_BYTES) | (1n << 63n), l2);
  await assert.rejects((await chainOf(behind)).read(0, 1), damaged);
  behind.writeBigUInt64BE(1n << 62n, l2);
  await assert.rejects((await chainOf(behind)).map(), damaged);
});
