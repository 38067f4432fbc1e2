import type { Clock } from "../../kernel/clock.ts";
import type { CallClass } from "../../contract/methods.ts";
import { Counts } from "../../kernel/counts.ts";
import { SocleError } from "../../kernel/errors.ts";
import { TokenBuckets } from "./token-buckets.ts";

interface ClassLimit {
  /** Average rate of one caller, with a burst of `burstSeconds`. */
  readonly perSecond: number;
  /** Open calls of one caller. */
  readonly atOnce: number;
}

export type Limits = Readonly<Record<CallClass, ClassLimit>>;

const classes: readonly CallClass[] = ["read", "wait", "mutation", "stream", "control"];
const burstSeconds = 5;
/** Open calls of all callers: this many times one caller's. */
const callersAtOnce = 16;

/** Admits calls by caller and class, before any work. */
export class Admission {
  readonly #limits: Limits;
  readonly #buckets: Readonly<Record<CallClass, TokenBuckets>>;
  readonly #open = new Counts();
  readonly #refused = new Counts();

  constructor(limits: Limits, clock: Pick<Clock, "monotonicMs">) {
    this.#limits = limits;
    const buckets = (kind: CallClass): TokenBuckets =>
      new TokenBuckets(limits[kind].perSecond, burstSeconds, clock);
    this.#buckets = {
      read: buckets("read"),
      wait: buckets("wait"),
      mutation: buckets("mutation"),
      stream: buckets("stream"),
      control: buckets("control"),
    };
  }

  /** For metrics: open now, and refused since the start, by class. */
  get counts(): readonly { readonly kind: CallClass; readonly open: number; readonly refused: number }[] {
    return classes.map((kind) => ({ kind, open: this.#open.of(kind), refused: this.#refused.of(kind) }));
  }

  /** Admits a call; call the returned function once at its end. Throws `exhausted`, with the time to retry. */
  enter(caller: string, kind: CallClass): () => void {
    const refusal = this.#refusal(caller, kind);
    if (refusal !== undefined) {
      this.#refused.add(kind);
      throw refusal;
    }
    const own = `${kind} ${caller}`;
    this.#open.add(own);
    this.#open.add(kind);
    return () => {
      this.#open.remove(own);
      this.#open.remove(kind);
    };
  }

  #refusal(caller: string, kind: CallClass): SocleError | undefined {
    const { perSecond, atOnce } = this.#limits[kind];
    const own = this.#open.of(`${kind} ${caller}`);
    if (own >= atOnce) return tooMany(kind, `${atOnce} of them are open`);
    if (this.#open.of(kind) >= callersAtOnce * atOnce)
      return tooMany(kind, `${callersAtOnce * atOnce} of them are open, of all callers`);
    const waitMs = this.#buckets[kind].take(caller, 1);
    return waitMs > 0 ? tooFast(kind, perSecond, waitMs) : undefined;
  }
}

const tooMany = (kind: CallClass, why: string): SocleError =>
  new SocleError("exhausted", "TOO_MANY_CALLS", `too many ${kind} calls: ${why}; try again later`, {
    details: { retryAfterMs: 1000, metadata: { call_class: kind } },
  });

const tooFast = (kind: CallClass, perSecond: number, retryAfterMs: number): SocleError =>
  new SocleError(
    "exhausted",
    "RATE_LIMITED",
    `more than ${perSecond} ${kind} calls a second, which is the limit of one caller; slow down`,
    { details: { retryAfterMs: Math.ceil(retryAfterMs), metadata: { call_class: kind } } },
  );
