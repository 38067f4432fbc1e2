import type { Effect, Truth } from "../host.ts";
import { defined } from "../../kernel/defined.ts";

/** One instant on both clocks: monotonic for durations, wall for display. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Minimum number of equal results in a row, over a minimum time. */
export interface Streak {
  readonly probes: number;
  readonly forMs: number;
}

/** The rule of a trigger, which makes a condition true. */
export interface TriggerRule {
  /** Upper camel: the condition's reason while this trigger is on. */
  readonly reason: string;
  readonly effect: Exclude<Effect, "none">;
  /** Absent: one result. */
  readonly enter?: Streak;
  readonly leave?: Streak;
  /**
   * Off until reported, rather than unknown until probed. The next agent of the same boot restores its state, since the
   * report may not be repeated.
   */
  readonly offUntilReported?: boolean;
  /** Once on, it is held until an operator acknowledges it (and the host reboots); then it leaves by its rule. */
  readonly latch?: "acknowledge" | "reboot_and_acknowledge";
  /** An acknowledgement ends it, latched or not, since no probe may detect its end. */
  readonly endsOnAcknowledge?: boolean;
  /**
   * History that its judge uses. The next agent lacks that history: on the same boot, it keeps the trigger on for at least
   * this long.
   */
  readonly looksBackMs?: number;
  /** Without a probe for this long, false becomes unknown. */
  readonly staleAfterMs?: number;
}

/**
 * Result of a probe: past the threshold to enter, past the one to leave, between both, or unknown.
 * `unwatched`: no permission or no tool to probe. `absent`: this machine lacks the hardware. That is no fault and acts as
 * `good`, but does not count as healthy.
 */
export interface Verdict {
  readonly kind: "bad" | "between" | "good" | "absent" | "unknown" | "unwatched";
  readonly evidence: string;
}

const verdictOf =
  (kind: Verdict["kind"]) =>
  (evidence: string): Verdict => ({ kind, evidence });
export const good = verdictOf("good");
export const bad = verdictOf("bad");
export const unknown = verdictOf("unknown");
export const absent = verdictOf("absent");
export const badIf = (isBad: boolean, evidence: string): Verdict => (isBad ? bad : good)(evidence);
/** Bad with the fault as its evidence, if there is one. */
export const faultOr = (fault: string | undefined, fine: string): Verdict =>
  fault === undefined ? good(fine) : bad(fault);

/** This many flips within this time latch the trigger until it is acknowledged. */
export interface Flapping {
  readonly flips: number;
  readonly withinMs: number;
}

/** Why a trigger is held on, regardless of probes. */
interface TriggerLatch {
  readonly cause: "flapping" | "acknowledge" | "reboot_and_acknowledge";
  /** Acknowledged; it waits for the reboot. */
  readonly acknowledged: boolean;
}

export interface TriggerState {
  readonly status: Truth;
  readonly evidence: string;
  /** While it is on, but probes are better now: the evidence with which it turned on. */
  readonly cause?: string;
  /** Wall time is 0 before the first probe. */
  readonly lastProbe: Moment;
  readonly latch?: TriggerLatch;
  /** Monotonic time before which it does not leave. */
  readonly stayUntilMs?: number;
  readonly bad?: RunningStreak;
  readonly good?: RunningStreak;
  readonly unknownProbes: number;
  /** Unknown because it is not probed, by the operator's choice. */
  readonly isUnwatched?: true;
  /** This machine lacks the hardware. */
  readonly isAbsent?: true;
  readonly lastKnown?: "true" | "false";
  /** Monotonic times of the last changes between true and false. */
  readonly flipsMs: readonly number[];
}

interface RunningStreak {
  readonly probes: number;
  readonly sinceMs: number;
}

/** After this many unknown probes in a row, false becomes unknown. */
const UNKNOWN_AFTER_PROBES = 3;
const NEVER = 0;

export function initialState(rule: TriggerRule, at: Moment): TriggerState {
  const off = rule.offUntilReported === true;
  return defined({
    status: off ? "false" : "unknown",
    evidence: off ? "nothing was reported" : "not probed yet",
    lastProbe: { ...at, wallMs: NEVER },
    unknownProbes: 0,
    flipsMs: [],
    lastKnown: off ? ("false" as const) : undefined,
  });
}

/** A trigger that an earlier agent left on. */
export const heldState = (
  evidence: string,
  held: Pick<TriggerState, "latch" | "stayUntilMs">,
  at: Moment,
): TriggerState => ({
  status: "true",
  lastKnown: "true",
  evidence,
  lastProbe: { ...at, wallMs: NEVER },
  unknownProbes: 0,
  flipsMs: [],
  ...held,
});

/** The state after one more probe. Pure. */
export function step(
  rule: TriggerRule,
  state: TriggerState,
  verdict: Verdict,
  at: Moment,
  flapping: Flapping,
): TriggerState {
  const { bad, good, isUnwatched: _, isAbsent: __, cause = state.evidence, ...rest } = state;
  const { evidence } = verdict;
  const isHeld = state.latch !== undefined || at.monotonicMs < (state.stayUntilMs ?? -Infinity);
  const replacesEvidence = state.status !== "true" || verdict.kind === "bad";
  // While latched, keep the evidence with which it turned on, not that of a better probe.
  const seen = replacesEvidence
    ? { ...rest, evidence, lastProbe: at }
    : isHeld
      ? { ...rest, evidence: cause, lastProbe: at }
      : { ...rest, evidence: `${foundNow(rule, good, verdict, at)}; before: ${cause}`, cause, lastProbe: at };
  const turned = ({ cause: _, ...next }: TriggerState, to: "true" | "false"): TriggerState =>
    turn(rule, { ...next, evidence }, to, at, flapping);
  switch (verdict.kind) {
    case "unwatched":
      // A trigger that is on stays on: a missing probe proves no recovery. But state that only an earlier agent
      // observed does not stay on forever if the operator disabled the probe.
      return state.status === "true" && (state.latch !== undefined || state.lastProbe.wallMs !== NEVER)
        ? { ...seen, unknownProbes: 0 }
        : { ...seen, unknownProbes: 0, status: "unknown", isUnwatched: true };
    case "unknown": {
      const unknownProbes = state.unknownProbes + 1;
      const forgotten = state.status === "false" && unknownProbes >= UNKNOWN_AFTER_PROBES;
      const status = forgotten ? "unknown" : state.status;
      return { ...seen, unknownProbes, ...(bad === undefined ? {} : { bad }), status };
    }
    case "bad": {
      const streak = longer(bad, at);
      const next = { ...seen, unknownProbes: 0, bad: streak };
      return state.status !== "true" && reached(streak, rule.enter, at) ? turned(next, "true") : next;
    }
    case "between": {
      const next = { ...seen, unknownProbes: 0 };
      return state.status === "unknown" ? turned(next, "false") : next;
    }
    case "absent":
    case "good": {
      const streak = longer(good, at);
      const isAbsent = verdict.kind === "absent" ? { isAbsent: true as const } : {};
      const next = { ...seen, ...isAbsent, unknownProbes: 0, good: streak };
      if (state.status === "unknown") return turned(next, "false");
      const leaves = state.status === "true" && !isHeld && reached(streak, rule.leave, at);
      return leaves ? turned(next, "false") : next;
    }
  }
}

/** Marks the state unknown after its probe stopped. A trigger that is on stays on. */
export function aged(rule: TriggerRule, state: TriggerState, at: Moment): TriggerState {
  const { staleAfterMs } = rule;
  const silentMs = at.monotonicMs - state.lastProbe.monotonicMs;
  if (staleAfterMs === undefined || state.status !== "false" || silentMs <= staleAfterMs) return state;
  return { ...state, status: "unknown", evidence: `not probed for ${Math.round(silentMs / 1000)} s` };
}

/** Whether an acknowledgement has an effect. */
export const canAcknowledge = (rule: TriggerRule, { status, latch }: TriggerState): boolean =>
  (latch !== undefined && !latch.acknowledged) || (rule.endsOnAcknowledge === true && status === "true");

/** Acknowledges the trigger: it may leave by its own rule, after a required reboot. */
export function acknowledge(rule: TriggerRule, state: TriggerState): TriggerState {
  const { latch, ...rest } = state;
  if (rule.endsOnAcknowledge === true && state.status === "true") {
    const { bad: _, good: __, cause: ___, ...seen } = rest;
    return {
      ...seen,
      status: "false",
      lastKnown: "false",
      evidence: "acknowledged by an operator",
      flipsMs: [],
    };
  }
  if (latch?.cause === "reboot_and_acknowledge") return { ...rest, latch: { ...latch, acknowledged: true } };
  return { ...rest, flipsMs: [] };
}

/** Evidence of a better probe while the trigger is on. */
function foundNow(rule: TriggerRule, good: RunningStreak | undefined, verdict: Verdict, at: Moment): string {
  switch (verdict.kind) {
    case "absent":
    case "good": {
      const { sinceMs } = longer(good, at);
      const utc = (monotonicMs: number): string =>
        `${new Date(at.wallMs + monotonicMs - at.monotonicMs).toISOString().slice(0, 19)}Z`;
      const forMs = rule.leave?.forMs ?? 0;
      const until = forMs > 0 ? `${utc(sinceMs + forMs)} at the earliest` : "the next probe";
      return `${verdict.evidence}, ${verdict.kind === "good" ? "well" : "so"} since ${utc(sinceMs)} (held until ${until})`;
    }
    case "unknown":
    case "unwatched":
      return `unknown now: ${verdict.evidence}`;
    default:
      return `${verdict.evidence}, not yet enough to end it`;
  }
}

function longer(streak: RunningStreak | undefined, at: Moment): RunningStreak {
  return { probes: (streak?.probes ?? 0) + 1, sinceMs: streak?.sinceMs ?? at.monotonicMs };
}

const reached = (streak: RunningStreak, wanted: Streak | undefined, at: Moment): boolean =>
  wanted === undefined || (streak.probes >= wanted.probes && at.monotonicMs - streak.sinceMs >= wanted.forMs);

function turn(
  rule: TriggerRule,
  state: TriggerState,
  to: "true" | "false",
  at: Moment,
  flapping: Flapping,
): TriggerState {
  const recent = state.flipsMs.filter((flip) => at.monotonicMs - flip < flapping.withinMs);
  const flipped = state.lastKnown !== undefined && state.lastKnown !== to;
  const flipsMs = flipped ? [...recent, at.monotonicMs] : recent;
  const flaps = flipsMs.length >= flapping.flips;
  const status = flaps ? "true" : to;
  const latch = status === "true" ? latchOf(rule, flaps) : undefined;
  const minutes = Math.round(flapping.withinMs / 60_000);
  const story = `changed ${flipsMs.length} times within ${minutes} min, most recently: ${state.evidence}`;
  const evidence = flaps ? story : state.evidence;
  return { ...state, status, lastKnown: status, evidence, flipsMs, ...(latch && { latch }) };
}

function latchOf(rule: TriggerRule, flaps: boolean): TriggerLatch | undefined {
  const cause = rule.latch ?? (flaps ? "flapping" : undefined);
  return cause && { cause, acknowledged: false };
}
