import { FairQueue } from "./fair-queue.ts";

/** After this time sliced work gives the event loop a turn. */
const sliceMs = 0.5;
/**
 * Work that rests. Each turn of the event loop resumes one piece of the agent's own and one of callers': if all of them
 * resumed in the same turn, together they would block the loop.
 */
const own: (() => void)[] = [];
const ofCallers = new FairQueue<() => void>();
let isScheduled = false;

function resume(): void {
  isScheduled = false;
  own.shift()?.();
  ofCallers.shift()?.();
  schedule();
}

function schedule(): void {
  if (isScheduled || own.length + ofCallers.length === 0) return;
  isScheduled = true;
  setImmediate(resume);
}

/** Keeps long work from holding the event loop: ask `over` now and then, and `rest` when it is. */
export class Slice {
  readonly #account: string | undefined;
  #startedMs = performance.now();

  /** `account`: the caller that the work is for; without one it is the agent's own, which waits for no caller's. */
  constructor(account?: string) {
    this.#account = account;
  }

  get over(): boolean {
    return performance.now() - this.#startedMs > sliceMs;
  }

  /** Resumes after I/O, and when it is the work's turn: accounts take turns. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#account === undefined) own.push(resolve);
      else ofCallers.push(this.#account, resolve);
      schedule();
    });
    this.#startedMs = performance.now();
  }
}

/** Runs work that yields wherever the event loop may have its turn, and gives its result. `account`: as of a Slice. */
export async function inSlices<T>(steps: Generator<undefined, T, undefined>, account?: string): Promise<T> {
  const slice = new Slice(account);
  // Calls that came together begin in the same turn: their first pieces must not run together. What the agent itself does
  // in slices comes one at a time.
  if (account !== undefined) await slice.rest();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (slice.over) await slice.rest();
  }
}
