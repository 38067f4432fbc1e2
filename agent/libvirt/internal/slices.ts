import { setImmediate as nextTurn } from "node:timers/promises";

/** Sliced work yields to the event loop after this time. */
const SLICE_MS = 0.5;

/** Runs work that yields at each point where the event loop may take a turn, and returns its result. */
export async function inSlices<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
  for (let startedMs = performance.now(); ;) {
    if (performance.now() - startedMs > SLICE_MS) {
      await nextTurn();
      startedMs = performance.now();
    }
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
