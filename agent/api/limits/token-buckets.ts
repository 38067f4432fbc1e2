import type { Clock } from "../../kernel/clock.ts";

const maxCallers = 1024;

interface Bucket {
  tokens: number;
  /** On the monotonic clock. */
  filledMs: number;
}

/** Limits the rate of each caller: one full bucket of tokens is the caller's burst. */
export class TokenBuckets {
  readonly #perSecond: number;
  readonly #most: number;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** In order of their last use; beyond `maxCallers`, the oldest is forgotten. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number, burstSeconds: number, clock: Pick<Clock, "monotonicMs">) {
    this.#perSecond = perSecond;
    // A slow rate allows a call now and then, too.
    this.#most = Math.max(1, perSecond * burstSeconds);
    this.#clock = clock;
  }

  /** Takes tokens from a bucket that has at least one, and returns 0; else the time until it has one, in milliseconds. */
  take(caller: string, tokens: number): number {
    const nowMs = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(caller) ?? { tokens: this.#most, filledMs: nowMs };
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxCallers && oldest !== undefined) this.#buckets.delete(oldest);
    const earned = ((nowMs - bucket.filledMs) / 1000) * this.#perSecond;
    bucket.tokens = Math.min(this.#most, bucket.tokens + earned);
    bucket.filledMs = nowMs;
    if (bucket.tokens < 1) return ((1 - bucket.tokens) / this.#perSecond) * 1000;
    bucket.tokens -= tokens;
    return 0;
  }

  /** Returns tokens that were taken. */
  giveBack(caller: string, tokens: number): void {
    const bucket = this.#buckets.get(caller);
    if (bucket !== undefined) bucket.tokens += tokens;
  }
}
