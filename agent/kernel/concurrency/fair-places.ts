import { abortReason } from "../clock.ts";
import { SocleError } from "../errors.ts";
import { FairQueue } from "./fair-queue.ts";

interface Waiter {
  readonly grant: () => void;
}

/**
 * A bounded number of places, shared fairly: owners take turns, so an owner with many requests delays only itself.
 * Requests of one owner are served in order.
 */
export class FairPlaces {
  readonly #places: number;
  readonly #maxWaiting: number;
  readonly #waiters = new FairQueue<Waiter>();
  #taken = 0;

  constructor(options: { readonly places: number; readonly maxWaiting: number }) {
    this.#places = options.places;
    this.#maxWaiting = options.maxWaiting;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Runs `work` in a place. Throws `exhausted` when too many wait, or the signal's reason if it aborts first. */
  async run<T>(owner: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.take(owner, signal);
    try {
      return await work();
    } finally {
      this.giveBack();
    }
  }

  /** Where `run` does not fit: resolves with a place, which the caller releases exactly once. Throws as `run`. */
  take(owner: string, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(abortReason(signal));
    if (this.#taken < this.#places) {
      this.#taken += 1;
      return Promise.resolve();
    }
    if (this.#waiters.length >= this.#maxWaiting) {
      const message = `the queue is full: ${this.#maxWaiting} requests wait; try again later`;
      const details = { retryAfterMs: 1000 };
      return Promise.reject(new SocleError("exhausted", "TOO_MANY_WAITING", message, { details }));
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.remove(owner, waiter);
        reject(abortReason(signal));
      };
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#waiters.push(owner, waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Serves the next owner's first request, then moves that owner to the end. */
  giveBack(): void {
    const next = this.#waiters.shift();
    if (next === undefined) this.#taken -= 1;
    else next.grant();
  }
}
