import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { isoImage } from "../../../../agent/vm/storage/iso9660.ts";

const run = promisify(execFile);
const SECTOR = 2048;
const files = [
  { name: "user-data", data: Buffer.from("#cloud-config\n") },
  { name: "empty", data: new Uint8Array() },
  { name: "large.bin", data: Buffer.alloc(3 * SECTOR + 1, "socle") },
];
const SIZE = 64 * 1024;

const isInstalled = (program: string, ...args: string[]): Promise<boolean> =>
  run(program, args).then(
    () => true,
    () => false,
  );
const tools = { blkid: await isInstalled("blkid", "-V"), xorriso: await isInstalled("xorriso", "-version") };

test("an image has the wanted size, and its files are in it once, at the sectors that both directories name", () => {
  const image = isoImage("cidata", files, SIZE);
  assert.equal(image.length, SIZE);
  for (const [descriptor, encode] of [
    [16, (name: string) => Buffer.from(name.toUpperCase(), "latin1")],
    [17, (name: string) => Buffer.from(name, "utf16le").swap16()],
  ] as const) {
    const root = image.readUInt32LE(descriptor * SECTOR + 156 + 2);
    const directory = image.subarray(root * SECTOR, (root + 1) * SECTOR);
    for (const { name, data } of files) {
      const at = directory.indexOf(encode(name)) - 33;
      assert.ok(at > 0, name);
      // Both byte orders.
      const [sector, bytes] = [directory.readUInt32LE(at + 2), directory.readUInt32LE(at + 10)];
      assert.deepEqual([directory.readUInt32BE(at + 6), directory.readUInt32BE(at + 14)], [sector, bytes]);
      const found = image.subarray(sector * SECTOR, sector * SECTOR + bytes);
      assert.deepEqual(found, Buffer.from(data), name);
    }
  }
});

test("equal files give equal bytes in any order, and another byte gives others", () => {
  const image = isoImage("cidata", files, SIZE);
  assert.deepEqual(isoImage("cidata", [...files].reverse(), SIZE), image);
  const other = [{ name: "user-data", data: Buffer.from("#cloud-config ") }, ...files.slice(1)];
  assert.notDeepEqual(isoImage("cidata", other, SIZE), image);
});

test("files that do not fit, or too many names, are refused", () => {
  const exact = SIZE - 25 * SECTOR;
  isoImage("cidata", [{ name: "a", data: Buffer.alloc(exact) }], SIZE);
  assert.throws(() => isoImage("cidata", [{ name: "a", data: Buffer.alloc(exact + 1) }], SIZE), RangeError);
  const many = Array.from({ length: 60 }, (_, index) => ({ name: `f${index}`, data: new Uint8Array() }));
  assert.throws(() => isoImage("cidata", many, SIZE), RangeError);
});

test("blkid finds the label", { skip: tools.blkid ? false : "blkid is not installed" }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-iso-"));
  t.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "seed.iso");
  await writeFile(file, isoImage("cidata", files, SIZE));
  const { stdout } = await run("blkid", ["-p", "-o", "export", file]);
  assert.match(stdout, /^LABEL=cidata$/m);
  assert.match(stdout, /^TYPE=iso9660$/m);
});

for (const [tree, names] of [
  ["norock", "Joliet"],
  ["ecma119", "ISO 9660"],
] as const)
  test(
    `xorriso reads the files by their ${names} names`,
    { skip: tools.xorriso ? false : "xorriso is not installed" },
    async (t) => {
      const directory = await mkdtemp(join(tmpdir(), "socle-iso-"));
      t.after(() => rm(directory, { recursive: true }));
      const file = join(directory, "seed.iso");
      await writeFile(file, isoImage("cidata", files, SIZE));
      // As Linux shows the names of ISO 9660.
      const input = ["-read_fs", tree, "-ecma119_map", "lowercase", "-indev", `stdio:${file}`];
      const out = join(directory, "out");
      const { stderr } = await run("xorriso", [...input, "-osirrox", "on", "-extract", "/", out]);
      assert.doesNotMatch(stderr, /SORRY|FAILURE|WARNING/);
      for (const { name, data } of files)
        assert.deepEqual(await readFile(join(out, name)), Buffer.from(data), name);
    },
  );
