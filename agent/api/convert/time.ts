import { invalidField } from "../../kernel/errors.ts";

interface SecondsAndNanos {
  readonly seconds: number;
  readonly nanos: number;
}

/** Wall-clock milliseconds as a google.protobuf.Timestamp: exact to the nanosecond that a double can hold. */
export function toTimestamp(ms: number): SecondsAndNanos {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return nanos === 1e9 ? { seconds: seconds + 1, nanos: 0 } : { seconds, nanos };
}

export const fromTimestamp = (time: SecondsAndNanos): number => time.seconds * 1000 + time.nanos / 1e6;

/** Milliseconds (not negative) as a google.protobuf.Duration. */
export const toDuration = toTimestamp;

/** A caller's google.protobuf.Duration in milliseconds; `invalid` when it is negative or no duration at all. */
export function durationMs(field: string, duration: SecondsAndNanos): number {
  const { seconds, nanos } = duration;
  if (!Number.isSafeInteger(seconds * 1000) || seconds < 0 || nanos < 0 || nanos >= 1e9)
    throw invalidField("INVALID_DURATION", field, "must be a duration that is not negative");
  return seconds * 1000 + nanos / 1e6;
}
