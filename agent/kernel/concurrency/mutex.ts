import { Semaphore } from "./semaphore.ts";

/** Runs work one at a time, in the order of the calls. */
export class Mutex {
  readonly #semaphore: Semaphore;

  /** `maxWaiting`: calls beyond it throw `exhausted`, which names the `subject`. */
  constructor(maxWaiting = Infinity, subject?: string) {
    this.#semaphore = new Semaphore(1, maxWaiting, subject);
  }

  /** Throws what `work` throws. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#semaphore.run("", work);
  }
}
