/** The longest piece of work between two turns of the event loop. */
const sliceMs = 0.5;
/**
 * Work that rests, in the order in which it goes on: one piece a turn. All of them in the same turn would hold the event
 * loop as long as one piece that never rests.
 */
const resting: (() => void)[] = [];

function goOn(): void {
  resting.shift()?.();
  if (resting.length > 0) setImmediate(goOn);
}

/** Keeps long work from holding the event loop: ask `over` now and then, and `rest` when it is. */
export class Slice {
  #startedMs = performance.now();

  get over(): boolean {
    return performance.now() - this.#startedMs > sliceMs;
  }

  /** Lets everything else that waits have its turn, other work that rests as well. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      resting.push(resolve);
      if (resting.length === 1) setImmediate(goOn);
    });
    this.#startedMs = performance.now();
  }
}

/** Runs work that yields wherever the event loop may have its turn, and gives its result. */
export async function inSlices<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
  const slice = new Slice();
  // The first pieces of many that come together would be one long piece as well.
  await slice.rest();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (slice.over) await slice.rest();
  }
}
