import type { Config } from "../../../config/schema.ts";
import { HIDDEN, isNotWatched, NOT_INSTALLED, type Reading } from "../../../hardware/reading.ts";
import type { HostReadings, HostValue, ReaderName } from "../readers/table.ts";
import type { SeenHardware } from "../seen.ts";
import { absent, unknown, type Moment, type Streak, type TriggerRule, type Verdict } from "../trigger.ts";

/** Inputs of conditions beside the readers: thresholds and queries. */
export interface ConditionContext {
  readonly config: Config;
  /** Whether libvirt reports that QEMU can use KVM; undefined if unreachable. */
  readonly offersKvm: () => boolean | undefined;
}

/** A cause that makes a condition true. */
export interface Trigger extends TriggerRule {
  /** The reader that decides it; absent: reported through `Health.observe`. */
  readonly watches?: {
    readonly reader: ReaderName;
    readonly judge: (readings: HostReadings, at: Moment, seen: SeenHardware) => Verdict | Verdicts;
  };
}

/** Verdicts by subject (a disk, a DIMM, a filesystem). Each subject is tracked separately. */
export type Verdicts = ReadonlyMap<string, Verdict>;

/** A condition is true if any of its triggers is on, with the worst effect of those. */
export type ConditionTable = Readonly<Record<string, Readonly<Record<string, Trigger>>>>;

/** Readers whose subjects may end without a fault: disks may sleep, and TLS may be switched off. */
const MAY_END: ReadonlySet<ReaderName> = new Set(["diskHealth", "certificate"]);

/** A trigger decided by each reading. Hardware that was never present is no fault; lost hardware is unknown. */
export const watching = <N extends ReaderName>(
  reader: N,
  rule: TriggerRule,
  judge: (value: HostValue<N>, at: Moment, seen: SeenHardware) => Verdict | Verdicts,
): Trigger =>
  watchingReading(reader, rule, (reading, at, seen) => {
    switch (reading.kind) {
      case "read":
        return judge(reading.value, at, seen);
      case "unsupported":
        if (seen.has("reader", reader) && !MAY_END.has(reader))
          return unknown(`gone, but was present since boot: ${reading.reason}`);
        return absent(`not present: ${reading.reason}`);
      case "failed":
        return notRead(reading);
    }
  });

const WATCHED_BY: Readonly<Record<string, string>> = {
  [NOT_INSTALLED]: "install it to have this watched",
  [HIDDEN]: "the controller's own tool watches them",
};

/** A failed or missing reading. The evidence names what the operator can do to have it read. */
export function notRead(reading: Extract<Reading<unknown>, { kind: "failed" }>): Verdict {
  if (!isNotWatched(reading)) return unknown(reading.reason);
  const how = WATCHED_BY[reading.code ?? ""] ?? "enable socle-hardware.socket to have it read";
  return { kind: "unwatched", evidence: `not watched: ${reading.reason}; ${how}` };
}

/** As `watching`, for a judge that handles unsupported and failed readings itself. */
export const watchingReading = <N extends ReaderName>(
  reader: N,
  rule: TriggerRule,
  judge: (reading: Reading<HostValue<N>>, at: Moment, seen: SeenHardware) => Verdict | Verdicts,
): Trigger => ({
  ...rule,
  watches: { reader, judge: (readings, at, seen) => judge(readings.last(reader), at, seen) },
});

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
/** Minimum number of equal results in a row, over a minimum time. */
export const streak = (probes: number, forSeconds: number): Streak => ({
  probes,
  forMs: forSeconds * SECOND,
});
/** Three probe periods, plus a margin for a delayed probe. */
export const staleAfter = (periodSeconds: number): number => (3 * periodSeconds + 30) * SECOND;

/** To leave, a value needs `headroom` times the limit, so that it does not flap at the edge. */
export function below(value: number, limit: number, headroom: number): "bad" | "between" | "good" {
  if (value < limit) return "bad";
  return value > limit * headroom ? "good" : "between";
}

export function above(value: number, limit: number, headroom: number): "bad" | "between" | "good" {
  if (value > limit) return "bad";
  return value > limit / headroom ? "between" : "good";
}

/** A verdict by name; items without a verdict are not subjects of the condition. */
export function each<T>(
  all: readonly T[],
  nameOf: (one: T) => string,
  judge: (one: T) => Verdict | undefined,
): Verdicts {
  const judged = all.map((one) => [nameOf(one), judge(one)] as const);
  return new Map(judged.flatMap(([name, verdict]) => (verdict === undefined ? [] : [[name, verdict]])));
}

export const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)}%`;
