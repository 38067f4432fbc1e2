import { SocleError } from "../errors.ts";
import { abortReason } from "../clock.ts";

interface Waiter {
  readonly grant: () => void;
  readonly ahead: boolean;
}

/** One holder per key, in FIFO order, `ahead` waiters first, with a bound on waiters. Keys cost nothing while unheld. */
export class KeyedLock {
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #maxWaiting: number;

  constructor(options: { maxWaiting: number }) {
    this.#maxWaiting = options.maxWaiting;
  }

  held(key: string): boolean {
    return this.#waiters.has(key);
  }

  /** Runs `work` exclusively for `key`. Throws `exhausted` when too many wait, or the signal's reason if it aborts first. */
  async run<T>(
    key: string,
    work: () => Promise<T>,
    signal?: AbortSignal,
    { ahead = false }: { readonly ahead?: boolean } = {},
  ): Promise<T> {
    await this.#acquire(key, signal, ahead);
    try {
      return await work();
    } finally {
      this.#release(key);
    }
  }

  #acquire(key: string, signal: AbortSignal | undefined, ahead: boolean): Promise<void> {
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
        ahead,
        grant: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const behind = ahead ? queue.findIndex((other) => !other.ahead) : -1;
      queue.splice(behind < 0 ? queue.length : behind, 0, waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #release(key: string): void {
    const next = this.#waiters.get(key)?.shift();
    if (next === undefined) this.#waiters.delete(key);
    else next.grant();
  }
}
