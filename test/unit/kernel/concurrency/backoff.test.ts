import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../../../../agent/kernel/concurrency/backoff.ts";

test("the ceiling doubles to the cap, and restarts after a reset", () => {
  const backoff = new Backoff({ baseMs: 100, capMs: 1000, random: () => 1 });
  assert.deepEqual(
    Array.from({ length: 6 }, () => backoff.nextMs()),
    [100, 200, 400, 800, 1000, 1000],
  );
  for (let i = 0; i < 5000; i += 1) assert.equal(backoff.nextMs(), 1000);
  backoff.reset();
  assert.equal(backoff.nextMs(), 100);
});

test("each delay is between zero and the ceiling", () => {
  const draws = [0, 0.25, 0.5];
  const backoff = new Backoff({ baseMs: 1000, capMs: 30_000, random: () => draws.shift() ?? 0 });
  assert.deepEqual([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()], [0, 500, 2000]);
});
