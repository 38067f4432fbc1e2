import assert from "node:assert/strict";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DumpDirectory } from "../../../../agent/vm/storage/dump-directory.ts";
import { folder } from "../../../support/state/folder.ts";

const MIB = 2 ** 20;
/** A directory whose file system has so much free. */
async function withFree(t: TestContext, availableBytes: number) {
  const path = await folder(t);
  const space = { sizeBytes: 2 ** 40, usedBytes: 0, availableBytes, availableRatio: 1 };
  const read = () => Promise.resolve({ kind: "read", value: space } as const);
  return { path, dumps: new DumpDirectory(path, { read }) };
}

test("dumps that are being written count as used, and a reserve stays free", async (t) => {
  const { dumps } = await withFree(t, 1256 * MIB);
  await assert.rejects(dumps.claim(1001 * MIB), { kind: "exhausted", reason: "DUMP_NO_SPACE" });
  const release = await dumps.claim(600 * MIB);
  await assert.rejects(dumps.claim(401 * MIB), { reason: "DUMP_NO_SPACE", message: /room for 400 MiB/ });
  const other = await dumps.claim(400 * MIB);
  release();
  other();
  await dumps.requireRoom(1000 * MIB);
});

test("a directory that is missing, or that others may write to, or whose file system is silent, is refused", async (t) => {
  const { path, dumps } = await withFree(t, 2 ** 40);
  await chmod(path, 0o702);
  await assert.rejects(dumps.requireRoom(1), { reason: "DUMP_DIRECTORY_UNUSABLE", message: /any user/ });
  await chmod(path, 0o700);
  await dumps.requireRoom(1);
  const read = () => Promise.resolve({ kind: "failed", reason: "timeout" } as const);
  await assert.rejects(new DumpDirectory(path, { read }).requireRoom(1), {
    reason: "DUMP_DIRECTORY_UNUSABLE",
  });
  await assert.rejects(new DumpDirectory(join(path, "none")).requireRoom(1), {
    kind: "unavailable",
    reason: "DUMP_DIRECTORY_UNUSABLE",
  });
  await assert.rejects(new DumpDirectory(undefined).requireRoom(1), {
    reason: "DUMPS_NOT_CONFIGURED",
    message: /vm\.dumpDirectory/,
  });
});

test("only a kept file is a whole dump, and a part leaves nothing", async (t) => {
  const { path, dumps } = await withFree(t, 2 ** 40);
  await writeFile(dumps.partOf("a.elf"), "core");
  assert.equal(await dumps.whole("a.elf"), undefined);
  const kept = { path: join(path, "a.elf"), sizeBytes: 4 };
  assert.deepEqual(await dumps.keep("a.elf"), kept);
  // The agent has died after it.
  assert.deepEqual(await dumps.keep("a.elf"), kept);
  assert.deepEqual(await dumps.whole("a.elf"), kept);
  await assert.rejects(dumps.keep("b.elf"));
  await writeFile(dumps.partOf("b.elf"), "co");
  await dumps.removePart("b.elf");
  await dumps.removePart("b.elf");
  assert.deepEqual(await readdir(path), ["a.elf"]);
});
