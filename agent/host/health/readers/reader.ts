import type { Reading } from "../../../hardware/reading.ts";

/** A periodic reading of this machine. */
export interface Reader<T> {
  readonly everyMs: number;
  /** Readers of one lane run sequentially. Readers that start children have their own lane; absent: "files". */
  readonly lane?: string;
  /** Deadline of a reading, after which its signal aborts; absent: 5 s. */
  readonly deadlineMs?: number;
  /** Reads once. All that it starts ends with the signal. */
  readonly read: (signal: AbortSignal) => Promise<Reading<T>>;
  /** Releases resources held between readings, after the last one. */
  readonly close?: () => Promise<void>;
}

/** A reader of kernel files, which answer at once. */
export const reader = <T>(everyMs: number, read: Reader<T>["read"]): Reader<T> => ({ everyMs, read });

/** A reader that starts programs, or that broken hardware may block: in a named lane, which delays no other one. */
export const inLane = <T>(
  lane: string,
  everyMs: number,
  deadlineMs: number,
  read: Reader<T>["read"],
): Reader<T> => ({ everyMs, lane, deadlineMs, read });

export type ReaderTable = Readonly<Record<string, Reader<unknown>>>;
export type ValueOf<R> = R extends Reader<infer T> ? T : never;

/** A reader's newest value, with its time. */
export interface Sampled<T> {
  readonly value: T;
  /** Wall clock, for display. */
  readonly readAtMs: number;
  /** On the monotonic clock. */
  readonly ageMs: number;
  /** Period of the reader. */
  readonly intervalMs: number;
}

/** A value older than this many intervals is stale and no longer reported. */
const FRESH_INTERVALS = 3;

export const isFresh = ({ ageMs, intervalMs }: Pick<Sampled<unknown>, "ageMs" | "intervalMs">): boolean =>
  ageMs <= FRESH_INTERVALS * intervalMs;

/** Outcome of a reader's last reading. */
export interface ReaderState {
  readonly name: string;
  readonly state: "read" | "unsupported" | "failed" | "pending";
  /** Why it is not `read`; "" if it is. */
  readonly reason: string;
  /** Wall clock and duration of the last reading. */
  readonly lookedAtMs?: number;
  readonly tookMs?: number;
}

/** Values of all readers, from memory. */
export interface ReadingsOf<T extends ReaderTable> {
  /** The newest value, which outlives later failures; absent without one, or if the hardware is gone. */
  newest<N extends keyof T & string>(name: N): Sampled<ValueOf<T[N]>> | undefined;
  /** Outcome of the last reading. Before the first: failed, "not read yet". */
  last<N extends keyof T & string>(name: N): Reading<ValueOf<T[N]>>;
  states(): readonly ReaderState[];
}
