import { abortable, abortReason } from "../clock.ts";
import { Counts } from "../counts.ts";
import { SocleError } from "../errors.ts";
import { FairQueue } from "./fair-queue.ts";

export type Release = () => void;

/**
 * A bounded number of permits. Waiting clients take turns, so a client with many requests delays only itself. `tryAcquire`
 * counts only its own permits of a client: use either that or `acquire` and `run`.
 */
export class Semaphore {
  readonly #permits: number;
  readonly #maxWaiting: number;
  readonly #subject: string;
  readonly #byClient = new Counts();
  readonly #ahead = new FairQueue<() => void>();
  readonly #waiters = new FairQueue<() => void>();
  #taken = 0;

  /** `maxWaiting`: requests beyond it are refused, and the error names the `subject`. */
  constructor(permits: number, maxWaiting = Infinity, subject = "this queue") {
    this.#permits = permits;
    this.#maxWaiting = maxWaiting;
    this.#subject = subject;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#ahead.length + this.#waiters.length;
  }

  /** Does not wait. Undefined: none is free, or the client holds half of the permits: it cannot lock out the others. */
  tryAcquire(client: string): Release | undefined {
    if (this.#taken >= this.#permits || this.#byClient.of(client) >= this.#permits / 2) return undefined;
    this.#taken += 1;
    this.#byClient.add(client);
    return () => {
      this.#byClient.remove(client);
      this.#release();
    };
  }

  /**
   * Resolves with the release function, to be called once. Requests of one client are served in order, those `ahead` before
   * all others. Throws `exhausted` when too many wait, or the signal's reason if it aborts first.
   */
  async acquire(client: string, signal?: AbortSignal, { ahead = false } = {}): Promise<Release> {
    if (signal?.aborted) throw abortReason(signal);
    if (this.#taken < this.#permits) this.#taken += 1;
    else if (this.waiting < this.#maxWaiting)
      await this.#turn(ahead ? this.#ahead : this.#waiters, client, signal);
    else {
      const message = `${this.#maxWaiting} requests wait for ${this.#subject}; try again later`;
      throw new SocleError("exhausted", "QUEUE_FULL", message, { details: { retryAfterMs: 1000 } });
    }
    return () => this.#release();
  }

  /** Runs `work` with a permit. Throws as `acquire`. */
  async run<T>(
    client: string,
    work: () => Promise<T>,
    signal?: AbortSignal,
    order?: { readonly ahead?: boolean },
  ): Promise<T> {
    const release = await this.acquire(client, signal, order);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #turn(queue: FairQueue<() => void>, client: string, signal: AbortSignal | undefined): Promise<void> {
    return abortable(signal, (grant) => {
      queue.push(client, grant);
      return () => queue.remove(client, grant);
    });
  }

  /** Passes the permit on to the next client, or frees it. */
  #release(): void {
    const next = this.#ahead.shift() ?? this.#waiters.shift();
    if (next === undefined) this.#taken -= 1;
    else next();
  }
}
