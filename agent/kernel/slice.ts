/** The longest piece of work between two turns of the event loop. */
const sliceMs = 1;

/** Keeps long work from holding the event loop: ask `over` now and then, and `rest` when it is. */
export class Slice {
  #startedMs = performance.now();

  get over(): boolean {
    return performance.now() - this.#startedMs > sliceMs;
  }

  /** Lets everything else that waits have its turn. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#startedMs = performance.now();
  }
}

/** Runs work that yields wherever the event loop may have its turn, and gives its result. */
export async function inSlices<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
  const slice = new Slice();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (slice.over) await slice.rest();
  }
}
