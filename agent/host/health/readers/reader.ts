import type { Config } from "../../../config/schema.ts";
import type { FilesystemProbe } from "../../../hardware/storage/filesystem.ts";
import type { Reading } from "../../../hardware/reading.ts";
import type { Roots } from "../../../hardware/roots.ts";
import type { OwnCertificate } from "./certificate.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { WatchedJournal } from "./journals.ts";
import type { SeenLogs } from "../../../state/records/health-record.ts";
import type { Seen } from "../seen.ts";

/** What was seen, over restarts of the agent. */
export interface SeenMemory {
  /** Of what the machine has, until it boots anew. */
  readonly seen: Pick<Seen, "has" | "add">;
  /** Of logs. */
  readonly seenLogs: SeenLogs;
  keepSeen(seen: SeenLogs): void;
}

/** What readers are made with. */
export interface ReaderContext {
  readonly roots: Roots;
  readonly config: Config;
  readonly clock: Clock;
  readonly filesystems: FilesystemProbe;
  readonly journals: readonly WatchedJournal[];
  readonly memory: SeenMemory;
  /** What this host proves itself with, as it is now. */
  readonly certificate: () => Reading<OwnCertificate>;
  /** The filesystems to look at, asked anew each time. */
  readonly watchedPaths: () => Iterable<string>;
  /** Of these, where VMs have their disks. */
  readonly vmPaths: () => Iterable<string>;
}

/** One thing that is read of this machine, again and again. */
export interface Reader<T> {
  readonly everyMs: number;
  /** Readers of one lane run one after the other. What starts children gets a lane of its own; absent: "files". */
  readonly lane?: string;
  /** The reader is given up then, and its signal aborts; absent: 5 s. */
  readonly deadlineMs?: number;
  /** Looks once. What it starts ends with the signal. */
  readonly read: (signal: AbortSignal) => Promise<Reading<T>>;
  /** Lets go of what it holds between looks, when there will be no more. */
  readonly close?: () => Promise<void>;
}

/** A reader of files that the kernel answers at once. */
export const reader = <T>(everyMs: number, read: Reader<T>["read"]): Reader<T> => ({ everyMs, read });

export type ReaderTable = Readonly<Record<string, Reader<unknown>>>;
export type ValueOf<R> = R extends Reader<infer T> ? T : never;

/** The newest value of a reader, with its time. */
export interface Sampled<T> {
  readonly value: T;
  /** Wall clock, for showing. */
  readonly readAtMs: number;
  /** On the monotonic clock. */
  readonly ageMs: number;
  /** How often it is read. */
  readonly intervalMs: number;
}

/** What is read again and again is not stated any more once it is older than this many times its interval. */
const FRESH_INTERVALS = 3;

export const isFresh = ({ ageMs, intervalMs }: Pick<Sampled<unknown>, "ageMs" | "intervalMs">): boolean =>
  ageMs <= FRESH_INTERVALS * intervalMs;

/** How a reader's last look ended. */
export interface ReaderState {
  readonly name: string;
  readonly state: "read" | "unsupported" | "failed" | "pending";
  /** Why it is not `read`; "" when it is. */
  readonly reason: string;
  /** Wall clock of the last look, and how long it took. */
  readonly lookedAtMs?: number;
  readonly tookMs?: number;
}

/** What the readers know, answered from memory. */
export interface ReadingsOf<T extends ReaderTable> {
  /** The newest value, which outlives later failures; absent where there is none, or the machine lost what it was of. */
  newest<N extends keyof T & string>(name: N): Sampled<ValueOf<T[N]>> | undefined;
  /** How the last look ended. Before the first one: failed, as not read yet. */
  last<N extends keyof T & string>(name: N): Reading<ValueOf<T[N]>>;
  states(): readonly ReaderState[];
}
