import type { Effect, Truth } from "../host.ts";
import { defined } from "../../kernel/defined.ts";

/** One instant on both clocks: durations are measured on the monotonic one, the other is for people. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** So many probes in a row that say the same, the first of them so long ago. */
export interface Streak {
  readonly probes: number;
  readonly forMs: number;
}

/** One way in which a condition comes true. */
export interface TriggerRule {
  /** Upper camel: the condition's reason while this trigger is on. */
  readonly reason: string;
  readonly effect: Exclude<Effect, "none">;
  readonly enter: Streak;
  readonly leave: Streak;
  /**
   * It is off until somebody reports otherwise, rather than unknown until it is probed. The next agent of the same boot
   * finds it as it was left: nobody may report it again.
   */
  readonly offUntilReported?: boolean;
  /** Once on, it stays so until an operator acknowledges it, or until that and a reboot; then it leaves by its rule. */
  readonly latch?: "acknowledge" | "reboot_and_acknowledge";
  /** An operator's acknowledgement ends it, held or not: no probe may ever find that it is over. */
  readonly endsWhenSeen?: boolean;
  /**
   * Its judge looks back so far, which that of the next agent cannot: what one agent leaves on stays on with the next one
   * of the same boot, for at least so long.
   */
  readonly looksBackMs?: number;
  /** Without a probe for this long, what was fine is unknown. */
  readonly staleAfterMs?: number;
}

/**
 * What a probe says: past the threshold to enter, past the one to leave, between the two, or it could not tell.
 * `unwatched`: it was not let look, or has nothing to look with. `absent`: this machine has nothing of the kind to look
 * at, which is no fault and moves its state as a good one does, but nobody has seen that anything is well.
 */
export interface Verdict {
  readonly kind: "bad" | "between" | "good" | "absent" | "unknown" | "unwatched";
  readonly evidence: string;
}

/** So many changes between on and off within this time, and it is held on until somebody has looked. */
export interface Flapping {
  readonly flips: number;
  readonly withinMs: number;
}

/** Why a trigger is held on, whatever its probes say. */
export interface TriggerLatch {
  readonly cause: "flapping" | "acknowledge" | "reboot_and_acknowledge";
  /** An operator has seen it, and it waits for the reboot. */
  readonly acknowledged: boolean;
}

export interface TriggerState {
  readonly status: Truth;
  readonly evidence: string;
  /** While it is on, and its probes find less by now: the evidence that it came on with. */
  readonly cause?: string;
  /** Its wall clock is 0 before the first probe: since then it is silent. */
  readonly lastProbe: Moment;
  readonly latch?: TriggerLatch;
  /** On the monotonic clock: it does not leave before. */
  readonly stayUntilMs?: number;
  readonly bad?: RunningStreak;
  readonly good?: RunningStreak;
  readonly unknownProbes: number;
  /** It is unknown because nobody looks, which is the operator's choice. */
  readonly isUnwatched?: true;
  /** There is nothing of the kind to look at. */
  readonly isAbsent?: true;
  readonly lastKnown?: "true" | "false";
  /** Monotonic times of the last changes between true and false. */
  readonly flipsMs: readonly number[];
}

interface RunningStreak {
  readonly probes: number;
  readonly sinceMs: number;
}

/** So many probes in a row that could not tell, and what was known no longer counts. */
const UNKNOWN_AFTER_PROBES = 3;
const NEVER = 0;

export function initialState(rule: TriggerRule, at: Moment): TriggerState {
  const off = rule.offUntilReported === true;
  return defined({
    status: off ? "false" : "unknown",
    evidence: off ? "nothing of the kind was reported" : "not probed yet",
    lastProbe: { ...at, wallMs: NEVER },
    unknownProbes: 0,
    flipsMs: [],
    lastKnown: off ? ("false" as const) : undefined,
  });
}

/** A trigger that an earlier agent left on. */
export function heldState(
  evidence: string,
  held: Pick<TriggerState, "latch" | "stayUntilMs">,
  at: Moment,
): TriggerState {
  return {
    status: "true",
    lastKnown: "true",
    evidence,
    lastProbe: { ...at, wallMs: NEVER },
    unknownProbes: 0,
    flipsMs: [],
    ...held,
  };
}

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
  const tells = state.status !== "true" || verdict.kind === "bad";
  // While somebody is to look, what it came on for is the evidence, not a probe that finds less.
  const seen = tells
    ? { ...rest, evidence, lastProbe: at }
    : isHeld
      ? { ...rest, evidence: cause, lastProbe: at }
      : { ...rest, evidence: `${foundNow(rule, good, verdict, at)}; before: ${cause}`, cause, lastProbe: at };
  const turned = ({ cause: _, ...next }: TriggerState, to: "true" | "false"): TriggerState =>
    turn(rule, { ...next, evidence }, to, at, flapping);
  switch (verdict.kind) {
    case "unwatched":
      // What is on stays on: that nobody looks any more mends nothing. But what only an earlier agent saw does not wait
      // for ever for somebody to look, where that is the operator's choice.
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

/** A probe that has stopped says nothing of now. What is on stays on. */
export function aged(rule: TriggerRule, state: TriggerState, at: Moment): TriggerState {
  const { staleAfterMs } = rule;
  const silentMs = at.monotonicMs - state.lastProbe.monotonicMs;
  if (staleAfterMs === undefined || state.status !== "false" || silentMs <= staleAfterMs) return state;
  return { ...state, status: "unknown", evidence: `not probed for ${Math.round(silentMs / 1000)} s` };
}

/** Whether an operator's acknowledgement changes anything. */
export const canBeSeen = (rule: TriggerRule, { status, latch }: TriggerState): boolean =>
  (latch !== undefined && !latch.acknowledged) || (rule.endsWhenSeen === true && status === "true");

/** An operator has seen it: it may leave by its own rule, once the host was rebooted where it asks for that too. */
export function acknowledge(rule: TriggerRule, state: TriggerState): TriggerState {
  const { latch, ...rest } = state;
  if (rule.endsWhenSeen === true && state.status === "true") {
    const { bad: _, good: __, cause: ___, ...seen } = rest;
    return { ...seen, status: "false", lastKnown: "false", evidence: "an operator has seen it", flipsMs: [] };
  }
  if (latch?.cause === "reboot_and_acknowledge") return { ...rest, latch: { ...latch, acknowledged: true } };
  return { ...rest, flipsMs: [] };
}

/** What its probes find while it is on and they find less than it came on with. */
function foundNow(rule: TriggerRule, good: RunningStreak | undefined, verdict: Verdict, at: Moment): string {
  switch (verdict.kind) {
    case "absent":
    case "good": {
      const { sinceMs } = longer(good, at);
      const utc = (monotonicMs: number): string =>
        `${new Date(at.wallMs + monotonicMs - at.monotonicMs).toISOString().slice(0, 19)}Z`;
      const { forMs } = rule.leave;
      const until = forMs > 0 ? `${utc(sinceMs + forMs)} at the earliest` : "it was looked at again";
      return `${verdict.evidence}, ${verdict.kind === "good" ? "well" : "so"} since ${utc(sinceMs)} (held until ${until})`;
    }
    case "unknown":
    case "unwatched":
      return `not known now: ${verdict.evidence}`;
    default:
      return `${verdict.evidence}, which is not yet enough to end it`;
  }
}

function longer(streak: RunningStreak | undefined, at: Moment): RunningStreak {
  return { probes: (streak?.probes ?? 0) + 1, sinceMs: streak?.sinceMs ?? at.monotonicMs };
}

function reached(streak: RunningStreak, wanted: Streak, at: Moment): boolean {
  return streak.probes >= wanted.probes && at.monotonicMs - streak.sinceMs >= wanted.forMs;
}

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
  const story = `changed ${flipsMs.length} times within ${minutes} min, at last: ${state.evidence}`;
  const evidence = flaps ? story : state.evidence;
  return { ...state, status, lastKnown: status, evidence, flipsMs, ...(latch && { latch }) };
}

function latchOf(rule: TriggerRule, flaps: boolean): TriggerLatch | undefined {
  const cause = rule.latch ?? (flaps ? "flapping" : undefined);
  return cause && { cause, acknowledged: false };
}
