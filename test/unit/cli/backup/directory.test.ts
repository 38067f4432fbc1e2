import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import test, { type TestContext } from "node:test";
import { DirectoryLock } from "../../../../agent/cli/backup/directory-lock.ts";
import { removeLeftovers, writePart } from "../../../../agent/cli/backup/backup-directory.ts";
import { openFile } from "../../../../agent/cli/backup/byte-source.ts";
import { nameFiles, newFileOf } from "../../../../agent/cli/backup/new-files.ts";
import {
  chainOf,
  manifestOf,
  manifestText,
  parseManifest,
  readManifest,
  writeManifest,
} from "../../../../agent/cli/backup/manifest.ts";
import { restoredSpec } from "../../../../agent/cli/backup/restored-spec.ts";
import { smallDisk } from "../../../support/small-disk.ts";

async function folder(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-unit-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const disk = (file: string, base?: string) => ({
  disk: "root",
  file,
  format: "qcow2" as const,
  capacityBytes: 1024,
  ...(base !== undefined && { base }),
  sha256: "0".repeat(64),
  sizeBytes: 10,
});
const backup = (id: string, disks: ReturnType<typeof disk>[], spec: Record<string, unknown> = {}) => ({
  id,
  createdAt: "2026-01-01T00:00:00.000Z",
  quiesced: false,
  spec,
  disks,
});
const vm = { id: "8d7e0f0e-5d9c-4c3b-a6e4-0c1f4f6e2a11", name: "web" };

test("a directory has one backup at a time, and the lock of a process that is gone is taken over", async (context) => {
  const directory = await folder(context);
  const lock = await DirectoryLock.take(directory);
  await assert.rejects(DirectoryLock.take(directory), {
    reason: "BACKUP_DIRECTORY_BUSY",
    message: new RegExp(`process ${process.pid} `),
  });
  await lock.release();
  assert.deepEqual(await readdir(directory), []);
  const held = async (holder: object): Promise<void> =>
    await writeFile(join(directory, "backup.lock"), JSON.stringify(holder));
  // A number that a later process has.
  await held({ pid: process.pid, startedAt: "1", host: hostname() });
  await (await DirectoryLock.take(directory)).release();
  // Whether a process of another host lives is not known here.
  await held({ pid: 1, startedAt: "1", host: "another" });
  await assert.rejects(DirectoryLock.take(directory), { reason: "BACKUP_DIRECTORY_BUSY" });
  assert.match(await readFile(join(directory, "backup.lock"), "utf8"), /another/);
});

test("a manifest that names files outside of its directory, or no chain, is refused", () => {
  const chained = manifestOf(vm, [backup("1", [disk("a.qcow2")]), backup("2", [disk("b.qcow2", "a.qcow2")])]);
  const read = parseManifest(manifestText(chained), "here");
  assert.deepEqual(read, chained);
  const newest = read.backups[1]?.disks[0] ?? assert.fail();
  assert.deepEqual(
    chainOf(read, newest).map(({ file }) => file),
    ["b.qcow2", "a.qcow2"],
  );
  const damaged = { reason: "BACKUP_DAMAGED" };
  for (const file of ["../a.qcow2", "/etc/passwd", ".hidden", "a/b", "a:b", ""])
    assert.throws(
      () => parseManifest(manifestText(manifestOf(vm, [backup("1", [disk(file)])])), "here"),
      damaged,
      file,
    );
  assert.throws(() => parseManifest("{", "here"), damaged);
  const twice = manifestOf(vm, [backup("1", [disk("a.qcow2")]), backup("2", [disk("a.qcow2")])]);
  assert.throws(() => parseManifest(manifestText(twice), "here"), damaged);
  const loop = manifestOf(vm, [backup("1", [disk("a.qcow2", "b.qcow2"), disk("b.qcow2", "a.qcow2")])]);
  assert.throws(() => chainOf(loop, disk("a.qcow2", "b.qcow2")), damaged);
  assert.throws(() => chainOf(chained, disk("c.qcow2", "gone.qcow2")), damaged);
});

test("the spec of a restored VM has plain new disks, and no address or id of the VM before", () => {
  const spec = {
    name: "web",
    vmId: vm.id,
    vcpus: 2,
    disks: [
      {
        name: "root",
        volume: null,
        newVolume: {
          pool: "fast",
          capacityBytes: 512,
          format: "DISK_FORMAT_RAW",
          baseVolume: "debian.qcow2",
          image: "",
        },
        limits: { totalIops: 5 },
        source: "newVolume",
      },
      { name: "tools", volume: { pool: "iso", volume: "tools.iso" }, newVolume: null, readOnly: true },
      { name: "scratch", volume: { pool: "fast", volume: "scratch" }, newVolume: null, readOnly: false },
    ],
    nics: [{ name: "front", network: "default", mac: "52:54:00:00:00:01" }],
    bootOrder: ["scratch", "root", "front"],
    cloudInit: { hostname: "web" },
  };
  const of = backup("1", [disk("a.qcow2")], spec);
  const { spec: made, disks, notes } = restoredSpec({ vm }, of, "new-id", { name: "again", pool: "slow" });
  assert.equal(made.name, "again");
  assert.equal(made.vmId, "new-id");
  assert.equal(made.cloudInit, null);
  const devices = made.disks ?? [];
  const newVolume = { pool: "slow", capacityBytes: 1024, format: "DISK_FORMAT_QCOW2" };
  assert.deepEqual(
    devices.map((each) => [each.newVolume, each.limits]),
    [
      [newVolume, { totalIops: 5 }],
      [null, undefined],
    ],
  );
  assert.deepEqual(
    devices.map(({ name }) => name),
    ["root", "tools"],
  );
  assert.equal(made.nics?.[0]?.mac, "");
  assert.deepEqual(made.bootOrder, ["root", "front"]);
  assert.deepEqual(
    disks.map(({ file }) => file),
    ["a.qcow2"],
  );
  assert.match(notes.join("\n"), /disk scratch is not in the backup[\s\S]*cloud-init/);
  const kept = restoredSpec({ vm }, of, "new-id", { id: "keep", keepMacs: true });
  assert.deepEqual([kept.spec.vmId, kept.spec.name], [vm.id, "web"]);
  assert.equal(kept.spec.nics?.[0]?.mac, "52:54:00:00:00:01");
});

test("a disk that is encrypted in the backup alone is named", () => {
  const notesOf = (encryption: string | undefined): readonly string[] => {
    const spec = { disks: [{ name: "root", newVolume: { pool: "fast", encryption } }] };
    const stored = { ...disk("a.qcow2"), encryption: "luks" as const };
    return restoredSpec({ vm }, backup("1", [stored], spec), "new-id", {}).notes;
  };
  assert.deepEqual(notesOf("VOLUME_ENCRYPTION_LUKS"), []);
  for (const encryption of ["VOLUME_ENCRYPTION_UNSPECIFIED", undefined])
    assert.deepEqual(notesOf(encryption), ["its disk root is not encrypted on the host"]);
});

test("a manifest with another shape of spec is refused by the name of the field", () => {
  for (const [spec, field] of [
    [{ disks: 5 }, "disks"],
    [{ disks: [null] }, "disks.0"],
    [{ disks: [{ name: 5 }] }, "disks.0.name"],
    [{ disks: [{ name: "root", newVolume: "x" }] }, "disks.0.newVolume"],
    [{ disks: [{ name: "root", cdrom: { volume: 1 } }] }, "disks.0.cdrom.volume"],
    [{ nics: "front" }, "nics"],
    [{ bootOrder: [{}] }, "bootOrder.0"],
    [{ nics: [{ allowSpoofing: "true" }] }, "nics.0.allowSpoofing"],
    [{ placement: { devices: [5] } }, "placement.devices.0"],
    [{ kernelBoot: { kernel: [] } }, "kernelBoot.kernel"],
  ] as const)
    assert.throws(
      () => parseManifest(manifestText(manifestOf(vm, [backup("1", [disk("a.qcow2")], spec)])), "here"),
      {
        reason: "BACKUP_DAMAGED",
        message: new RegExp(`here is no manifest.*backups\\.0\\.spec\\.${field} `),
      },
    );
});

test("the leftovers of backups are removed, and no other file of the directory", async (context) => {
  const directory = await folder(context);
  const foreign = ["data.b7.qcow2", "movie.b7.qcow2", "root.0123456789abcdef.qcow2.part"];
  for (const name of foreign) await writeFile(join(directory, name), "");
  // It was being written, was named, is in the manifest, and lost its name to another program's file.
  const left = ["log", "root", "kept", "data"].map((name) => newFileOf(`${name}.b7.qcow2`));
  for (const { part } of left) await writeFile(join(directory, part), "");
  await nameFiles(directory, left.slice(1, 3));
  await writeFile(join(directory, "manifest.json.part"), "");
  await removeLeftovers(directory, manifestOf(vm, [backup("b7", [disk("kept.b7.qcow2")])]), left);
  assert.deepEqual((await readdir(directory)).sort(), [...foreign, "kept.b7.qcow2"].sort());
  // Again, as after a crash.
  await removeLeftovers(directory, undefined, left);
  assert.deepEqual((await readdir(directory)).sort(), [...foreign, "kept.b7.qcow2"].sort());
});

test("a FIFO, a folder or a device in the place of a file is refused without a wait for its other end", async (context) => {
  const directory = await folder(context);
  const fifo = join(directory, "manifest.json");
  execFileSync("mkfifo", [fifo, `${fifo}.part`]);
  const refused = { reason: "FILE_UNREADABLE" };
  await assert.rejects(openFile(fifo), refused);
  await assert.rejects(openFile(directory), refused);
  await assert.rejects(openFile("/dev/zero"), refused);
  await assert.rejects(readManifest(directory), refused);
  const manifest = manifestOf(vm, [backup("1", [disk("a.qcow2")])]);
  await assert.rejects(writeManifest(directory, manifest), { code: "ENXIO" });
  await rm(`${fifo}.part`);
  await symlink(join(directory, "target"), `${fifo}.part`);
  await assert.rejects(writeManifest(directory, manifest), { code: "ELOOP" });
  assert.deepEqual((await readdir(directory)).sort(), ["manifest.json", "manifest.json.part"]);
});

test("a file has the bytes of its chunks, whatever their sizes, and their digest", async (context) => {
  const directory = await folder(context);
  const many = Array.from({ length: 24 }, (_, index) => 2 ** 19 + index);
  for (const [at, sizes] of [[0], [1], [2 ** 20], [700_001, 3 * 2 ** 20 + 5, 64 * 1024, 9], many].entries()) {
    const chunks = sizes.map((size, index) => Buffer.alloc(size, `${at} ${index} `));
    const written = await writePart(directory, `${at}`, Readable.from(chunks));
    const found = await readFile(join(directory, `${at}`));
    assert.ok(found.equals(Buffer.concat(chunks)));
    const sha256 = createHash("sha256").update(found).digest("hex");
    assert.deepEqual(written, { sha256, sizeBytes: found.length });
  }
});

test("a file has its digest also where Node starts no thread, as in a working directory that is gone", async (context) => {
  const [directory, gone] = [await folder(context), await folder(context)];
  const before = process.cwd();
  context.after(() => process.chdir(before));
  process.chdir(gone);
  await rm(gone, { recursive: true });
  const written = await writePart(
    directory,
    "disk",
    Readable.from([Buffer.alloc(6 * 2 ** 20, 7), Buffer.alloc(9, 8)]),
  );
  const found = await readFile(join(directory, "disk"));
  assert.equal(found.length, 6 * 2 ** 20 + 9);
  assert.deepEqual(written, {
    sha256: createHash("sha256").update(found).digest("hex"),
    sizeBytes: found.length,
  });
});

test("a file whose chunks fail is not reported as written", async (context) => {
  const directory = await folder(context);
  const fails = async function* (): AsyncGenerator<Buffer> {
    await Promise.resolve();
    yield Buffer.alloc(3 * 2 ** 20);
    throw new Error("the reader is gone");
  };
  await assert.rejects(writePart(directory, "read", fails()), { message: "the reader is gone" });
});

test("a full disk ends the writing of a file, also in its last piece", async (context) => {
  const small = await smallDisk(context);
  if (small === undefined) return;
  for (const mib of [2, 5]) {
    const chunks = Array.from({ length: mib }, () => Buffer.alloc(2 ** 20));
    await assert.rejects(writePart(small, `${mib}`, Readable.from(chunks)), { code: "ENOSPC" });
  }
});
