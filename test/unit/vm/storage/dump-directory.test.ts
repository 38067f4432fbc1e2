import assert from "node:assert/strict";
import { chmod, link, mkdir, readdir, readFile, rename, rmdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DumpDirectory } from "../../../../agent/vm/storage/dump-directory.ts";
import { folder } from "../../../support/state/folder.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** A directory whose file system has so much free. */
async function withFree(t: TestContext, availableBytes: number, sizeBytes = 10 * GIB) {
  const path = await folder(t);
  await chmod(path, 0o700);
  const space = { sizeBytes, usedBytes: 0, availableBytes, availableRatio: 1 };
  const read = () => Promise.resolve({ kind: "read", value: space } as const);
  const synced: string[] = [];
  const sync = async () => void synced.push(...(await readdir(path)));
  return { path, synced, probe: { read }, dumps: new DumpDirectory(path, { probe: { read }, sync }) };
}

test("dumps that are being written count as used, and a reserve stays free", async (t) => {
  const { dumps } = await withFree(t, 2 * GIB + 1000 * MIB);
  await assert.rejects(dumps.claim("a", 1001 * MIB), { kind: "exhausted", reason: "DUMP_NO_SPACE" });
  await dumps.claim("a", 600 * MIB);
  await assert.rejects(dumps.claim("b", 401 * MIB), { reason: "DUMP_NO_SPACE", message: /room for 400 MiB/ });
  await dumps.claim("b", 400 * MIB);
  // The next run of a dump holds what the run before claimed.
  dumps.hold("b", 400 * MIB);
  dumps.release("a");
  await dumps.requireRoom(600 * MIB);
  await assert.rejects(dumps.requireRoom(601 * MIB), { reason: "DUMP_NO_SPACE" });
  dumps.release("b");
  await dumps.requireRoom(1000 * MIB);
  const large = await withFree(t, 6 * GIB, 100 * GIB);
  await assert.rejects(large.dumps.requireRoom(GIB + MIB), { reason: "DUMP_NO_SPACE" });
});

test("a directory that is missing, or that others may use, or whose file system is silent, is refused", async (t) => {
  const { path, probe, dumps } = await withFree(t, 2 ** 40);
  for (const mode of [0o702, 0o750, 0o770, 0o701]) {
    await chmod(path, mode);
    await assert.rejects(dumps.requireRoom(1), { reason: "DUMP_DIRECTORY_UNUSABLE", message: /other users/ });
  }
  await chmod(path, 0o700);
  await dumps.requireRoom(1);
  const uid = process.getuid?.() ?? 0;
  t.mock.method(process as { getuid: () => number }, "getuid", () => uid + 1);
  await assert.rejects(dumps.requireRoom(1), { reason: "DUMP_DIRECTORY_UNUSABLE", message: /another user/ });
  t.mock.restoreAll();
  const read = () => Promise.resolve({ kind: "failed", reason: "timeout" } as const);
  const silent = new DumpDirectory(path, { probe: { read } });
  for (const call of [
    () => silent.requireRoom(1),
    () => silent.whole("a.elf"),
    () => silent.removePart("a.elf"),
  ])
    await assert.rejects(call, { kind: "unavailable", reason: "DUMP_DIRECTORY_UNUSABLE" });
  const clock = { sleep: () => Promise.resolve() };
  await assert.rejects(new DumpDirectory(path, { probe, clock }).whole("a.elf"), /does not answer/);
  await assert.rejects(new DumpDirectory(join(path, "none")).requireRoom(1), {
    kind: "unavailable",
    reason: "DUMP_DIRECTORY_UNUSABLE",
  });
  await assert.rejects(new DumpDirectory(undefined).requireRoom(1), {
    reason: "DUMPS_NOT_CONFIGURED",
    message: /vm\.dumpDirectory/,
  });
});

test("only a kept file is a whole dump, on the disk before it has its name, and a part leaves nothing", async (t) => {
  const { path, synced, dumps } = await withFree(t, 2 ** 40);
  await writeFile(dumps.partOf("a.elf"), "core", { mode: 0o600 });
  assert.equal(await dumps.whole("a.elf"), undefined);
  const kept = { path: join(path, "a.elf"), sizeBytes: 4 };
  assert.deepEqual(await dumps.keep("a.elf"), kept);
  assert.deepEqual(synced, ["a.elf.part"]);
  // The agent has died after it.
  assert.deepEqual(await dumps.keep("a.elf"), kept);
  assert.deepEqual(await dumps.whole("a.elf"), kept);
  await assert.rejects(dumps.keep("b.elf"));
  await writeFile(dumps.partOf("b.elf"), "co");
  await dumps.removePart("b.elf");
  await dumps.removePart("b.elf");
  assert.deepEqual(await readdir(path), ["a.elf"]);
});

test("a part that others could read, or that is a link, is no dump, and is named", async (t) => {
  const { path, dumps } = await withFree(t, 2 ** 40);
  const part = dumps.partOf("a.elf");
  const other = join(path, "other");
  await writeFile(other, "secret", { mode: 0o600 });
  const refused = async (): Promise<void> => {
    await assert.rejects(dumps.keep("a.elf"), { reason: "DUMP_NOT_KEPT", message: /a\.elf\.part/ });
    assert.equal(await dumps.whole("a.elf"), undefined);
    await dumps.removePart("a.elf");
  };
  await symlink(other, part);
  await refused();
  await link(other, part);
  await refused();
  assert.equal(await readFile(other, "utf8"), "secret");
  await chmod(other, 0o640);
  await rename(other, part);
  await refused();
});

test("a change of the configured directory leaves a dump where it was begun", async (t) => {
  const { path, dumps } = await withFree(t, 2 ** 40);
  const before = await folder(t);
  assert.equal(dumps.at(before).partOf("a"), join(before, "a.part"));
  assert.equal(dumps.at(path), dumps);
});

test("a file is deleted whole or in part, and is known to be gone only in the agent's own directory", async (t) => {
  const { path, probe, dumps } = await withFree(t, 2 ** 40);
  for (const file of ["a", "a.part", "b"]) await writeFile(join(path, file), "memory");
  await dumps.remove("a");
  await dumps.remove("a");
  assert.deepEqual(await readdir(path), ["b"]);
  const unusable = { kind: "unavailable", reason: "DUMP_DIRECTORY_UNUSABLE" };
  // As the mount point of a file system that is not there.
  const point = join(path, "point");
  await mkdir(point);
  for (const [directory, mode] of [
    [join(path, "none"), undefined],
    [point, 0o755],
  ] as const) {
    if (mode !== undefined) await chmod(directory, mode);
    const away = new DumpDirectory(directory, { probe });
    for (const call of [() => away.remove("b"), () => away.whole("b"), () => away.partBytes("b")])
      await assert.rejects(call, unusable);
  }
  await rmdir(point);
  await assert.rejects(new DumpDirectory(join(path, "b"), { probe }).remove("c"), unusable);
  const hung = { read: () => Promise.resolve({ kind: "failed", reason: "x", code: "timeout" } as const) };
  await assert.rejects(new DumpDirectory(path, { probe: hung }).remove("b"), unusable);
  assert.deepEqual(await readdir(path), ["b"]);
});
