import { open, rm, stat } from "node:fs/promises";
import { AppendFile, writeAgain } from "../state/journal/append-file.ts";
import { isFullDisk, syncDirectory } from "../state/journal/durable-file.ts";
import type { Found } from "./found.ts";
import { genesis } from "./chain.ts";
import type { ChainPoint } from "./follow.ts";
import { reading } from "./refusals.ts";
import { createSegment, readHeader, type SegmentFile } from "./segment.ts";

export interface Keeping {
  /** Minimum age of deleted entries. */
  readonly retentionMs: number;
  /** Beyond this many bytes the oldest are deleted even before; absent: never. */
  readonly maxBytes?: number | undefined;
  /** Default 16 MiB. */
  readonly segmentBytes?: number | undefined;
}

interface Owned extends SegmentFile {
  bytes: number;
  /** Wall clock. All entries of earlier segments are older. */
  readonly beganMs: number;
  /** The chain's hash before its first entry. */
  readonly previous: string;
}

const dayMs = 86_400_000;
/** Deletes by age, a step at a time: a wrong wall clock costs no more. */
const dropsAtOnce = 2;

/** The log's files: the last one is written to. */
export class Segments {
  readonly #directory: string;
  readonly #keeping: Keeping;
  readonly #all: Owned[];
  #file: AppendFile | undefined;
  /** After a start on a full disk: the header for the next append. */
  #due: { readonly point: ChainPoint; readonly nowMs: number } | undefined;

  /** Continues the newest segment, or begins one: on a full disk, at the next append. */
  static async open(directory: string, found: Found, keeping: Keeping, nowMs: number): Promise<Segments> {
    const all: Owned[] = [];
    for (const segment of found.segments) {
      const header = await reading(segment.path, () => readHeader(segment.path));
      const bytes = (await stat(segment.path)).size;
      const beganMs = header === undefined ? Infinity : Date.parse(header.time);
      all.push({ ...segment, bytes, beganMs, previous: header?.previous ?? genesis });
    }
    const segments = new Segments(directory, keeping, all);
    if (found.goesOn) {
      const { path, bytes } = segments.#last;
      const file = await open(path, "r+");
      segments.#file = new AppendFile(path, file, bytes);
      await writeAgain(file, found.signedBytes, bytes).catch(async (thrown: unknown) => {
        await file.close();
        throw thrown;
      });
    } else {
      await segments.begin(found.point, nowMs).catch((thrown: unknown) => {
        if (!isFullDisk(thrown)) throw thrown;
        segments.#due = { point: found.point, nowMs };
      });
    }
    return segments;
  }

  private constructor(directory: string, keeping: Keeping, all: Owned[]) {
    this.#directory = directory;
    this.#keeping = keeping;
    this.#all = all;
  }

  get bytes(): number {
    return this.#all.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async append(text: string, sync: boolean): Promise<void> {
    if (this.#due !== undefined) await this.begin(this.#due.point, this.#due.nowMs);
    const last = this.#last;
    const file = this.#file;
    if (file === undefined) throw new Error("there is no segment");
    try {
      await file.append(Buffer.from(text, "latin1"), sync);
    } finally {
      last.bytes = file.bytes;
    }
  }

  /** No more writes to the file. */
  get isFailed(): boolean {
    return this.#file?.isFailed ?? false;
  }

  /** Whether the next entry begins a new file: by size, or after a day, so that old entries can be deleted by day. */
  isFull(point: ChainPoint, nowMs: number): boolean {
    if (this.#due !== undefined) return false;
    const { bytes, first, beganMs } = this.#last;
    if (first > point.sequence) return false;
    return bytes >= (this.#keeping.segmentBytes ?? 16 * 1024 * 1024) || nowMs - beganMs >= dayMs;
  }

  async begin(point: ChainPoint, nowMs: number): Promise<void> {
    // In a directory that no longer belongs to this log, nothing is begun.
    await this.#file?.requireSame();
    const made = await begun(this.#directory, point, nowMs);
    const file = await open(made.path, "r+");
    await this.#file?.close();
    this.#file = new AppendFile(made.path, file, made.bytes);
    this.#due = undefined;
    this.#all.push(made);
  }

  /** The segments to delete, never the current one: their last entry, and the chain's hash there. */
  overTheirTime(nowMs: number): { readonly count: number; readonly through: ChainPoint } | undefined {
    const { retentionMs, maxBytes = Infinity } = this.#keeping;
    const others = this.#all.length - 1;
    let byAge = 0;
    // The next segment's beginning is the time of its newest entry.
    while (byAge < Math.min(others, dropsAtOnce) && this.#beganMs(byAge + 1) < nowMs - retentionMs)
      byAge += 1;
    let { bytes } = this;
    let bySize = 0;
    for (; bySize < others && bytes > maxBytes; bySize += 1) bytes -= this.#all[bySize]?.bytes ?? 0;
    const count = Math.max(byAge, bySize);
    const oldest = this.#all[count];
    if (count === 0 || oldest === undefined) return undefined;
    return { count, through: { sequence: oldest.first - 1, hash: oldest.previous } };
  }

  async drop(count: number): Promise<void> {
    for (const { path } of this.#all.splice(0, count)) await rm(path, { force: true });
    await syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  #beganMs(index: number): number {
    return this.#all[index]?.beganMs ?? Infinity;
  }

  get #last(): Owned {
    const last = this.#all.at(-1);
    if (last === undefined) throw new Error("there is no segment");
    return last;
  }
}

async function begun(directory: string, { sequence, hash }: ChainPoint, beganMs: number): Promise<Owned> {
  const time = new Date(beganMs).toISOString();
  const made = await createSegment(directory, { first: sequence + 1, previous: hash, time });
  return { ...made, beganMs, previous: hash };
}
