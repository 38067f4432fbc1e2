import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { FairTurns } from "../../../../agent/kernel/concurrency/fair-turns.ts";

/** Work that takes 1 ms of the clock each, and at most `perTurn` of them a turn. */
function stage(perTurn: number): { turns: FairTurns; done: string[]; work: (owner: string) => void } {
  let nowMs = 0;
  const done: string[] = [];
  const turns = new FairTurns(perTurn, () => nowMs);
  const work = (owner: string): void =>
    turns.run(owner, () => {
      nowMs += 1;
      done.push(owner);
    });
  return { turns, done, work };
}

test("work runs at once while the turn has time left", () => {
  const { done, work } = stage(2);
  for (const owner of ["a", "b"]) work(owner);
  assert.deepEqual(done, ["a", "b"]);
});

test("the burst of one owner delays the work of another by one piece", async () => {
  const { done, work } = stage(2);
  for (let at = 0; at < 100; at += 1) work("many");
  work("one");
  assert.equal(done.length, 2, "the rest waits for the next turns");
  await nextTurn();
  assert.deepEqual(done, ["many", "many", "many", "one"]);
  for (let at = 0; at < 100; at += 1) await nextTurn();
  assert.equal(done.length, 101, "all of it is done");
});

test("between two turns other events of the loop run", async () => {
  const { done, work } = stage(1);
  for (let at = 0; at < 10; at += 1) work("many");
  const seen: number[] = [];
  while (done.length < 10) {
    await nextTurn();
    seen.push(done.length);
  }
  assert.deepEqual(seen, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("the work of one owner keeps its order, also behind queued work", async () => {
  const order: number[] = [];
  let nowMs = 0;
  const turns = new FairTurns(1, () => nowMs);
  for (let at = 0; at < 5; at += 1)
    turns.run("a", () => {
      nowMs += 1;
      order.push(at);
    });
  await nextTurn();
  turns.run("a", () => order.push(5));
  while (order.length < 6) await nextTurn();
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
});
