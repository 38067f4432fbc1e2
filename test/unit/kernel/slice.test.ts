import assert from "node:assert/strict";
import test from "node:test";
import { inSlices } from "../../../agent/kernel/slice.ts";

/** Longer than a slice. */
function workHard(): void {
  const endMs = performance.now() + 2;
  while (performance.now() < endMs);
}

test("concurrent work runs one slice in each turn of the event loop, in round-robin order", async () => {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const steps: { readonly work: string; readonly turn: number }[] = [];
  function* working(work: string): Generator<undefined, string, undefined> {
    for (let step = 0; step < 3; step += 1) {
      workHard();
      steps.push({ work, turn });
      yield;
    }
    return work;
  }
  const works = ["a", "b", "c", "d"];
  assert.deepEqual(await Promise.all(works.map((work) => inSlices(working(work)))), works);
  isOver = true;
  assert.equal(new Set(steps.map((step) => step.turn)).size, steps.length, JSON.stringify(steps));
  assert.deepEqual(
    steps.map(({ work }) => work),
    [...works, ...works, ...works],
  );
});
