import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { abortable, systemClock } from "../../../agent/kernel/clock.ts";
import { orderAtDeadline } from "../../support/kernel/late-loop.ts";

test("a sleep lasts its time on the monotonic clock", async () => {
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

test("a sleep longer than a timer can hold, 25 days, lasts its time and still ends with the signal", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const longMs = 2 ** 32;
  let isOver = false;
  const sleeping = systemClock.sleep(longMs).then(() => (isOver = true));
  const abort = new AbortController();
  const aborted = systemClock.sleep(Infinity, abort.signal);
  for (const ms of [2 ** 31 - 1, 2 ** 31 - 1, 1]) {
    t.mock.timers.tick(ms);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!isOver, `it was over ${ms} ms later`);
  }
  t.mock.timers.tick(1);
  await sleeping;
  abort.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
});

test("what an abort interrupts is undone, also within its beginning, and nothing stays with the signal", async () => {
  const undone: string[] = [];
  const within = new AbortController();
  const interrupted = abortable(within.signal, () => {
    within.abort(new Error("enough"));
    return () => undone.push("within");
  });
  await assert.rejects(interrupted, /enough/);
  const later = new AbortController();
  const waiting = abortable(later.signal, () => () => undone.push("later"));
  later.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.deepEqual(undone, ["within", "later"]);
  const long = new AbortController();
  assert.equal(
    await abortable<number>(long.signal, (resolve) => {
      resolve(1);
      return undefined;
    }),
    1,
  );
  const failing = abortable(long.signal, () => {
    throw new Error("it cannot begin");
  });
  await assert.rejects(failing, /cannot begin/);
  assert.equal(getEventListeners(long.signal, "abort").length, 0);
});

test("an answer that has arrived comes before its deadline, however late the event loop is", async (context) => {
  assert.deepEqual(await orderAtDeadline(context, systemClock), ["answer", "deadline"]);
});
