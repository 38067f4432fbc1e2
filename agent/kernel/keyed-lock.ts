import { SocleError } from "./errors.ts";
import { abortReason } from "./clock.ts";

interface Waiter {
  readonly grant: () => void;
}

/** One holder per key, first come first served, with a bound on those who wait. Keys cost nothing while unheld. */
export class KeyedLock {
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #maxWaiting: number;

  constructor(options: { maxWaiting: number }) {
    this.#maxWaiting = options.maxWaiting;
  }

  held(key: string): boolean {
    return this.#waiters.has(key);
  }

  /** Runs `work` alone for `key`. Throws `exhausted` when too many wait; the signal's reason when it aborts first. */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#acquire(key, signal);
    try {
      return await work();
    } finally {
      this.#release(key);
    }
  }

  #acquire(key: string, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(abortReason(signal));
    const queue = this.#waiters.get(key);
    if (queue === undefined) {
      this.#waiters.set(key, []);
      return Promise.resolve();
    }
    if (queue.length >= this.#maxWaiting) {
      const message = `too many operations wait for ${key}; try again later`;
      return Promise.reject(
        new SocleError("exhausted", "TOO_MANY_WAITING", message, { details: { retryAfterMs: 1000 } }),
      );
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(abortReason(signal));
      };
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      queue.push(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #release(key: string): void {
    const next = this.#waiters.get(key)?.shift();
    if (next === undefined) this.#waiters.delete(key);
    else next.grant();
  }
}
