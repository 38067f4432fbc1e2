import { join } from "node:path";
import type { Socket } from "node:net";
import { Backoff } from "../kernel/concurrency/backoff.ts";
import { abortable, type Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import * as z from "../kernel/zod.ts";
import { replaceFile } from "../state/journal/durable-file.ts";
import { readIfThere } from "./checkpoint.ts";
import type { AuditLog } from "./log.ts";
import { Tail, type TailEntry } from "./tail.ts";
import { toError } from "../kernel/thrown.ts";

/** A further destination of entries. */
export interface Sink {
  readonly name: string;
  /** Connects before the signal aborts. Undefined where this machine has no such sink. */
  connect(signal: AbortSignal): Promise<Socket | undefined>;
  frame(entry: TailEntry): string;
}

/** For metrics and health. */
export interface ForwardState {
  readonly name: string;
  readonly connected: boolean;
  /** Entries not delivered yet, and the age of the oldest delay. */
  readonly lagEntries: number;
  readonly lagSeconds: number;
  /** Entries that were deleted before delivery. */
  readonly lost: number;
}

interface ForwarderOptions {
  readonly audit: Pick<AuditLog, "state" | "subscribe" | "directory">;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly log: Logger;
}

const cursorSchema = z.object({ sequence: z.number().int().min(0) });

const connectWithinMs = 10_000;
/** A sink that accepts nothing for this long is disconnected and retried. */
const writeWithinMs = 30_000;
/** Sinks do not acknowledge: data in the kernel counts as delivered once the connection has lasted this long after. */
const confirmAfterMs = 2000;
const absentMs = 60_000;

/**
 * Delivers every entry to a sink, in order, at least once; receivers detect repetitions by the sequence. It reads from the
 * log's files at the sink's pace: a slow or dead sink only adds lag. The position is kept on disk.
 */
export class Forwarder implements Service {
  readonly name: string;
  readonly #options: ForwarderOptions;
  readonly #log: Logger;
  readonly #backoff = new Backoff({ baseMs: 1000, capMs: 30_000 });
  readonly #path: string;
  #confirmed = 0;
  #sent = 0;
  #lost = 0;
  #isConnected = false;
  #isAbsent = false;
  #isFailureLogged = false;
  /** This entry was still undelivered at this time, on the monotonic clock. */
  #behind: { readonly sequence: number; readonly sinceMs: number };

  constructor(options: ForwarderOptions) {
    const { audit, sink, clock, log } = options;
    this.name = `audit-${sink.name}`;
    this.#options = options;
    this.#log = log.child({ component: "audit", sink: sink.name });
    this.#path = join(audit.directory, `forwarded-${sink.name}.json`);
    this.#behind = { sequence: 0, sinceMs: clock.monotonicMs() };
  }

  /** Undefined if this machine has no such sink. */
  get state(): ForwardState | undefined {
    const { audit, sink, clock } = this.#options;
    if (this.#isAbsent) return undefined;
    const { sequence } = audit.state;
    const nowMs = clock.monotonicMs();
    if (this.#sent >= this.#behind.sequence) this.#behind = { sequence, sinceMs: nowMs };
    const lagEntries = Math.max(0, sequence - this.#sent);
    const lagSeconds = lagEntries === 0 ? 0 : (nowMs - this.#behind.sinceMs) / 1000;
    return { name: sink.name, connected: this.#isConnected, lagEntries, lagSeconds, lost: this.#lost };
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    this.#confirmed = this.#sent = await readCursor(this.#path, this.#options.audit.state.sequence);
    ready();
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      let pauseMs = absentMs;
      try {
        const socket = await this.#connect(signal);
        this.#isAbsent = socket === undefined;
        if (socket !== undefined) await this.#serve(socket, signal);
      } catch (err) {
        pauseMs = this.#backoff.nextMs();
        if (!isOver() && !this.#isFailureLogged)
          this.#log.warn({ err }, "audit entries cannot be sent; they are kept, and sent later");
        this.#isFailureLogged = true;
      }
      this.#isConnected = false;
      // Unconfirmed entries are sent again.
      if (!isOver()) this.#sent = this.#confirmed;
      await this.#options.clock.sleep(pauseMs, signal).catch(() => undefined);
    }
    await this.#keep();
  }

  async #connect(signal: AbortSignal): Promise<Socket | undefined> {
    const { sink, clock } = this.#options;
    return await within(clock, connectWithinMs, signal, (limit) => sink.connect(limit));
  }

  /** Until the signal aborts; throws when the connection ends before. */
  async #serve(socket: Socket, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const end = (why: Error): void => over.abort(why);
    socket.on("error", end);
    socket.once("close", () => end(new Error("the other end closed the connection")));
    socket.resume();
    const ending = AbortSignal.any([signal, over.signal]);
    const confirming = this.#confirm(ending);
    this.#isConnected = true;
    try {
      await this.#follow(socket, ending);
      if (!signal.aborted) throw toError(over.signal.reason);
      this.#confirmed = this.#sent;
    } finally {
      over.abort();
      await confirming;
      if (signal.aborted) socket.end();
      else socket.destroy();
      socket.unref();
    }
  }

  async #follow(socket: Socket, ending: AbortSignal): Promise<void> {
    const { audit, clock, sink } = this.#options;
    const tail = new Tail(audit.directory, this.#confirmed);
    const before = this.#lost;
    const changes = audit.subscribe(ending)[Symbol.asyncIterator]();
    do {
      const through = audit.state.sequence;
      for await (const batch of tail.upTo(through)) {
        const text = batch.map((entry) => sink.frame(entry)).join("");
        await within(clock, writeWithinMs, ending, (limit) => written(socket, text, limit));
        this.#sent = batch.at(-1)?.entry.sequence ?? this.#sent;
        this.#lost = before + tail.lost;
      }
      this.#sent = Math.max(this.#sent, through);
      if (this.#isFailureLogged) this.#log.info("audit entries are sent again");
      this.#isFailureLogged = false;
    } while (!ending.aborted && (await changes.next()).done !== true);
  }

  async #confirm(ending: AbortSignal): Promise<void> {
    for (let sent = this.#sent; ; sent = this.#sent) {
      try {
        await this.#options.clock.sleep(confirmAfterMs, ending);
      } catch {
        return;
      }
      if (sent <= this.#confirmed) continue;
      this.#confirmed = sent;
      this.#backoff.reset();
      await this.#keep();
    }
  }

  async #keep(): Promise<void> {
    try {
      await replaceFile(this.#path, Buffer.from(`${JSON.stringify({ sequence: this.#confirmed })}\n`));
    } catch (err) {
      // After a restart, entries are then sent twice.
      this.#log.debug({ err }, "the position of sent audit entries could not be stored");
    }
  }
}

/** 0 if absent, unreadable, or of another log: entries are sent twice rather than left out. */
async function readCursor(path: string, newest: number): Promise<number> {
  try {
    const { sequence } = cursorSchema.parse(JSON.parse((await readIfThere(path)) ?? ""));
    return sequence <= newest ? sequence : 0;
  } catch {
    return 0;
  }
}

/** Resolves when the kernel has accepted it all. */
const written = (socket: Socket, text: string, signal: AbortSignal): Promise<void> =>
  abortable(signal, (resolve, reject) => {
    socket.write(text, (error) => (error == null ? resolve() : reject(error)));
    return undefined;
  });

/** Gives `act` a signal that aborts with `signal`, or when the time is over. */
async function within<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  act: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const late = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => late.abort(new Error(`nothing was accepted for ${ms / 1000} s`)),
    () => undefined,
  );
  try {
    return await act(AbortSignal.any([signal, late.signal]));
  } finally {
    done.abort();
  }
}
