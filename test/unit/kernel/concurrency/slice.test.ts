import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { FairTurns } from "../../../../agent/kernel/concurrency/fair-turns.ts";
import { inSlices, Slice } from "../../../../agent/kernel/concurrency/slice.ts";

interface Step {
  readonly work: string;
  readonly turn: number;
}

/** Works of three steps, each longer than a slice, and the turn of the event loop in which each step ran. */
function stage(t: TestContext) {
  let turn = 0;
  let isOver = false;
  t.after(() => (isOver = true));
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const turns = new FairTurns(1, () => performance.now());
  const sliceOf = (caller: string): Slice => Slice.thatRests(() => turns.rest(caller));
  const steps: Step[] = [];
  function* working(work: string): Generator<undefined, string, undefined> {
    for (let step = 0; step < 3; step += 1) {
      const endMs = performance.now() + 2;
      while (performance.now() < endMs);
      steps.push({ work, turn });
      yield;
    }
    return work;
  }
  const order = (): string => steps.map(({ work }) => work).join(" ");
  return { working, sliceOf, steps, order };
}

test("concurrent work of callers runs one slice in each turn of the event loop, round-robin", async (t) => {
  const { working, sliceOf, steps, order } = stage(t);
  const works = ["a", "b", "c", "d"];
  assert.deepEqual(await Promise.all(works.map((work) => inSlices(working(work), sliceOf("caller")))), works);
  assert.equal(new Set(steps.map((step) => step.turn)).size, steps.length, JSON.stringify(steps));
  assert.equal(order(), "a b c d a b c d a b c d");
});

test("much work of one caller delays another caller by one slice before each of its own", async (t) => {
  const { working, sliceOf, order } = stage(t);
  const many = ["a1", "a2", "a3", "a4"].map((work) => inSlices(working(work), sliceOf("a")));
  await Promise.all([...many, inSlices(working("b"), sliceOf("b"))]);
  assert.equal(order(), "a1 b a2 b a3 b a4 a1 a2 a3 a4 a1 a2 a3 a4");
});

test("the agent's own work begins at once, and then has a slice in each turn", async (t) => {
  const { working, sliceOf, steps } = stage(t);
  const many = ["a1", "a2", "a3", "a4"].map((work) => inSlices(working(work), sliceOf("a")));
  await Promise.all([...many, inSlices(working("own"))]);
  assert.deepEqual(
    steps.filter(({ work }) => work === "own").map(({ turn }) => turn - (steps[0]?.turn ?? 0)),
    [0, 1, 2],
  );
});
