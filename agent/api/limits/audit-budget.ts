import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** A caller's burst. */
const burstSeconds = 300;

/**
 * Bounds a caller's audit entries of changes that fail or change nothing, such as retries. Each change is charged before it
 * is recorded, and credited if it changed something.
 */
export class AuditBudget {
  readonly #buckets: TokenBuckets;

  constructor(perSecond: number, clock: Pick<Clock, "monotonicMs">) {
    this.#buckets = new TokenBuckets(perSecond, burstSeconds, clock);
  }

  /** Throws `exhausted` AUDIT_BUDGET_EXCEEDED; the returned function refunds the charge. */
  charge(caller: string, entries: number): () => void {
    const waitMs = this.#buckets.take(caller, entries);
    if (waitMs > 0) throw overBudget(waitMs);
    return () => this.#buckets.giveBack(caller, entries);
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
