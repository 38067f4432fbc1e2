import { setImmediate as nextTurn } from "node:timers/promises";

/** Sliced work yields to the event loop after this time. */
const sliceMs = 0.5;

/** Keeps long work from blocking the event loop: check `over` regularly, and await `rest` when it is true. */
export class Slice {
  readonly #rest: () => Promise<unknown>;
  #startedMs: number;

  /**
   * The default is for the agent's own work: it begins at once, and rests for one turn of the event loop. Few of these run
   * at once (a round that reads libvirt, scrapes), and each adds one slice to a turn.
   */
  constructor(rest: () => Promise<unknown> = nextTurn, startedMs = performance.now()) {
    this.#rest = rest;
    this.#startedMs = startedMs;
  }

  /** For work that rests before it begins: calls that arrive together begin in the same turn of the event loop. */
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

/** Runs work that yields at each point where the event loop may take a turn, and returns its result. */
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
