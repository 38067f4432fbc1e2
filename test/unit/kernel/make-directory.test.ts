import assert from "node:assert/strict";
import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeDirectory } from "../../../agent/kernel/make-directory.ts";

test("a directory is created with its parents, and an existing one stays as it is", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "socle-make-"));
  t.after(() => rm(root, { recursive: true }));
  const path = join(root, "a/b/c");
  await makeDirectory(path, 0o700);
  await makeDirectory(path, 0o755);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  await writeFile(join(root, "file"), "");
  await assert.rejects(makeDirectory(join(root, "file"), 0o700), { code: "EEXIST" });
  await assert.rejects(makeDirectory(join(root, "file/below"), 0o700), { code: "ENOTDIR" });
  await symlink(join(root, "gone"), join(root, "dangling"));
  await assert.rejects(makeDirectory(join(root, "dangling/below"), 0o700), { code: "ENOENT" });
});

test(
  "a file system that cannot create directories gives an error, not an endless wait",
  { timeout: 5000 },
  async () => {
    await assert.rejects(makeDirectory("/proc/socle-test", 0o700), { code: "ENOENT" });
    await assert.rejects(makeDirectory("/proc/socle-test/below", 0o700), { code: "ENOENT" });
  },
);
