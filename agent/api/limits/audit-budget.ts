import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";

/** A caller's burst. */
const burstSeconds = 300;
const maxCallers = 1024;

interface Bucket {
  tokens: number;
  /** On the monotonic clock. */
  filledMs: number;
}

/**
 * Bounds a caller's audit entries of changes that fail or change nothing, such as retries. Each change is charged before it
 * is recorded, and credited if it changed something.
 */
export class AuditBudget {
  readonly #perSecond: number;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** In order of their last use. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number, clock: Pick<Clock, "monotonicMs">) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** Throws `exhausted` AUDIT_BUDGET_EXCEEDED; the returned function refunds the charge. */
  charge(caller: string, entries: number): () => void {
    const most = this.#perSecond * burstSeconds;
    const bucket = this.#bucketOf(caller, most);
    const nowMs = this.#clock.monotonicMs();
    bucket.tokens = Math.min(most, bucket.tokens + ((nowMs - bucket.filledMs) / 1000) * this.#perSecond);
    bucket.filledMs = nowMs;
    if (bucket.tokens < 1) throw overBudget(((1 - bucket.tokens) / this.#perSecond) * 1000);
    bucket.tokens -= entries;
    return () => {
      bucket.tokens += entries;
    };
  }

  #bucketOf(caller: string, most: number): Bucket {
    const bucket = this.#buckets.get(caller) ?? { tokens: most, filledMs: this.#clock.monotonicMs() };
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxCallers && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}

const overBudget = (retryAfterMs: number): SocleError =>
  new SocleError(
    "exhausted",
    "AUDIT_BUDGET_EXCEEDED",
    "too many changes of this caller failed or changed nothing, and each is recorded in the audit log; " +
      "correct the requests, or raise api.limits.failuresPerSecond",
    { details: { retryAfterMs: Math.ceil(retryAfterMs) } },
  );
