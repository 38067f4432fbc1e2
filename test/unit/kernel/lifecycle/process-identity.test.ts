import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { test } from "node:test";
import {
  hasEnded,
  ownIdentity,
  processIdentity,
} from "../../../../agent/kernel/lifecycle/process-identity.ts";

test("a process has ended when its pid is free or another's, not when it only cannot be seen", async (t) => {
  const own = await processIdentity();
  assert.ok(own);
  assert.equal(await hasEnded(own), false);
  assert.equal(await hasEnded({ ...own, start: "1" }), true);
  assert.equal(await hasEnded({ ...own, pid: 2 ** 22 + 1 }), true);
  assert.equal(await hasEnded({ ...own, namespace: "pid:[1]" }), false);
  assert.equal(await hasEnded({ ...own, bootId: "" }), true);
  assert.equal(
    await hasEnded({ ...own, bootId: "", namespace: "pid:[1]" }),
    false,
    "a container's own boot id",
  );
  const read = fs.readFile;
  t.after(syncBuiltinESMExports);
  // /proc looks like this for other users' processes under ProtectProc=invisible.
  t.mock.method(fs, "readFile", (path: string, ...rest: []) =>
    path === `/proc/${process.ppid}/stat`
      ? Promise.reject(Object.assign(new Error("no such file"), { code: "ENOENT" }))
      : read(path, ...rest),
  );
  syncBuiltinESMExports();
  assert.equal(await hasEnded({ ...own, pid: process.ppid }), false, "it runs, hidden");
  assert.equal(await processIdentity(process.ppid), undefined);
});

test("a process that /proc does not show does not count as ended", async (t) => {
  const read = fs.readFile;
  const hide = t.mock.method(fs, "readFile", (path: string, ...rest: []) =>
    path === `/proc/${process.pid}/stat` ? Promise.reject(new Error("no such file")) : read(path, ...rest),
  );
  t.after(syncBuiltinESMExports);
  syncBuiltinESMExports();
  const unseen = await ownIdentity();
  assert.equal(unseen.pid, process.pid);
  assert.equal(await hasEnded(unseen), false);
  hide.mock.restore();
  syncBuiltinESMExports();
  assert.equal(await hasEnded(unseen), false);
  assert.deepEqual(await ownIdentity(), await processIdentity());
});
