import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { FilesystemProbe } from "../../../../agent/hardware/storage/filesystem.ts";

test("the space of a real filesystem is read", async () => {
  const space = await new FilesystemProbe({ timeoutMs: 60_000 }).read(tmpdir());
  assert.ok(space.kind === "read", JSON.stringify(space));
  const { sizeBytes, usedBytes, availableBytes, availableRatio } = space.value;
  assert.ok(sizeBytes >= usedBytes + availableBytes);
  assert.ok(availableRatio > 0 && availableRatio <= 1);
});

test("a missing path fails with its name", async () => {
  const space = await new FilesystemProbe({ timeoutMs: 60_000 }).read("/nonexistent/pool");
  assert.ok(space.kind === "failed");
  assert.match(space.reason, /\/nonexistent\/pool/);
});

const fine = { stdout: "4096 100 50 40\n", stderr: "" };

test("a dead filesystem fails at its deadline while others answer, and concurrent readers share one child", async () => {
  const queried: string[] = [];
  const probe = new FilesystemProbe({
    timeoutMs: 300,
    statfs: (path, timeoutMs) => {
      queried.push(path);
      if (path === "/dead") return runChild(["sleep", "60"], { timeoutMs, maxOutputBytes: 100 });
      return { output: Promise.resolve(fine), gone: Promise.resolve() };
    },
  });
  const [dead, again, well] = await Promise.all(["/dead", "/dead", "/well"].map((path) => probe.read(path)));
  assert.deepEqual([dead?.kind, again?.kind], ["failed", "failed"]);
  assert.deepEqual(well, {
    kind: "read",
    value: { sizeBytes: 409_600, usedBytes: 204_800, availableBytes: 163_840, availableRatio: 40 / 90 },
  });
  assert.deepEqual(queried, ["/dead", "/well"]);
});

test("a child that outlives its kill gets no second one until it is gone", async () => {
  let queried = 0;
  let mayGo = (): void => undefined;
  const probe = new FilesystemProbe({
    timeoutMs: 300,
    statfs: () => {
      queried += 1;
      if (queried > 1) return { output: Promise.resolve(fine), gone: Promise.resolve() };
      const gone = new Promise<void>((resolve) => {
        mayGo = resolve;
      });
      return { output: Promise.reject(new Error("late")), gone };
    },
  });
  assert.equal((await probe.read("/dead")).kind, "failed");
  assert.equal((await probe.read("/dead")).kind, "failed");
  assert.equal(queried, 1);
  mayGo();
  await setImmediate();
  assert.equal((await probe.read("/dead")).kind, "read");
});
