import { Semaphore } from "./semaphore.ts";

/** One holder per key, or `holders`, in FIFO order, `ahead` waiters first, with a bound on waiters. Keys cost nothing while unheld. */
export class KeyedLock {
  readonly #locks = new Map<string, Semaphore>();
  readonly #maxWaiting: number;
  readonly #holders: number;

  constructor(maxWaiting: number, holders = 1) {
    this.#maxWaiting = maxWaiting;
    this.#holders = holders;
  }

  /** The number of keys that are held or waited for. */
  get size(): number {
    return this.#locks.size;
  }

  /** Runs `work` as a holder of `key`. Throws as `Semaphore.run`. */
  async run<T>(
    key: string,
    work: () => Promise<T>,
    signal?: AbortSignal,
    order?: { readonly ahead?: boolean },
  ): Promise<T> {
    const lock = this.#locks.get(key) ?? new Semaphore(this.#holders, this.#maxWaiting, key);
    this.#locks.set(key, lock);
    try {
      return await lock.run("", work, signal, order);
    } finally {
      // A later holder may have a new lock already.
      if (lock.taken === 0 && this.#locks.get(key) === lock) this.#locks.delete(key);
    }
  }
}
