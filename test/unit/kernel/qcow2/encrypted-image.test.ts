import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { CLUSTER_BYTES, ClusterMap, TABLE_COVERS_BYTES } from "../../../../agent/kernel/qcow2/cluster-map.ts";
import { encryptedBytes, encryptedImage } from "../../../../agent/kernel/qcow2/encrypted-image.ts";
import { isOwnLuks, LUKS_BYTES, makeLuks, openLuks, type Luks } from "../../../../agent/kernel/qcow2/luks.ts";
import {
  HEADER_BYTES,
  imageBytes,
  qcow2Image,
  type Backing,
} from "../../../../agent/kernel/qcow2/qcow2-image.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const passphrase = Buffer.from("correct horse – battery staple\n");
const noQemu = spawnSync("qemu-img", ["--version"]).status === 0 ? false : "qemu-img is not installed";

/** Offsets with the bytes of a cluster. */
type Data = ReadonlyMap<number, Buffer>;
const clusters = (...offsets: readonly number[]): Data =>
  new Map(offsets.map((offset) => [offset, randomBytes(CLUSTER_BYTES)]));

function plainImage(capacityBytes: number, data: Data, backing?: Backing) {
  const map = new ClusterMap(capacityBytes, backing !== undefined);
  for (const offset of data.keys()) map.mark(offset, Math.min(CLUSTER_BYTES, capacityBytes - offset), "data");
  const image = () =>
    qcow2Image(map, (index) => Promise.resolve(data.get(index * CLUSTER_BYTES) ?? assert.fail()), backing);
  return { sizeBytes: imageBytes(map), image };
}

/** In pieces of another size than clusters. */
async function* inPieces(image: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  for await (const chunk of image)
    for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes);
}

async function encrypted(plain: ReturnType<typeof plainImage>, luks: Luks, piece = 40_000): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of encryptedImage(plain.sizeBytes, inPieces(plain.image(), piece), luks))
    parts.push(part);
  const bytes = Buffer.concat(parts);
  assert.equal(bytes.length, encryptedBytes(plain.sizeBytes));
  return bytes;
}

test("a header opens with its passphrase, and with no other", async () => {
  const { header, cipher } = await makeLuks(passphrase, "chosenByPeople");
  assert.equal(header.length, LUKS_BYTES);
  assert.ok(isOwnLuks(header));
  assert.equal(await openLuks(header, Buffer.from("correct horse – battery staple")), undefined);
  const opened = await openLuks(header, passphrase);
  const text = Buffer.from("a".repeat(1024));
  assert.deepEqual(opened?.decrypt(cipher.encrypt(text, 7), 7), text);
  assert.notDeepEqual(opened.decrypt(cipher.encrypt(text, 7), 8), text);
  // Another cipher, hash, version; iterations that would take a day.
  for (const [place, value] of [
    [8, 1],
    [72, 1],
    [6, 2],
    [212, 0xffffffff],
  ] as const) {
    const changed = Buffer.from(header);
    changed.writeUInt32BE(value, place);
    assert.ok(!isOwnLuks(changed), String(place));
  }
});

test("the size of an encrypted image is known before, also where its counters need one more block", () => {
  // 32,768 clusters have one block of counters: with the header of LUKS they are more.
  for (const clusters of [8, 32_000, 32_735, 32_736, 32_737, 32_768, 100_000]) {
    const grown = encryptedBytes(clusters * CLUSTER_BYTES) / CLUSTER_BYTES - clusters;
    assert.equal(
      grown,
      32 + Math.ceil((clusters + 32) / 32_768) - Math.ceil(clusters / 32_768),
      String(clusters),
    );
  }
});

test("an image in another order, or of another length, is refused", async () => {
  const luks: Luks = { header: Buffer.alloc(LUKS_BYTES), cipher: await anyCipher() };
  const plain = plainImage(8 * MIB, clusters(0, 4 * MIB));
  const good: Buffer[] = [];
  for await (const part of plain.image()) good.push(part);
  const bytes = Buffer.concat(good);
  const through = async (image: Buffer, sizeBytes = image.length): Promise<void> => {
    for await (const _ of encryptedImage(sizeBytes, each(image), luks));
  };
  await through(bytes);
  const changed = (at: number, value: number): Buffer => {
    const image = Buffer.from(bytes);
    image.writeUInt32BE(value, at);
    return image;
  };
  const l2 = 4 * CLUSTER_BYTES;
  // The header: version, encryption, snapshots, a feature. The tables: into the header, without the flag, compressed.
  for (const [at, value] of [
    [4, 2],
    [32, 2],
    [60, 1],
    [76, 1],
    [56, 2],
    // Extensions, which may name another encryption.
    [HEADER_BYTES, 0x0537be77],
    [HEADER_BYTES + 24, 1],
    [CLUSTER_BYTES + 4, 0],
    [l2 + 4, 0],
    [l2, 0],
    [l2, 2 ** 30],
  ] as const)
    await assert.rejects(through(changed(at, value)), { reason: "IMAGE_FORMAT_MISMATCH" }, `at ${at}`);
  for (const image of [
    bytes.subarray(0, -1),
    bytes.subarray(0, -CLUSTER_BYTES),
    Buffer.concat([bytes, bytes]),
  ])
    await assert.rejects(through(image), { reason: "IMAGE_FORMAT_MISMATCH" });
  await assert.rejects(through(bytes, bytes.length + CLUSTER_BYTES), { reason: "IMAGE_FORMAT_MISMATCH" });
});

test("other work runs while much is encrypted at once", async () => {
  const count = 64;
  const luks: Luks = { header: Buffer.alloc(LUKS_BYTES), cipher: await anyCipher() };
  const offsets = Array.from({ length: count }, (_, index) => index * CLUSTER_BYTES);
  const plain = plainImage(count * CLUSTER_BYTES, clusters(...offsets));
  let turns = 0;
  let isOver = false;
  const other = (): void => {
    turns += 1;
    if (!isOver) setImmediate(other);
  };
  setImmediate(other);
  for await (const _ of encryptedImage(plain.sizeBytes, plain.image(), luks));
  isOver = true;
  assert.ok(turns >= count / 2, String(turns));
});

const anyCipher = async () => (await makeLuks(passphrase, "random")).cipher;
async function* each(image: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(image);
}

suite("qemu-img reads encrypted images", { skip: noQemu }, () => {
  let directory: string;
  let secret: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-luks-"));
    await writeFile((secret = join(directory, "passphrase")), passphrase, { mode: 0o600 });
  });
  after(() => rm(directory, { recursive: true }));

  const options = (file: string, more = ""): string[] => [
    ...["--object", `secret,id=key,file=${secret}`],
    ...["--image-opts", `driver=qcow2,file.filename=${join(directory, file)},encrypt.key-secret=key${more}`],
  ];
  const write = async (file: string, bytes: Buffer): Promise<void> =>
    await writeFile(join(directory, file), bytes);
  const qemuImg = async (command: string, ...line: readonly string[]): Promise<string> =>
    (await run("qemu-img", [command, ...line])).stdout;
  const asRaw = async (file: string, raw: string, more?: string): Promise<void> => {
    await qemuImg("convert", ...options(file, more), "-O", "raw", join(directory, raw));
  };
  const same = async (raw: string, plain: string): Promise<void> => {
    const formats = ["-f", "raw", "-F", "qcow2"];
    await qemuImg("compare", ...formats, join(directory, raw), join(directory, plain));
  };
  async function whole(image: AsyncIterable<Buffer>): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of image) parts.push(part);
    return Buffer.concat(parts);
  }

  test("an image and an overlay have the same bytes as without encryption, and none of them in clear", async () => {
    const capacity = TABLE_COVERS_BYTES + 3 * CLUSTER_BYTES + 512;
    const last = Math.floor(capacity / CLUSTER_BYTES) * CLUSTER_BYTES;
    const below = clusters(0, CLUSTER_BYTES, 100 * MIB, TABLE_COVERS_BYTES, last);
    const base = plainImage(capacity, below);
    await write("plain-base.qcow2", await whole(base.image()));
    const bytes = await encrypted(base, await makeLuks(passphrase, "random"));
    for (const data of below.values()) assert.ok(!bytes.includes(data.subarray(0, 32)));
    await write("base.qcow2", bytes);
    assert.match(await qemuImg("check", ...options("base.qcow2")), /No errors were found/);
    await asRaw("base.qcow2", "base.raw");
    await same("base.raw", "plain-base.qcow2");
    const above = clusters(CLUSTER_BYTES, 200 * MIB);
    const plainTop = plainImage(capacity, above, { file: "plain-base.qcow2", format: "qcow2" });
    await write("plain-top.qcow2", await whole(plainTop.image()));
    const top = plainImage(capacity, above, { file: "base.qcow2", format: "qcow2" });
    await write("top.qcow2", await encrypted(top, await makeLuks(passphrase, "random")));
    await asRaw("top.qcow2", "top.raw", ",backing.encrypt.key-secret=key");
    await same("top.raw", "plain-top.qcow2");
    await writeFile(secret, "another");
    await assert.rejects(asRaw("base.qcow2", "none.raw"), /Invalid password/);
    await writeFile(secret, passphrase);
  });

  test("the counters of references are whole where they need one more block", async () => {
    const offsets = Array.from({ length: 32_733 }, (_, index) => index * CLUSTER_BYTES);
    const zeros = Buffer.alloc(CLUSTER_BYTES);
    const data: Data = new Map(offsets.map((offset) => [offset, zeros]));
    const plain = plainImage(offsets.length * CLUSTER_BYTES, data);
    const { header } = await makeLuks(passphrase, "random");
    // Not the encryption is judged here.
    const luks = { header, cipher: { encrypt: (bytes: Buffer) => bytes } as unknown as Luks["cipher"] };
    const path = join(directory, "large.qcow2");
    const file = await open(path, "w");
    let at = 0;
    for await (const part of encryptedImage(plain.sizeBytes, plain.image(), luks)) {
      if (!part.equals(zeros)) await file.write(part, 0, part.length, at);
      at += part.length;
    }
    await file.truncate(at);
    await file.close();
    assert.match(await qemuImg("check", ...options("large.qcow2")), /No errors were found/);
    await rm(path);
  });

  test("sectors that were encrypted as others are read as other bytes", async () => {
    const plain = plainImage(8 * MIB, clusters(0, MIB));
    await write("plain.qcow2", await whole(plain.image()));
    const { header, cipher } = await makeLuks(passphrase, "random");
    const shifted = { encrypt: (bytes: Buffer, first: number) => cipher.encrypt(bytes, first + 1) };
    await write(
      "shifted.qcow2",
      await encrypted(plain, { header, cipher: shifted as unknown as Luks["cipher"] }),
    );
    await asRaw("shifted.qcow2", "shifted.raw");
    await assert.rejects(same("shifted.raw", "plain.qcow2"), { code: 1 });
  });

  test("a header that QEMU made opens, and its image's sectors are decrypted", async () => {
    const path = join(directory, "qemu.qcow2");
    const made = [
      "-f",
      "qcow2",
      "-o",
      "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10",
      path,
      "1M",
    ];
    await qemuImg("create", "--object", `secret,id=key,file=${secret}`, ...made);
    await run("qemu-io", [...options("qemu.qcow2"), "-c", "write -P 77 0 64k"]);
    const bytes = await readFile(path);
    const luksAt = bytes.indexOf("LUKS\xba\xbe", 0, "latin1");
    const cipher = await openLuks(bytes.subarray(luksAt, luksAt + LUKS_BYTES), passphrase);
    const l1At = Number(bytes.readBigUInt64BE(40));
    const l2At = Number(bytes.readBigUInt64BE(l1At) & 0xffff_ffff_ffffn);
    const dataAt = Number(bytes.readBigUInt64BE(l2At) & 0xffff_ffff_ffffn);
    const data = cipher?.decrypt(bytes.subarray(dataAt, dataAt + CLUSTER_BYTES), dataAt / 512);
    assert.deepEqual(data, Buffer.alloc(CLUSTER_BYTES, 77));
  });
});
