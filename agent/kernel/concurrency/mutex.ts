import { Semaphore } from "./semaphore.ts";

/** Runs work one at a time, in the order of the calls. */
export class Mutex {
  readonly #semaphore: Semaphore;

  /** `maxWaiting`: calls beyond it throw `exhausted`. */
  constructor(maxWaiting = Infinity) {
    this.#semaphore = new Semaphore(1, maxWaiting);
  }

  /** Throws what `work` throws. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#semaphore.run("", work);
  }
}
