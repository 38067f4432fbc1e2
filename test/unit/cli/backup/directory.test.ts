import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { DirectoryLock } from "../../../../agent/cli/backup/directory-lock.ts";
import { chainOf, manifestOf, manifestText, parseManifest } from "../../../../agent/cli/backup/manifest.ts";
import { restoredSpec } from "../../../../agent/cli/backup/restored-spec.ts";

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
  await lock.note("b1");
  await lock.release();
  assert.deepEqual(await readdir(directory), []);
  const held = async (holder: object): Promise<void> =>
    await writeFile(join(directory, "backup.lock"), JSON.stringify(holder));
  // A number that a later process has.
  await held({ pid: process.pid, startedAt: "1", host: hostname(), backupId: "b1" });
  const next = await DirectoryLock.take(directory);
  assert.equal(next.leftBackupId, "b1");
  await next.release();
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
  const newVolume = { pool: "slow", capacityBytes: 1024, format: "DISK_FORMAT_RAW" };
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
    disks.map(({ format }) => format),
    ["raw"],
  );
  assert.match(notes.join("\n"), /disk scratch is not in the backup[\s\S]*cloud-init/);
  const kept = restoredSpec({ vm }, of, "new-id", { id: "keep", keepMacs: true });
  assert.deepEqual([kept.spec.vmId, kept.spec.name], [vm.id, "web"]);
  assert.equal(kept.spec.nics?.[0]?.mac, "52:54:00:00:00:01");
});
