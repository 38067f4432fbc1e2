import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { open, readFile, readdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as z from "../../kernel/zod.ts";
import { makeDirectory } from "../../kernel/make-directory.ts";
import type { Logger } from "../../kernel/log.ts";
import { AppendFile } from "../journal/append-file.ts";
import { replaceLink, syncDirectory } from "../journal/durable-file.ts";
import type { EventRing } from "./event-ring.ts";
import type { HostEvent } from "./event.ts";
import { decodeLine, encodeLine } from "../journal/format.ts";
import { ifExists } from "../../kernel/thrown.ts";

// Files of checksummed lines, named by the first sequence they may hold. A line is an event, `{"reserved":N}` (numbers up
// to N may have been published, written or not) or, last, `{"clean":true,"next":N}` (only written ones were). If there is
// no room for a file, a link beside them stores the reserved number until the next mark.
type Mark = { readonly reserved: number } | { readonly clean: true; readonly next: number };

const number = z.number().int().min(0);
const text = z.string().optional();
/** Unknown fields and kinds of later versions are kept. */
const recordSchema = z.union([
  z.looseObject({
    sequence: number,
    agentEpoch: number,
    timeMs: z.number(),
    kind: z.string(),
    vmId: text,
    vmName: text,
    vmState: text,
    reason: text,
    details: z.record(z.string(), z.string()).optional(),
  }),
  z.looseObject({ reserved: number }),
  z.looseObject({ clean: z.literal(true), next: number }),
]);

/** State at a start. `lost`: numbers that may have been published and whose events are lost. */
interface LoadedEvents {
  /** Id of the log: under it, a number always means the same event. */
  readonly logId: string;
  readonly nextSequence: number;
  readonly lost?: { readonly from: number; readonly to: number };
}

export const eventsLost = "EVENTS_LOST";
/** Numbers reserved at once: the events that can be published while the disk fails, and the gap after a crash. */
export const reserveBlock = 65_536;

/** The event log's files. One writer at a time; errors are the file system's. */
export class EventSegments {
  readonly #directory: string;
  readonly #log: Logger;
  #file: AppendFile | undefined;
  #firsts: number[] = [];
  #eventsInSegment = 0;

  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#log = log;
  }

  get eventsInSegment(): number {
    return this.#eventsInSegment;
  }

  /** Fills the ring with the stored events. Damage loses the events before it, but never fails the start. */
  async load(ring: EventRing): Promise<LoadedEvents> {
    await makeDirectory(this.#directory, 0o700);
    const names = await readdir(this.#directory);
    this.#firsts = names
      .flatMap((name) => (/^\d{16}\.log$/.test(name) ? [Number(name.slice(0, 16))] : []))
      .sort((a, b) => a - b);
    let last = (this.#firsts[0] ?? 1) - 1;
    ring.expire(last);
    let reserved = 0;
    let isDamaged = false;
    let isUnread = false;
    let cleanNext: number | undefined;
    for (const first of this.#firsts) {
      const path = this.#path(first);
      const bytes = await readFile(path).catch((err: unknown) => {
        this.#log.error(
          { err, path },
          "an event file cannot be read: its events are left out; check the disk",
        );
      });
      if (bytes === undefined) {
        isUnread = true;
        cleanNext = undefined;
        continue;
      }
      let start = 0;
      let sinceTurn = 0;
      for (let end; (end = bytes.indexOf(0x0a, start)) !== -1; start = end + 1) {
        const line = end > start ? decodeLine(bytes.subarray(start, end)) : undefined;
        if (line === undefined || !recordSchema.safeParse(line.record).success) {
          isDamaged ||= end > start; // events in it are seen below as missing numbers
          continue;
        }
        const record = line.record as HostEvent | Mark;
        cleanNext = "clean" in record ? record.next : undefined;
        if ("reserved" in record) reserved = Math.max(reserved, record.reserved);
        if ("sequence" in record && record.sequence > last) {
          const isKnownGap =
            record.reason === eventsLost && record.details?.["lost_from"] === String(last + 1);
          if (record.sequence !== last + 1 && !isKnownGap) {
            this.#log.warn({ path, after: last }, "events are missing; older ones are forgotten");
            ring.expire(record.sequence - 1);
          }
          ring.push(record);
          last = record.sequence;
        }
        if ((sinceTurn += 1) % 1000 === 0) await nextTurn();
      }
    }
    // An unreadable mark may have reserved numbers.
    const behindMarks =
      cleanNext ?? Math.max(last, reserved) + 1 + (isDamaged || isUnread ? reserveBlock : 0);
    const nextSequence = Math.max(behindMarks, (await this.#reservedWithoutRoom(behindMarks)) + 1);
    // The numbers that the marks of a whole file reserved are not known: one may be reused under another id.
    const logId = (isUnread ? undefined : await this.#readLogId()) ?? (await this.beginAnew());
    return nextSequence > last + 1 && this.#firsts.length > 0
      ? { logId, nextSequence, lost: { from: last + 1, to: nextSequence - 1 } }
      : { logId, nextSequence };
  }

  /** Gives the log another id, durably: numbers under the previous one may mean other events. */
  async beginAnew(): Promise<string> {
    const logId = randomUUID();
    await replaceLink(this.#logIdPath, logId);
    return logId;
  }

  /** Undefined: it has none yet, as in version 0.1.0. */
  async #readLogId(): Promise<string | undefined> {
    const logId = await readlink(this.#logIdPath).catch(() => undefined);
    return logId !== undefined && /^[0-9a-f-]{36}$/.test(logId) ? logId : undefined;
  }

  /** Starts a file for events from `first` on; numbers up to `reserved` are durably reserved when it resolves. */
  async startSegment(first: number, reserved: number): Promise<void> {
    // Nothing is written to a directory that is no longer this log's.
    await this.#file?.requireSame();
    await this.close();
    // The newline comes first: the file may exist already, even torn, and its marks still count.
    const handle = await open(this.#path(first), constants.O_RDWR | constants.O_CREAT, 0o600);
    const file = new AppendFile(this.#path(first), handle, (await handle.stat()).size);
    try {
      await file.append(Buffer.concat([Buffer.from("\n"), encode({ reserved })]), true);
      await syncDirectory(this.#directory);
      await rm(this.#linkPath, { force: true });
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
    this.#file = file;
    this.#eventsInSegment = 0;
    if (this.#firsts.at(-1) !== first) this.#firsts.push(first);
  }

  /** Used if no file can be started: numbers up to `reserved` are durably reserved when it resolves. */
  async reserveWithoutRoom(reserved: number): Promise<void> {
    await replaceLink(this.#linkPath, String(reserved));
  }

  async #reservedWithoutRoom(through: number): Promise<number> {
    const reserved = Number((await ifExists(readlink(this.#linkPath))) ?? 0);
    // A damaged link may have reserved numbers, as a damaged mark may.
    return Number.isSafeInteger(reserved) ? reserved : through + reserveBlock;
  }

  /** Appends; with a mark everything is durable when it resolves. */
  async write(events: readonly HostEvent[], mark?: Mark): Promise<void> {
    if (this.#file === undefined) throw new Error("no segment is open");
    const lines = events.map(encode);
    if (mark !== undefined) lines.push(encode(mark));
    await this.#file.append(Buffer.concat(lines), mark !== undefined);
    this.#eventsInSegment += events.length;
  }

  /** Removes the files that hold nothing from `sequence` on. */
  async dropBefore(sequence: number): Promise<void> {
    while ((this.#firsts[1] ?? Infinity) <= sequence) {
      await rm(this.#path(this.#firsts[0] ?? 0), { force: true });
      this.#firsts.shift();
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  get #logIdPath(): string {
    return join(this.#directory, "id");
  }

  get #linkPath(): string {
    return join(this.#directory, "reserved");
  }

  #path(first: number): string {
    return join(this.#directory, `${String(first).padStart(16, "0")}.log`);
  }
}

const encode = (record: HostEvent | Mark): Buffer => encodeLine(JSON.stringify(record), 0);
