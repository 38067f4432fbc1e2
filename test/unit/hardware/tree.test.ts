import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { unpackTree } from "../../support/tree.ts";

test("files, links, empty directories and unreadable files are built from one text", async (context) => {
  const root = await mkdtemp(join(tmpdir(), "socle-tree-"));
  context.after(() => rm(root, { recursive: true }));
  const text = `# a remark with an @ in it
@ sys/a/value
12
two words
@ sys/a/device -> ../b
@ sys/b/
@ sys/b/empty
@ sys/c/secret !EACCES
`;
  unpackTree(text, root);
  assert.equal(await readFile(join(root, "sys/a/value"), "utf8"), "12\ntwo words\n");
  assert.equal(await readlink(join(root, "sys/a/device")), "../b");
  assert.deepEqual(await readdir(join(root, "sys/b")), ["empty"]);
  assert.equal(await readFile(join(root, "sys/b/empty"), "utf8"), "");
  await assert.rejects(readFile(join(root, "sys/c/secret"), "utf8"));
});
