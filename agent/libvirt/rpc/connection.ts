import { connect, type Socket } from "node:net";
import type { Clock } from "../internal/clock.ts";
import { LibvirtError } from "../internal/errors.ts";
import { PendingCall } from "./call.ts";
import { CallQueue } from "./call-queue.ts";
import { Deadlines } from "./deadlines.ts";
import { unreachable } from "./errors.ts";
import { beginFrame, endFrame, FrameError, FrameParser, FrameStatus, FrameType } from "./frame.ts";
import { KEEPALIVE_PROGRAM, type Frame, type FrameHeader } from "./frame.ts";
import { programNumbers, type Procedure } from "./procedure.ts";
import { badArgument, settle, settleInSlices } from "./reply.ts";
import { StreamChunks } from "./stream-chunks.ts";
import { XdrError, XdrWriter } from "./xdr.ts";

export interface ConnectionOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  /** Most calls in flight. The daemon takes 5 (`max_client_requests`), keepalive included. */
  readonly maxInFlight: number;
  /** How many of these are reserved for urgent calls. */
  readonly reserved?: number;
  /** Most calls that wait; further ones fail with `exhausted`. */
  readonly maxQueued: number;
  /** Never worn: abandoned calls keep their places, and the connection goes on with the others. */
  readonly pinned?: boolean;
  readonly onEvent?: (frame: Frame) => void;
  /** Messages of a stream, with its data unless `onStreamData` is set. */
  readonly onStream?: (frame: Frame) => void;
  /** Data of a stream, in chunks of any size that are the receiver's to keep. */
  readonly onStreamData?: (chunk: Buffer) => void;
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Precedes all calls that wait. */
  readonly urgent?: boolean | undefined;
}

const PING = 1;
const PONG = 2;
const READ_BYTES = 128 * 1024;
const nothing = new Uint8Array(0);
const MAX_SERIAL = 0xffffffff;

/**
 * One socket to one daemon. Calls are pipelined and matched to their replies by serial. A broken connection fails all its
 * calls and is replaced, never repaired.
 */
export class Connection {
  /** Resolves with the reason when it has ended. */
  readonly closed: Promise<LibvirtError>;
  /**
   * Resolves when half of its places are held by abandoned calls without a reply (most likely of a hung guest). It sends no
   * new calls then and must be replaced.
   */
  readonly worn: Promise<void>;
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #writer = new XdrWriter(16 * 1024);
  readonly #parser: FrameParser;
  readonly #chunks: StreamChunks | undefined;
  readonly #deadlines: Deadlines;
  readonly #inFlight = new Map<number, PendingCall>();
  readonly #ending = new AbortController();
  readonly #queue: CallQueue;
  #serial = 0;
  #abandoned = 0;
  #isWorn = false;
  #retired = false;
  #flushing = false;
  #heard = false;
  #error: LibvirtError | undefined;
  #resolveClosed: (error: LibvirtError) => void = () => undefined;
  #resolveWorn: () => void = () => undefined;

  /** Connects the socket and sends nothing. Throws `unavailable`, `denied`, or the signal's reason. */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    const connection = new Connection(options);
    const socket = connection.#socket;
    const onAbort = (): void =>
      connection.close(unreachable("CLOSED", "the connection was closed while it opened"));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const connected = new Promise<"connected">((resolve) =>
        socket.once("connect", () => resolve("connected")),
      );
      const outcome = await Promise.race([connected, connection.closed]);
      signal.throwIfAborted();
      if (outcome !== "connected") throw outcome;
      return connection;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    const { maxInFlight: places, maxQueued, reserved = 0 } = options;
    this.#queue = new CallQueue({ maxQueued, places, reserved });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.worn = new Promise((resolve) => {
      this.#resolveWorn = resolve;
    });
    this.#deadlines = new Deadlines(options.clock, (nowMs) => this.#expire(nowMs));
    const chunks = options.onStreamData && new StreamChunks(options.onStreamData);
    this.#chunks = chunks;
    this.#parser = new FrameParser(
      (frame) => this.#receive(frame),
      chunks && ((part, leftBytes) => chunks.add(part, leftBytes)),
    );
    // One buffer for all reads: codecs copy values that outlive the handling of their frame.
    const onread = {
      buffer: chunks === undefined ? Buffer.allocUnsafeSlow(READ_BYTES) : () => chunks.next(),
      callback: (bytes: number, buffer: Uint8Array): boolean => {
        this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
        return true;
      },
    };
    this.#socket = connect({ path: options.socketPath, onread });
    this.#socket.on("error", (cause) => this.close(socketError(cause, options.socketPath)));
    this.#socket.on("close", () => this.close(unreachable("DISCONNECTED", "libvirt closed the connection")));
  }

  get isClosed(): boolean {
    return this.#error !== undefined;
  }

  call<A, R>(procedure: Procedure<A, R>, args: A, options: CallOptions): Promise<R> {
    return this.send(procedure, args, options).result as Promise<R>;
  }

  send<A, R>(procedure: Procedure<A, R>, args: A, options: CallOptions): PendingCall {
    const nowMs = this.#options.clock.monotonicMs();
    const call = new PendingCall(procedure, args, options, nowMs);
    this.submit(call);
    return call;
  }

  /** Takes a call that was not sent yet: a new one, or one from the queue of a retired connection. */
  submit(call: PendingCall): void {
    if (call.settled) return;
    if (this.#error !== undefined) {
      call.lose(this.#error);
      return;
    }
    call.onAbandoned = () => this.#abandon();
    if (!this.#queue.push(call)) {
      const message = `${this.#options.maxQueued} calls wait for libvirt already; try again later`;
      call.fail(
        new LibvirtError("exhausted", "LIBVIRT_QUEUE_FULL", message, { details: { retryAfterMs: 1000 } }),
      );
      return;
    }
    this.#deadlines.add(call.deadlineMs);
    this.#pump();
    if (!this.#flushing && this.#writer.length > 0) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
  }

  /** Returns the calls that were not sent; the connection closes once its calls in flight are settled. */
  retire(): PendingCall[] {
    const waiting = this.#queue.waiting();
    this.#queue.clear();
    this.#retired = true;
    this.#closeIfDone();
    return waiting;
  }

  /** Fails unsettled calls with `why`, or with `outcome_unknown` if a change was sent. */
  close(why: LibvirtError): void {
    if (this.#error !== undefined) return;
    this.#error = why;
    this.#chunks?.flush();
    this.#socket.destroy();
    this.#deadlines.close();
    this.#ending.abort();
    for (const call of this.#inFlight.values()) call.lose(why);
    for (const call of this.#queue.waiting()) call.lose(why);
    this.#inFlight.clear();
    this.#queue.clear();
    this.#resolveClosed(why);
  }

  /**
   * Pings the daemon after each `intervalMs` of silence, and closes the connection after `count` pings without any
   * message. Only for daemons that support keepalive.
   */
  async keepAlive(intervalMs: number, count: number): Promise<void> {
    let missed = 0;
    while (!this.isClosed) {
      await this.#options.clock.sleep(intervalMs, this.#ending.signal).catch(() => undefined);
      missed = this.#heard ? 0 : missed + 1;
      this.#heard = false;
      if (missed > count) {
        const message = `libvirt showed no sign of life for ${(intervalMs * missed) / 1000} s`;
        this.close(unreachable("UNRESPONSIVE", message));
      } else if (missed > 0) {
        this.#sendKeepalive(PING);
      }
    }
  }

  /**
   * Sends messages of a stream with the same header, one for each of `bodies`, at least one. Calls `onTaken` once the
   * socket has taken them all, which applies the daemon's backpressure to the caller, or with the failure.
   */
  sendStream(
    header: FrameHeader,
    bodies: readonly Uint8Array[],
    onTaken?: (failure?: LibvirtError) => void,
  ): void {
    if (this.#error !== undefined) {
      onTaken?.(this.#error);
      return;
    }
    this.#flush();
    this.#socket.cork();
    for (const body of bodies) {
      endFrame(this.#writer, beginFrame(this.#writer, header), body.byteLength);
      this.#socket.write(this.#writer.take());
      if (body.byteLength > 0) this.#socket.write(body);
    }
    this.#socket.write(nothing, (failure) => {
      if (failure == null) onTaken?.();
      else onTaken?.(this.#error ?? unreachable("DISCONNECTED", "libvirt closed the connection", failure));
    });
    this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #read(chunk: Buffer): void {
    if (this.isClosed) return;
    this.#heard = true;
    try {
      this.#parser.push(chunk);
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      this.close(unreachable("PROTOCOL_ERROR", `libvirt sent what is no message: ${thrown.message}`, thrown));
      return;
    }
    this.#flush();
  }

  #receive(frame: Frame): void {
    if (this.isClosed) return;
    if (frame.program === KEEPALIVE_PROGRAM) {
      if (frame.procedure === PING) this.#sendKeepalive(PONG);
    } else if (frame.type === FrameType.REPLY || frame.type === FrameType.REPLY_WITH_FDS) {
      this.#answer(frame);
    } else if (frame.type === FrameType.MESSAGE) {
      this.#options.onEvent?.(frame);
    } else {
      this.#chunks?.flush();
      this.#options.onStream?.(frame);
    }
  }

  #answer(frame: Frame): void {
    const call = this.#inFlight.get(frame.serial);
    if (call === undefined)
      throw new FrameError(`a reply to serial ${frame.serial}, which is not on its way`);
    const { procedure } = call;
    if (frame.procedure !== procedure.number || frame.program !== programNumbers[procedure.program]) {
      throw new FrameError(`a reply of procedure ${frame.procedure} to ${procedure.name}`);
    }
    if (frame.status === FrameStatus.CONTINUE) throw new FrameError("a reply that is to be continued");
    this.#inFlight.delete(frame.serial);
    if (call.settled) this.#abandoned -= 1;
    call.onAbandoned = undefined;
    // A body above the read buffer's size has a buffer of its own, so it can be decoded later.
    if (frame.body.remaining > READ_BYTES) void settleInSlices(call, frame);
    else settle(call, frame);
    this.#closeIfDone();
    this.#pump();
  }

  #pump(): void {
    while (!this.#isWorn) {
      const call = this.#queue.next(this.#inFlight.size);
      if (call === undefined) return;
      this.#write(call);
    }
  }

  #write(call: PendingCall): void {
    do this.#serial = this.#serial === MAX_SERIAL ? 1 : this.#serial + 1;
    while (this.#inFlight.has(this.#serial));
    const start = this.#writer.length;
    try {
      beginFrame(this.#writer, {
        program: programNumbers[call.procedure.program],
        procedure: call.procedure.number,
        type: FrameType.CALL,
        serial: this.#serial,
        status: FrameStatus.OK,
      });
      call.encode(this.#writer);
      endFrame(this.#writer, start);
    } catch (thrown) {
      this.#writer.truncate(start);
      if (!(thrown instanceof XdrError)) throw thrown;
      call.fail(badArgument(call, thrown));
      return;
    }
    call.serial = this.#serial;
    this.#inFlight.set(this.#serial, call);
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#writer.length > 0 && !this.isClosed) this.#socket.write(this.#writer.take());
  }

  #sendKeepalive(procedure: number): void {
    const header = { program: KEEPALIVE_PROGRAM, procedure, type: FrameType.MESSAGE, serial: 0, status: 0 };
    endFrame(this.#writer, beginFrame(this.#writer, header));
    this.#flush();
  }

  #abandon(): void {
    this.#abandoned += 1;
    const { maxInFlight, pinned = false } = this.#options;
    if (this.#abandoned * 2 >= maxInFlight && !pinned && !this.#isWorn) {
      this.#isWorn = true;
      this.#resolveWorn();
    }
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#retired && this.#inFlight.size === this.#abandoned) {
      this.close(unreachable("CLOSED", "the connection was replaced"));
    }
  }

  #expire(nowMs: number): number {
    let next = Infinity;
    for (const call of [...this.#inFlight.values(), ...this.#queue.waiting()]) {
      if (call.settled) continue;
      if (call.deadlineMs <= nowMs) call.expire();
      else next = Math.min(next, call.deadlineMs);
    }
    return next;
  }
}

function socketError(cause: NodeJS.ErrnoException, path: string): LibvirtError {
  if (cause.code === "EACCES" || cause.code === "EPERM") {
    const message = `may not open ${path}: run as root or as a member of the group that owns it (libvirt)`;
    return new LibvirtError("denied", "LIBVIRT_SOCKET_DENIED", message, { cause });
  }
  return unreachable("DISCONNECTED", `the connection to ${path} failed: ${cause.message}`, cause);
}
