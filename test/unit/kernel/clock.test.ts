import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../agent/kernel/clock.ts";

test("a sleep takes its time on the monotonic clock", async () => {
  const before = systemClock.monotonicMs();
  await systemClock.sleep(20);
  assert.ok(systemClock.monotonicMs() - before >= 19);
});

test("a sleep ends with the signal's reason as soon as it aborts", async () => {
  const abort = new AbortController();
  const sleeping = systemClock.sleep(60_000, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(sleeping, /enough/);
  await assert.rejects(systemClock.sleep(60_000, abort.signal), /enough/);
  const odd = new AbortController();
  odd.abort("text");
  await assert.rejects(systemClock.sleep(1, odd.signal), { name: "AbortError" });
});
