import { setImmediate as nextTurn } from "node:timers/promises";

/** After this time sliced work gives the event loop a turn. */
const sliceMs = 0.5;

/** Keeps long work from holding the event loop: ask `over` now and then, and `rest` when it is. */
export class Slice {
  readonly #rest: () => Promise<unknown>;
  #startedMs: number;

  /**
   * By itself the work is the agent's own: it begins at once, and rests one turn of the event loop. Few of these are under way
   * at once (a round's reading of libvirt, scrapes), and each adds one slice to a turn.
   */
  constructor(rest: () => Promise<unknown> = nextTurn, startedMs = performance.now()) {
    this.#rest = rest;
    this.#startedMs = startedMs;
  }

  /** Of work that rests before it begins: calls that came together begin in the same turn of the event loop. */
  static thatRests(rest: () => Promise<unknown>): Slice {
    return new Slice(rest, -Infinity);
  }

  get over(): boolean {
    return performance.now() - this.#startedMs > sliceMs;
  }

  async rest(): Promise<void> {
    await this.#rest();
    this.#startedMs = performance.now();
  }
}

/** Runs work that yields wherever the event loop may have its turn, and gives its result. */
export async function inSlices<T>(
  steps: Generator<undefined, T, undefined>,
  slice: Slice = new Slice(),
): Promise<T> {
  for (;;) {
    if (slice.over) await slice.rest();
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
