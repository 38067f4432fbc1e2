import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Reading } from "../../../../../agent/hardware/reading.ts";
import { reader, type Reader } from "../../../../../agent/host/health/readers/reader.ts";
import { Readers } from "../../../../../agent/host/health/readers/readers.ts";
import { eventually } from "../../../../support/wait.ts";
import { FakeClock } from "../../../../support/host/fake-clock.ts";

function start<T extends Record<string, Reader<unknown>>>(context: test.TestContext, table: T) {
  const clock = new FakeClock();
  const looks: string[] = [];
  const readers = new Readers(table, { clock, onRead: (name) => looks.push(name) });
  const stop = new AbortController();
  const running = readers.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await running;
  });
  const state = (name: string) => readers.states().find((candidate) => candidate.name === name);
  /** Runs the reads that are due. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
  };
  return { clock, readers, looks, state, settle, stop };
}

const found = <T>(value: T): Reading<T> => ({ kind: "read", value });

test("each reader has its own interval, and readers of one lane run one after the other", async (context) => {
  let [fast, atOnce, most] = [0, 0, 0];
  const one = async (): Promise<Reading<number>> => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    await setImmediate();
    atOnce -= 1;
    return found((fast += 1));
  };
  const { clock, readers, looks, settle } = start(context, {
    fast: reader(10_000, one),
    slow: reader(60_000, one),
  });
  await settle();
  for (let round = 0; round < 6; round += 1) {
    clock.advance(10_000);
    await settle();
  }
  assert.equal(looks.filter((name) => name === "fast").length, 7);
  assert.equal(looks.filter((name) => name === "slow").length, 2);
  assert.equal(most, 1);
  assert.equal(readers.newest("fast")?.ageMs, 0);
});

test("a failing reader keeps its last value with its age and cause; missing hardware has none", async (context) => {
  let next: Reading<number> = found(1);
  const { clock, readers, state, settle } = start(context, {
    it: reader(10_000, () => Promise.resolve(next)),
  });
  assert.equal(state("it")?.state, "pending");
  await settle();
  next = { kind: "failed", reason: "EIO" };
  clock.advance(10_000);
  await settle();
  assert.deepEqual([readers.newest("it")?.value, readers.newest("it")?.ageMs], [1, 10_000]);
  assert.deepEqual([state("it")?.state, state("it")?.reason], ["failed", "EIO"]);
  next = { kind: "unsupported", reason: "ENOENT" };
  clock.advance(10_000);
  await settle();
  assert.equal(readers.newest("it"), undefined);
  assert.deepEqual([state("it")?.state, state("it")?.reason], ["unsupported", "ENOENT"]);
});

test("a reader that throws fails with its message and is read again", async (context) => {
  let looks = 0;
  const { clock, readers, settle } = start(context, {
    it: reader(10_000, () => {
      looks += 1;
      return looks === 1 ? Promise.reject(new Error("sensor on fire")) : Promise.resolve(found(2));
    }),
  });
  await settle();
  assert.deepEqual(readers.last("it"), { kind: "failed", reason: "sensor on fire" });
  clock.advance(10_000);
  await settle();
  assert.equal(readers.newest("it")?.value, 2);
});

test("a reader that hangs ends at its deadline, gets no second read until it ends, and delays no other", async (context) => {
  let [requested, givenUp] = [0, false];
  let mayEnd = (): void => undefined;
  const { clock, readers, looks, state, settle } = start(context, {
    hung: {
      everyMs: 10_000,
      deadlineMs: 20,
      read: (signal: AbortSignal) => {
        requested += 1;
        signal.addEventListener("abort", () => (givenUp = true));
        if (requested > 1) return Promise.resolve(found(2));
        return new Promise<Reading<number>>((resolve) => (mayEnd = () => resolve(found(1))));
      },
    },
    well: reader(10_000, () => Promise.resolve(found(3))),
  });
  await eventually(() => looks.includes("well"));
  assert.ok(givenUp);
  assert.match(state("hung")?.reason ?? "", /no answer within 20 ms/);
  clock.advance(10_000);
  await settle();
  assert.equal(requested, 1);
  assert.match(state("hung")?.reason ?? "", /still hangs/);
  assert.equal(readers.newest("well")?.ageMs, 0);
  mayEnd();
  await settle();
  clock.advance(10_000);
  await settle();
  assert.deepEqual([requested, readers.newest("hung")?.value], [2, 2]);
});

test("after a standstill a due reader is read once, not once per missed interval", async (context) => {
  const { clock, looks, settle } = start(context, { it: reader(10_000, () => Promise.resolve(found(1))) });
  await settle();
  clock.advance(3_600_000);
  await settle();
  clock.advance(9000);
  await settle();
  assert.equal(looks.length, 2);
});
