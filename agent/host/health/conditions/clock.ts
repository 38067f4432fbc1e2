import type { Reading } from "../../../hardware/reading.ts";
import type { TimeSync } from "../../../hardware/system/time-sync.ts";
import type { Moment, Verdict } from "../trigger.ts";
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
        { reason: "ClockOffsetGrows", effect: "degraded", enter, leave },
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

const NOT_WANTED: Verdict = { kind: "good", evidence: "nobody needs to keep the clock, by configuration" };

/** It has to shrink by this part of the limit within half the window to count: a clock that drifts is noisy too. */
const LEAST_MENDED = 0.1;

/**
 * Remembers the offsets of a window: one that shrinks over it is being mended, however large. `isWanted`: somebody is to
 * keep the clock.
 */
export function offsetJudge(options: {
  readonly maxSeconds: number;
  readonly windowMs: number;
  readonly headroom: number;
  readonly isWanted: boolean;
}): (reading: Reading<TimeSync>, at: Moment) => Verdict {
  const { maxSeconds, windowMs, headroom, isWanted } = options;
  let seen: readonly { readonly atMs: number; readonly offsetSeconds: number }[] = [];
  /** From the first half of the window to the second. The largest of each: a single dip proves nothing. */
  const shrinks = (nowMs: number): boolean => {
    const largest = (of: typeof seen): number =>
      Math.max(0, ...of.map(({ offsetSeconds }) => Math.abs(offsetSeconds)));
    const isOld = ({ atMs }: { atMs: number }): boolean => nowMs - atMs >= windowMs / 2;
    const older = seen.filter(isOld);
    const newer = seen.filter((one) => !isOld(one));
    return largest(older) - largest(newer) >= maxSeconds * LEAST_MENDED;
  };
  return (reading, { monotonicMs: atMs }) => {
    if (reading.kind !== "read") return { kind: "unknown", evidence: reading.reason };
    const { offsetSeconds, source, synced } = reading.value;
    if (offsetSeconds === undefined) {
      // Before it knows the time it knows no offset either, which is not the same as none.
      return { kind: synced || !isWanted ? "good" : "unknown", evidence: `${source} tells no offset` };
    }
    // On the other side of the right time it does not shrink any more: it grows again.
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

/** Where nobody can be asked it is not known, which is not the same as fine. */
export function syncVerdict(reading: Reading<TimeSync>): Verdict {
  if (reading.kind !== "read") return { kind: "unknown", evidence: reading.reason };
  const { source, synced } = reading.value;
  if (synced) return { kind: "good", evidence: `${source} keeps the clock` };
  return { kind: "bad", evidence: `${source} says that the clock is not synchronised` };
}
