import type { Config } from "../../../config/schema.ts";
import type { FilesystemProbe } from "../../../hardware/storage/filesystem.ts";
import type { Reading } from "../../../hardware/reading.ts";
import type { Roots } from "../../../hardware/roots.ts";
import type { OwnCertificate } from "./certificate.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { WatchedJournal } from "./journals.ts";
import type { SeenLogs } from "../../../state/records/health-record.ts";
import type { SeenHardware } from "../seen.ts";

/** Seen state, kept over restarts of the agent. */
export interface SeenMemory {
  /** Hardware seen since boot. */
  readonly seen: Pick<SeenHardware, "has" | "add">;
  /** Positions in logs. */
  readonly seenLogs: SeenLogs;
  keepSeen(seen: SeenLogs): void;
}

/** Dependencies of readers. */
export interface ReaderContext {
  readonly roots: Roots;
  readonly config: Config;
  readonly clock: Clock;
  readonly filesystems: FilesystemProbe;
  readonly journals: readonly WatchedJournal[];
  readonly memory: SeenMemory;
  /** This host's current certificate. */
  readonly certificate: () => Reading<OwnCertificate>;
  /** Paths of filesystems to read, evaluated each time. */
  readonly watchedPaths: () => Iterable<string>;
  /** Those of these that hold disks of VMs. */
  readonly vmPaths: () => Iterable<string>;
}

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
