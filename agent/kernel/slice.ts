/** The longest piece of work between two turns of the event loop. */
const sliceMs = 0.5;
/**
 * Work that rests, oldest first. One piece resumes in each turn of the event loop: if all of them resumed in the same
 * turn, together they would block the loop.
 */
const resting: (() => void)[] = [];

function resumeNext(): void {
  resting.shift()?.();
  if (resting.length > 0) setImmediate(resumeNext);
}

/** Keeps long work from holding the event loop: ask `over` now and then, and `rest` when it is. */
export class Slice {
  #startedMs = performance.now();

  get over(): boolean {
    return performance.now() - this.#startedMs > sliceMs;
  }

  /** Resumes after I/O and all work that rests already. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      resting.push(resolve);
      if (resting.length === 1) setImmediate(resumeNext);
    });
    this.#startedMs = performance.now();
  }
}

/** Runs work that yields wherever the event loop may have its turn, and gives its result. */
export async function inSlices<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
  const slice = new Slice();
  // Concurrent calls start in the same turn: their first pieces must not run together either.
  await slice.rest();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (slice.over) await slice.rest();
  }
}
