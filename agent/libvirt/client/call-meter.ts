import { toSocleError, type ErrorKind } from "../../kernel/errors.ts";
import { Histogram, type Distribution } from "../../kernel/histogram.ts";

const outcomes = [
  "ok",
  "refused",
  "timeout",
  "outcome_unknown",
  "unavailable",
  "cancelled",
  "exhausted",
] as const;
/** How a call ended: with an answer, with libvirt's refusal, or with none. */
export type CallOutcome = (typeof outcomes)[number];

/** The kinds of error of a call without an answer; every other one is a refusal. */
const unanswered: ReadonlySet<ErrorKind> = new Set<ErrorKind>(outcomes.slice(2) as ErrorKind[]);

/** From a look into the daemon's memory to the 30 s that libvirt waits for a busy guest. */
const boundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Since the client was made; an outcome that never was is there, as zero. */
export interface CallTotals {
  readonly byOutcome: Readonly<Record<CallOutcome, number>>;
  /** Without an end yet. */
  readonly pending: number;
  readonly durations: Distribution;
}

/** Counts a client's calls, each from when it is asked for, and times them. */
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

  /** Gives what `ended` wants to know. */
  began(): number {
    this.#pending += 1;
    return performance.now();
  }

  ended(beganAtMs: number, thrown?: unknown): void {
    const { kind } = thrown === undefined ? { kind: undefined } : toSocleError(thrown);
    this.#pending -= 1;
    this.byOutcome[kind === undefined ? "ok" : unanswered.has(kind) ? (kind as CallOutcome) : "refused"] += 1;
    this.durations.add((performance.now() - beganAtMs) / 1000);
  }
}
