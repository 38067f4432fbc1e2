import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { abortable, type Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import { isFileLost, stateLost } from "../journal/append-file.ts";
import { isFullDisk } from "../journal/durable-file.ts";
import { EventRing } from "./event-ring.ts";
import { EventSegments, eventsLost, reserveBlock } from "./event-segments.ts";
import type { HostEvent, NewEvent } from "./event.ts";
import { messageOf } from "../../kernel/thrown.ts";

interface EventLogOptions {
  readonly directory: string;
  readonly maxEvents: number;
  /** Undefined: one above that of the newest event held. */
  readonly agentEpoch: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Start of a subscription. Neither, or afterSequence 0: with the oldest held. */
export interface SubscribeFrom {
  readonly afterSequence?: number;
  /** The log that afterSequence belongs to; absent: not known. */
  readonly logId?: string;
  readonly fromNow?: boolean;
}

const logReplaced = "EVENT_LOG_REPLACED";
const batchEvents = 500;
const retryAfterMs = 10_000;

/**
 * The host's events, numbered over its whole life. They are published at once and written later, without a sync each.
 * So that no number is published twice with different events, numbers are reserved in durable blocks; events continue
 * within the block while the disk fails. After a clean stop the next start continues with the next number. After a
 * crash it continues behind the block, and a `resync` event with reason EVENTS_LOST names the lost numbers (details
 * lost_from, lost_to): subscribers must list again. If the files cannot be used at the start, all events of the run
 * stay in memory, under a log id of their own.
 */
export class EventLog {
  readonly #clock: Clock;
  readonly #log: Logger;
  agentEpoch: number;
  readonly #segmentEvents: number;
  readonly #ring: EventRing;
  readonly #segments: EventSegments;
  #logId: string;
  /** Subscribers that wait for events. */
  readonly #sleepers = new Set<() => void>();
  #newest: number;
  #published: number;
  #reserved: number;
  #written: number;
  #writing: Promise<void> | undefined;
  #ended = false;
  #isInMemory = false;
  /** Set while the disk fails: events continue in memory, and a write is retried at this time. */
  #retryAtMonotonicMs: number | undefined;
  #failure: SocleError | undefined;

  /**
   * Also opens if the disk is full or the files cannot be used; `failure` then gives the reason. Throws `unavailable`
   * STATE_UNWRITABLE if only the files have the agent's epoch.
   */
  static async open(options: EventLogOptions): Promise<EventLog> {
    const directory = join(options.directory, "events");
    const ring = new EventRing(options.maxEvents);
    const segments = new EventSegments(directory, options.log);
    try {
      const { logId, nextSequence, lost } = await segments.load(ring);
      const events = new EventLog(options, ring, segments, { logId, next: nextSequence });
      await events.#start(nextSequence);
      if (lost !== undefined) {
        options.log.warn(lost, "the agent was not stopped cleanly; events with these numbers may be lost");
        const details = { lost_from: String(lost.from), lost_to: String(lost.to) };
        events.append({ kind: "resync", reason: eventsLost, details });
      }
      return events;
    } catch (thrown) {
      await segments.close();
      const failure = unusable(directory, thrown);
      if (options.agentEpoch === undefined) throw failure;
      options.log.error({ err: thrown }, failure.message);
      return EventLog.#inMemory(options, segments, failure);
    }
  }

  /** Writes nothing: the numbers in the files are not known. */
  static #inMemory(options: EventLogOptions, segments: EventSegments, failure: SocleError): EventLog {
    const ring = new EventRing(options.maxEvents);
    const events = new EventLog(options, ring, segments, { logId: randomUUID(), next: 1 });
    events.#reserved = Infinity;
    events.#failure = failure;
    events.#isInMemory = events.#ended = true;
    return events;
  }

  private constructor(
    options: EventLogOptions,
    ring: EventRing,
    segments: EventSegments,
    { logId, next }: { logId: string; next: number },
  ) {
    this.#logId = logId;
    this.#clock = options.clock;
    this.#log = options.log;
    this.agentEpoch = options.agentEpoch ?? (ring.newest?.agentEpoch ?? 0) + 1;
    this.#segmentEvents = Math.max(256, Math.ceil(options.maxEvents / 4));
    this.#ring = ring;
    this.#segments = segments;
    this.#newest = this.#published = this.#written = next - 1;
    this.#reserved = this.#newest + reserveBlock;
  }

  async #start(first: number): Promise<void> {
    try {
      await this.#segments.startSegment(first, this.#reserved);
    } catch (thrown) {
      if (!isFullDisk(thrown)) throw thrown;
      await this.#segments.reserveWithoutRoom(this.#reserved);
      this.#refused(thrown);
    }
  }

  /** The log's identity. It changes when published numbers may be reused for other events. */
  get logId(): string {
    return this.#logId;
  }

  /**
   * The state was rolled back: published numbers may be reused for other events. Rejects subscribers that resume with
   * an earlier number; current subscribers get a RESYNC.
   */
  async beginAnew(): Promise<void> {
    this.#logId = this.#isInMemory ? randomUUID() : await this.#segments.beginAnew();
    this.append({ kind: "resync", reason: logReplaced, details: { log_id: this.#logId } });
  }

  /** Why events are not written, but published from memory. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  /** Retries a failed write; the result is in `failure`. Never rejects. */
  async tryAgain(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#failure === undefined || this.#ended) return;
    this.#writing = this.#write();
    await this.#writing;
  }

  /** The oldest held; one above the newest if none is. */
  get oldestSequence(): number {
    return this.#ring.oldest?.sequence ?? this.#published + 1;
  }

  /** The newest published sequence; 0 before the first. */
  get newestSequence(): number {
    return this.#published;
  }

  /** The newest published events in order, at most `limit`. */
  recent(limit: number): readonly HostEvent[] {
    return this.#ring.after(this.#published - limit, this.#published, limit);
  }

  /** Numbers the event and publishes it to subscribers. Never waits, never throws. */
  append(event: NewEvent): HostEvent {
    this.#newest += 1;
    const numbered: HostEvent = {
      sequence: this.#newest,
      agentEpoch: this.agentEpoch,
      timeMs: this.#clock.now(),
      ...event,
    };
    this.#ring.push(numbered);
    this.#publish();
    this.#wakeWriter();
    return numbered;
  }

  /**
   * Events held after a sequence number, then new ones as they come, without gaps or repetitions, until the signal
   * aborts. `overflow`: the subscriber was so slow that events left the ring; it must list again, and continues with
   * later events. Throws `out_of_range` EVENTS_EXPIRED (metadata oldest_sequence) and SEQUENCE_AHEAD, at the call.
   */
  subscribe(
    from: SubscribeFrom,
    signal: AbortSignal,
  ): AsyncIterable<HostEvent | { readonly kind: "overflow" }> {
    return this.#follow(this.#startOf(from), signal);
  }

  #startOf({ afterSequence = 0, fromNow = false, logId = "" }: SubscribeFrom): number {
    if (fromNow) return this.#published;
    if (afterSequence === 0) return this.#ring.expiredThrough;
    const metadata = {
      log_id: this.#logId,
      oldest_sequence: String(this.oldestSequence),
      newest_sequence: String(this.newestSequence),
    };
    if (logId !== "" && logId !== this.#logId) {
      const message = `event ${afterSequence} is of another event log (${logId}, now ${this.#logId}): this host's state was rolled back or recreated; list again`;
      throw new SocleError("out_of_range", logReplaced, message, { details: { metadata } });
    }
    if (afterSequence > this.#published) {
      const message = `the newest event is ${this.#published}, not yet ${afterSequence}: this host's event log was started again; list again`;
      throw new SocleError("out_of_range", "SEQUENCE_AHEAD", message, { details: { metadata } });
    }
    if (afterSequence < this.#ring.expiredThrough) {
      const message = `events after ${afterSequence} are no longer held, the oldest is ${this.oldestSequence}; list again`;
      throw new SocleError("out_of_range", "EVENTS_EXPIRED", message, { details: { metadata } });
    }
    return afterSequence;
  }

  async *#follow(
    start: number,
    signal: AbortSignal,
  ): AsyncGenerator<HostEvent | { readonly kind: "overflow" }, void, undefined> {
    let cursor = start;
    const over = (): boolean => signal.aborted;
    while (!over()) {
      if (cursor < this.#ring.expiredThrough) {
        // Events that left the ring before their publication are not published.
        cursor = Math.max(this.#published, this.#ring.expiredThrough);
        yield { kind: "overflow" };
        continue;
      }
      const batch = this.#ring.after(cursor, this.#published, batchEvents);
      for (const event of batch) {
        if (over()) return;
        cursor = event.sequence;
        yield event;
      }
      if (batch.length > 0) continue;
      const published = abortable(signal, (wake) => {
        this.#sleepers.add(wake);
        return () => this.#sleepers.delete(wake);
      });
      await published.catch(() => undefined);
    }
  }

  #publish(): void {
    const published = Math.min(this.#newest, this.#reserved);
    if (published === this.#published) return;
    this.#published = published;
    for (const wake of this.#sleepers) wake();
    this.#sleepers.clear();
  }

  /** At stop: makes all events durable and marks the log as complete. Later events stay in memory. */
  async flush(): Promise<void> {
    if (this.#ended) return;
    while (this.#writing !== undefined) await this.#writing;
    this.#ended = true;
    try {
      if (this.#retryAtMonotonicMs !== undefined) await this.#recover();
      const rest = this.#ring.after(this.#written, Infinity, Infinity);
      await this.#segments.write(rest, { clean: true, next: this.#newest + 1 });
      this.#reserved = this.#newest;
    } catch (thrown) {
      this.#log.warn({ err: thrown }, "the newest events could not be written");
    }
    this.#publish();
    await this.#segments.close();
  }

  #wakeWriter(): void {
    if (this.#writing !== undefined || this.#ended) return;
    if (this.#retryAtMonotonicMs !== undefined && this.#clock.monotonicMs() < this.#retryAtMonotonicMs)
      return;
    this.#writing = this.#write();
  }

  async #write(): Promise<void> {
    await nextTurn(); // subscribers first; and a burst goes into one write
    try {
      if (this.#retryAtMonotonicMs !== undefined) await this.#recover();
      for (;;) {
        const events = this.#ring.after(this.#written, Infinity, batchEvents);
        const reserve = this.#newest + reserveBlock / 2 > this.#reserved;
        const last = events.at(-1);
        if (last === undefined && !reserve) break;
        const through = reserve ? this.#newest + reserveBlock : this.#reserved;
        if (last !== undefined && this.#segments.eventsInSegment >= this.#segmentEvents) {
          await this.#segments.startSegment(events[0]?.sequence ?? last.sequence, through);
          await this.#segments.dropBefore(this.oldestSequence);
          await this.#segments.write(events);
        } else {
          await this.#segments.write(events, reserve ? { reserved: through } : undefined);
        }
        this.#written = last?.sequence ?? this.#written;
        this.#reserved = through;
        this.#publish();
      }
    } catch (thrown) {
      this.#refused(thrown);
      this.#publish();
    }
    this.#writing = undefined;
  }

  #refused(cause: unknown): void {
    const kept = "they are published from memory and kept until the disk works again";
    if (this.#retryAtMonotonicMs === undefined)
      this.#log.error({ err: cause }, `events cannot be written; ${kept}`);
    const why = messageOf(cause);
    const kind = isFullDisk(cause) ? "exhausted" : "unavailable";
    this.#failure = isFileLost(cause)
      ? new SocleError("unavailable", "STATE_LOST", stateLost("the event log"), { cause })
      : new SocleError(kind, "STATE_UNWRITABLE", `events cannot be written (${why}): ${kept}`, { cause });
    this.#retryAtMonotonicMs = this.#clock.monotonicMs() + retryAfterMs;
  }

  /** After a failed write: starts a new file, since the old one may end in a partial line. */
  async #recover(): Promise<void> {
    const reserved = this.#newest + reserveBlock;
    await this.#segments.startSegment(this.#written + 1, reserved);
    this.#reserved = reserved;
    this.#retryAtMonotonicMs = undefined;
    this.#failure = undefined;
    this.#log.info("events are written again");
  }
}

function unusable(directory: string, cause: unknown): SocleError {
  const why = messageOf(cause);
  const mend = isFullDisk(cause)
    ? "free space there"
    : "check the disk, and the owner and mode of the directory";
  const message = `${directory} cannot be used (${why}): events stay in memory; ${mend}, then restart the agent`;
  return new SocleError("unavailable", "STATE_UNWRITABLE", message, { cause });
}
