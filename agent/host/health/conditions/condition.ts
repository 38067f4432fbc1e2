import type { Config } from "../../../config/schema.ts";
import { HIDDEN, isNotWatched, NOT_INSTALLED, type Reading } from "../../../hardware/reading.ts";
import type { HostReadings, HostValue, ReaderName } from "../readers/table.ts";
import type { Seen } from "../seen.ts";
import type { Moment, Streak, TriggerRule, Verdict } from "../trigger.ts";

/** What conditions are made with: thresholds, and what they ask about beside the readers. */
export interface ConditionContext {
  readonly config: Config;
  /** Whether libvirt says that QEMU can use KVM; undefined where it could not be asked. */
  readonly offersKvm: () => boolean | undefined;
}

/** One way in which a condition comes true. */
export interface Trigger extends TriggerRule {
  /** The reader that decides it; absent: somebody reports it by `Health.observe`. */
  readonly watches?: {
    readonly reader: ReaderName;
    readonly judge: (readings: HostReadings, at: Moment, seen: Seen) => Verdict | Verdicts;
  };
}

/** By subject, where a condition is about each of several: a disk, a DIMM, a filesystem. Each is counted by itself. */
export type Verdicts = ReadonlyMap<string, Verdict>;

/** Each condition comes true by any of its triggers, with the worst effect of those that are on. */
export type ConditionTable = Readonly<Record<string, Readonly<Record<string, Trigger>>>>;

/** A disk may sleep, and a host be asked no longer to prove itself: what they have nothing of any more is not lost. */
const MAY_END: ReadonlySet<ReaderName> = new Set(["diskHealth", "certificate"]);

/** A trigger that each look of a reader decides. What this machine never had is no fault; what it lost is not known. */
export function watching<N extends ReaderName>(
  reader: N,
  rule: TriggerRule,
  judge: (value: HostValue<N>, at: Moment, seen: Seen) => Verdict | Verdicts,
): Trigger {
  return watchingReading(reader, rule, (reading, at, seen) => {
    switch (reading.kind) {
      case "read":
        return judge(reading.value, at, seen);
      case "unsupported":
        if (seen.has("reader", reader) && !MAY_END.has(reader))
          return { kind: "unknown", evidence: `gone, and was here since the host booted: ${reading.reason}` };
        return { kind: "absent", evidence: `not here: ${reading.reason}` };
      case "failed":
        return notRead(reading);
    }
  });
}

const WATCHED_BY: Readonly<Record<string, string>> = {
  [NOT_INSTALLED]: "install it to have this watched",
  [HIDDEN]: "the controller's own tool watches them",
};

/** Nothing was looked at, or the look failed. Where the operator can have it looked at, the evidence says how. */
export function notRead(reading: Extract<Reading<unknown>, { kind: "failed" }>): Verdict {
  if (!isNotWatched(reading)) return { kind: "unknown", evidence: reading.reason };
  const how = WATCHED_BY[reading.code ?? ""] ?? "socle-hardware.socket has it read";
  return { kind: "unwatched", evidence: `not watched: ${reading.reason}; ${how}` };
}

/** The same for a judge that makes its own of what is unsupported or failed. */
export function watchingReading<N extends ReaderName>(
  reader: N,
  rule: TriggerRule,
  judge: (reading: Reading<HostValue<N>>, at: Moment, seen: Seen) => Verdict | Verdicts,
): Trigger {
  return {
    ...rule,
    watches: { reader, judge: (readings, at, seen) => judge(readings.last(reader), at, seen) },
  };
}

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const atOnce = { probes: 1, forMs: 0 };
/** So many probes in a row that say the same, over at least so long. */
export const streak = (probes: number, forSeconds: number): Streak => ({
  probes,
  forMs: forSeconds * SECOND,
});
/** Three rounds of a probe, and what may hold one up. */
export const staleAfter = (periodSeconds: number): number => (3 * periodSeconds + 30) * SECOND;

/** Leaving takes `headroom` times the room of entering, so that a value on the edge does not flap. */
export function below(value: number, limit: number, headroom: number): "bad" | "between" | "good" {
  if (value < limit) return "bad";
  return value > limit * headroom ? "good" : "between";
}

export function above(value: number, limit: number, headroom: number): "bad" | "between" | "good" {
  if (value > limit) return "bad";
  return value > limit / headroom ? "between" : "good";
}

/** A verdict for each; those without one are no subjects of the condition. */
export function each<T>(
  all: readonly T[],
  nameOf: (one: T) => string,
  judge: (one: T) => Verdict | undefined,
): Verdicts {
  const judged = all.map((one) => [nameOf(one), judge(one)] as const);
  return new Map(judged.flatMap(([name, verdict]) => (verdict === undefined ? [] : [[name, verdict]])));
}

export const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)}%`;
