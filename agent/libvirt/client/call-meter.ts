import { toLibvirtError, type LibvirtErrorKind } from "../internal/errors.ts";
import { Histogram, type Distribution } from "../internal/histogram.ts";

const outcomes = [
  "ok",
  "refused",
  "timeout",
  "outcome_unknown",
  "unavailable",
  "cancelled",
  "exhausted",
] as const;
/** How a call ended: with a reply, with libvirt's refusal, or without a reply. */
export type CallOutcome = (typeof outcomes)[number];

/** Kinds of error of a call without a reply; all others are refusals. */
const unanswered: ReadonlySet<LibvirtErrorKind> = new Set<LibvirtErrorKind>(
  outcomes.slice(2) as LibvirtErrorKind[],
);

/** From a read of the daemon's memory to the 30 s that libvirt waits for a busy guest. */
const boundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Totals since the client was created. */
export interface CallTotals {
  readonly byOutcome: Readonly<Record<CallOutcome, number>>;
  /** Calls in flight or queued. */
  readonly pending: number;
  readonly durations: Distribution;
}

/** Counts and times a client's calls, queueing included. */
export class CallMeter implements CallTotals {
  readonly byOutcome = Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<
    CallOutcome,
    number
  >;
  readonly durations = new Histogram(boundsSeconds);
  #pending = 0;

  get pending(): number {
    return this.#pending;
  }

  async measure<R>(call: () => Promise<R>): Promise<R> {
    const beganAtMs = performance.now();
    let outcome: CallOutcome = "ok";
    this.#pending += 1;
    try {
      return await call();
    } catch (thrown) {
      const { kind } = toLibvirtError(thrown);
      outcome = unanswered.has(kind) ? (kind as CallOutcome) : "refused";
      throw thrown;
    } finally {
      this.#pending -= 1;
      this.byOutcome[outcome] += 1;
      this.durations.add((performance.now() - beganAtMs) / 1000);
    }
  }
}
