import type { Reading } from "../../../hardware/reading.ts";
import type { TimeSync } from "../../../hardware/system/time-sync.ts";
import { bad, good, unknown, type Moment, type Verdict } from "../trigger.ts";
import {
  above,
  SECOND,
  streak,
  watchingReading,
  type ConditionContext,
  type ConditionTable,
} from "./condition.ts";

export const clockConditions = ({ config }: ConditionContext) => {
  const { requireSyncedClock, clockMaxOffsetSeconds, clockUnsyncedSeconds, clockGoodSeconds, headroom } =
    config.health;
  const [enter, leave] = [streak(2, clockUnsyncedSeconds), streak(2, clockGoodSeconds)];
  return {
    ClockUnsynced: {
      offset: watchingReading(
        "clock",
        { reason: "ClockOffsetHigh", effect: "degraded", enter, leave },
        offsetJudge({
          maxSeconds: clockMaxOffsetSeconds,
          windowMs: clockUnsyncedSeconds * SECOND,
          headroom,
          isWanted: requireSyncedClock,
        }),
      ),
      unsynced: watchingReading(
        "clock",
        { reason: "ClockNotSynced", effect: "no_schedule", enter, leave },
        requireSyncedClock ? syncVerdict : () => NOT_WANTED,
      ),
    },
  } satisfies ConditionTable;
};

const NOT_WANTED: Verdict = good("the configuration requires no time service");

/** Least decrease of an offset within half the window, as a share of the limit: drifting clocks are noisy too. */
const LEAST_MENDED = 0.1;

/**
 * Keeps the offsets of a window: a shrinking offset is being corrected, however large. `isWanted`: a time service is
 * required.
 */
function offsetJudge(options: {
  readonly maxSeconds: number;
  readonly windowMs: number;
  readonly headroom: number;
  readonly isWanted: boolean;
}): (reading: Reading<TimeSync>, at: Moment) => Verdict {
  const { maxSeconds, windowMs, headroom, isWanted } = options;
  let seen: readonly { readonly atMs: number; readonly offsetSeconds: number }[] = [];
  /** Compares the largest offsets of both halves of the window, since a single dip proves nothing. */
  const shrinks = (nowMs: number): boolean => {
    const largest = (of: typeof seen): number =>
      Math.max(0, ...of.map(({ offsetSeconds }) => Math.abs(offsetSeconds)));
    const isOld = ({ atMs }: { atMs: number }): boolean => nowMs - atMs >= windowMs / 2;
    const older = seen.filter(isOld);
    const newer = seen.filter((one) => !isOld(one));
    return largest(older) - largest(newer) >= maxSeconds * LEAST_MENDED;
  };
  return (reading, { monotonicMs: atMs }) => {
    if (reading.kind !== "read") return unknown(reading.reason);
    const { offsetSeconds, source, synced } = reading.value;
    if (offsetSeconds === undefined) {
      // Before synchronisation the offset is unknown, not zero.
      return { kind: synced || !isWanted ? "good" : "unknown", evidence: `${source} reports no offset` };
    }
    // Ignore offsets of the other sign: past zero the offset grows again.
    const isSameSide = (one: { offsetSeconds: number }): boolean =>
      Math.sign(one.offsetSeconds) === Math.sign(offsetSeconds);
    seen = [...seen.filter((one) => isSameSide(one) && atMs - one.atMs < windowMs), { atMs, offsetSeconds }];
    const seconds = Math.abs(offsetSeconds);
    const side = offsetSeconds < 0 ? "ahead" : "behind";
    const evidence = `by ${source} the clock is ${(seconds * 1000).toFixed(3)} ms ${side}, ${maxSeconds * 1000} ms is the limit`;
    const kind = above(seconds, maxSeconds, headroom);
    return { kind: kind === "bad" && shrinks(atMs) ? "between" : kind, evidence };
  };
}

/** Unknown, not good, if no time service answers. */
function syncVerdict(reading: Reading<TimeSync>): Verdict {
  if (reading.kind !== "read") return unknown(reading.reason);
  const { source, synced } = reading.value;
  if (synced) return good(`${source} keeps the clock`);
  return bad(`${source} reports that the clock is not synchronised`);
}
