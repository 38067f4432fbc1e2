import { abortReason, type Clock } from "../internal/clock.ts";
import { abortedWith, LibvirtError } from "../internal/errors.ts";
import type { Connection, ConnectionOptions } from "./connection.ts";
import { libvirtError, remoteError, unanswered, unreachable } from "./errors.ts";
import { decodeWhole, FrameStatus, FrameType, type Frame } from "./frame.ts";
import { StallWatch } from "./stall-watch.ts";
import { STREAM_MESSAGE_MAX_BYTES } from "./stream-chunks.ts";
import { programNumbers, type Procedure } from "./procedure.ts";
import { hyper, struct, uint, XdrError, XdrWriter } from "./xdr.ts";

const PIECE_BYTES = STREAM_MESSAGE_MAX_BYTES;
/** Pieces that are written at once, and count as one step for the stall timeout. */
const PIECES_AT_ONCE = 8;
/** With this much unread, the socket is paused, which stops the daemon too. */
const UNREAD_MAX_BYTES = 1024 * 1024;
/** How long `abort` waits for libvirt's confirmation, and how long the connection stays open for it. */
const ABORT_TIMEOUT_MS = 2000;
const LINGER_MS = 60_000;
const streamHole = struct({ length: hyper, flags: uint });
const nothing = new Uint8Array(0);

/** Takes the messages of a stream from its connection. */
export type StreamReceiver = Required<Pick<ConnectionOptions, "onStream" | "onStreamData">>;

export interface StreamOptions {
  readonly clock: Clock;
  /** Deadline for opening the stream, and for the daemon's confirmation of its end; not for its data. */
  readonly timeoutMs: number;
  /** The longest time without data in either direction while one is expected; Infinity: no limit. */
  readonly stallTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A stream of bytes from libvirt, to it, or both, on a connection of its own, so that a slow reader delays no other
 * call. Iterate it once to read; an error of the stream is thrown in the loop. Leaving the loop early aborts the stream.
 * Holes of sparse streams read as zeros.
 *
 * The connection is closed only after libvirt has ended the stream: libvirt 11.3 deadlocks its event loop if it has data
 * for a stream whose client has just disconnected.
 */
export class LibvirtStream<R = unknown> implements AsyncIterable<Buffer> {
  readonly #procedure: Procedure<unknown, unknown>;
  readonly #options: StreamOptions;
  readonly #unread: (Buffer | { holeBytes: number })[] = [];
  #unreadBytes = 0;
  #connection: Connection | undefined;
  #serial = 0;
  /** Set before `open` returns the stream. */
  #reply: R | undefined;
  #ended = false;
  #error: LibvirtError | undefined;
  #finished = false;
  #discarding = false;
  /** libvirt has ended it, with or without an error. */
  #over = false;
  #stopping: Promise<void> | undefined;
  #wake: (() => void)[] = [];
  readonly #stallWatch: StallWatch;
  #reportFailure: (why: LibvirtError) => void = () => undefined;
  /** Resolves with the reason once the stream has failed or was aborted. */
  readonly failed = new Promise<LibvirtError>((resolve) => (this.#reportFailure = resolve));
  readonly #rejectWrites = new Set<(why: LibvirtError) => void>();

  /** Opens a connection with `connect` and the stream on it. `connect` passes the connection's stream messages to the receiver. */
  static async open<A, R>(
    connect: (receiver: StreamReceiver) => Promise<Connection>,
    procedure: Procedure<A, R>,
    args: A,
    options: StreamOptions,
  ): Promise<LibvirtStream<R>> {
    if (procedure.stream === undefined) throw new TypeError(`${procedure.name} opens no stream`);
    const stream = new LibvirtStream<R>(procedure, options);
    const connection = await connect({
      onStream: (frame) => stream.#receive(frame),
      onStreamData: (chunk) => stream.#keep(chunk),
    });
    const { signal, timeoutMs } = options;
    const call = connection.send(procedure, args, { timeoutMs });
    const opened = call.result.then(
      (reply) => {
        stream.#reply = reply as R;
        stream.#attach(connection, call.serial ?? 0);
      },
      (thrown: unknown) => {
        connection.close(unreachable("CLOSED", "the stream could not be opened"));
        throw thrown;
      },
    );
    // An abort rejects at once. A stream that libvirt opens anyway is then ended.
    await unlessAborted(opened, signal);
    return stream;
  }

  private constructor(procedure: Procedure<unknown, unknown>, options: StreamOptions) {
    this.#procedure = procedure;
    this.#options = options;
    this.#stallWatch = new StallWatch(options.clock, options.stallTimeoutMs, () => this.#stalled());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const next = this.#take();
        if (next !== undefined) yield next;
        else if (this.#error !== undefined) throw this.#error;
        else if (this.#ended) break;
        else await this.#arrival();
      }
      if (!this.#finished) await this.finish();
    } finally {
      if (!this.#finished) await this.abort();
    }
  }

  /** Resolves once the socket has taken all data; `data` must not change before. */
  async write(data: Uint8Array): Promise<void> {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < data.byteLength; at += PIECE_BYTES)
      pieces.push(data.subarray(at, at + PIECE_BYTES));
    for (let at = 0; at < pieces.length; at += PIECES_AT_ONCE)
      await this.#send(FrameStatus.CONTINUE, pieces.slice(at, at + PIECES_AT_ONCE));
  }

  /** Skips that many bytes of a stream that was opened as sparse. In a file, the hole replaces old data. */
  async writeHole(bytes: number): Promise<void> {
    const body = new XdrWriter();
    streamHole.encode(body, { length: bytes, flags: 0 });
    await this.#send(FrameStatus.CONTINUE, [body.take()], FrameType.STREAM_HOLE);
  }

  /**
   * Ends the stream, waits for the daemon's confirmation, and closes. Unread data is dropped. Throws `outcome_unknown` if
   * the daemon does not confirm a written stream.
   */
  async finish(): Promise<void> {
    if (this.#finished) return;
    this.#discard();
    try {
      await this.#send(FrameStatus.OK, [nothing]);
      const answered = await this.#until(
        () => this.#over || this.#error !== undefined,
        this.#options.timeoutMs,
      );
      if (this.#over && this.#error === undefined) return;
      const why = this.#error ?? this.#silent();
      const isLost = !answered || this.#connection?.isClosed === true;
      throw isLost && this.#procedure.stream === "write" ? unanswered(this.#procedure, true, why) : why;
    } finally {
      this.#close();
    }
  }

  /**
   * Cancels the stream, for `why`; libvirt drops data in transit. Resolves when libvirt confirms, which frees the console
   * or the volume, or after 2 s. Never throws.
   */
  abort(
    why: Error = new LibvirtError("cancelled", "LIBVIRT_STREAM_ABORTED", "the stream was aborted"),
  ): Promise<void> {
    return this.#stop(abortedWith(why));
  }

  /** The reply of the call that opened it, e.g. the MIME type of a screenshot. */
  get reply(): R {
    return this.#reply as R;
  }

  /** Resolves once its connection has ended. */
  get ended(): Promise<unknown> {
    return this.#connection?.closed ?? Promise.resolve();
  }

  #stop(why: LibvirtError): Promise<void> {
    this.#stopping ??= this.#end(why);
    return this.#stopping;
  }

  async #end(why: LibvirtError): Promise<void> {
    const connection = this.#connection;
    if (this.#finished || connection === undefined) return;
    this.#fail(why);
    // Data may still arrive before libvirt's confirmation.
    this.#discard();
    const isOver = (): boolean => this.#over || connection.isClosed;
    if (!isOver()) {
      connection.sendStream(this.#header(FrameStatus.ERROR), [nothing]);
      await this.#until(isOver, ABORT_TIMEOUT_MS);
    }
    this.#finished = true;
    this.#stallWatch.close();
    void this.#until(isOver, LINGER_MS).then(() => this.#close());
  }

  #attach(connection: Connection, serial: number): void {
    this.#connection = connection;
    this.#serial = serial;
    const { signal } = this.#options;
    const onAbort = (): void => void this.#stop(abortedWith(abortReason(signal)));
    void connection.closed.then((why) => {
      signal?.removeEventListener("abort", onAbort);
      if (this.#finished) this.#changed();
      else this.#fail(why);
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  }

  #receive(frame: Frame): void {
    try {
      if (frame.type === FrameType.STREAM_HOLE) {
        const { length: holeBytes } = decodeWhole(streamHole, frame);
        if (!this.#discarding) this.#unread.push({ holeBytes });
      } else if (frame.status === FrameStatus.ERROR) {
        this.#over = true;
        this.#fail(brokenOr(libvirtError(decodeWhole(remoteError, frame), this.#procedure.name)));
      } else if (frame.status === FrameStatus.OK) {
        this.#over = true;
      } else {
        this.#ended = true;
      }
    } catch (thrown) {
      if (!(thrown instanceof XdrError)) throw thrown;
      this.#fail(
        new LibvirtError("internal", "LIBVIRT_BAD_REPLY", `a message of the stream: ${thrown.message}`),
      );
    }
    this.#changed();
  }

  #keep(data: Buffer): void {
    if (this.#discarding) return;
    this.#unread.push(data);
    this.#unreadBytes += data.length;
    if (this.#unreadBytes >= UNREAD_MAX_BYTES) this.#connection?.pause();
    this.#changed();
  }

  #take(): Buffer | undefined {
    const next = this.#unread[0];
    if (next === undefined) return undefined;
    if (!("holeBytes" in next)) {
      this.#unread.shift();
      const wasFull = this.#unreadBytes >= UNREAD_MAX_BYTES;
      this.#unreadBytes -= next.length;
      if (wasFull && this.#unreadBytes < UNREAD_MAX_BYTES) this.#connection?.resume();
      return next;
    }
    const length = Math.min(next.holeBytes, PIECE_BYTES);
    next.holeBytes -= length;
    if (next.holeBytes <= 0) this.#unread.shift();
    return length > 0 ? Buffer.alloc(length) : this.#take();
  }

  async #send(status: number, bodies: readonly Uint8Array[], type: number = FrameType.STREAM): Promise<void> {
    const connection = this.#open();
    this.#stallWatch.begin();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#rejectWrites.add(reject);
        connection.sendStream({ ...this.#header(status), type }, bodies, (failure) => {
          this.#rejectWrites.delete(reject);
          if (failure === undefined) resolve();
          else reject(this.#error ?? failure);
        });
      });
    } finally {
      this.#stallWatch.end();
    }
  }

  async #arrival(): Promise<void> {
    this.#stallWatch.begin();
    try {
      await this.#change();
    } finally {
      this.#stallWatch.end();
    }
  }

  /** libvirt stalls the stream for too long: lost storage would hang it forever. */
  #stalled(): void {
    const { name } = this.#procedure;
    const message = `nothing moved on the stream of ${name} for ${this.#options.stallTimeoutMs} ms; is its storage there?`;
    void this.#stop(new LibvirtError("timeout", "LIBVIRT_TIMEOUT", message));
  }

  #open(): Connection {
    if (this.#error !== undefined) throw this.#error;
    if (!this.#finished && this.#connection !== undefined) return this.#connection;
    throw new LibvirtError("conflict", "LIBVIRT_STREAM_FINISHED", "the stream is finished");
  }

  #header(status: number): {
    program: number;
    procedure: number;
    type: number;
    serial: number;
    status: number;
  } {
    const { program, number } = this.#procedure;
    return {
      program: programNumbers[program],
      procedure: number,
      type: FrameType.STREAM,
      serial: this.#serial,
      status,
    };
  }

  #silent(): LibvirtError {
    const message = `libvirt did not finish the stream within ${Math.round(this.#options.timeoutMs)} ms`;
    return new LibvirtError("timeout", "LIBVIRT_TIMEOUT", message);
  }

  /** False if the deadline passes first. */
  async #until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const done = new AbortController();
    const late = this.#options.clock.sleep(timeoutMs, done.signal).then(
      () => true,
      () => true,
    );
    try {
      while (!condition()) if ((await Promise.race([this.#change(), late])) === true) return condition();
      return true;
    } finally {
      done.abort();
    }
  }

  #discard(): void {
    this.#discarding = true;
    this.#unread.length = 0;
    this.#unreadBytes = 0;
    this.#connection?.resume();
  }

  #fail(error: LibvirtError): void {
    this.#error ??= error;
    this.#reportFailure(this.#error);
    for (const reject of this.#rejectWrites) reject(this.#error);
    this.#rejectWrites.clear();
    this.#changed();
  }

  #close(): void {
    this.#finished = true;
    this.#stallWatch.close();
    this.#connection?.close(unreachable("CLOSED", "the stream is finished"));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

async function unlessAborted(opened: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const done = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(abortedWith(abortReason(signal)));
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true, signal: done.signal });
  });
  opened.catch(() => undefined);
  await Promise.race([opened, aborted]).finally(() => done.abort());
}

/** libvirt ends a running stream with an RPC error when its other end closes or another client takes over a console. */
function brokenOr(error: LibvirtError): LibvirtError {
  if (error.reason !== "LIBVIRT_RPC") return error;
  const message = "libvirt ended the stream: its other end is gone, or was taken over";
  return unreachable("STREAM_BROKEN", message, error);
}
