import { constants, type Http2Stream } from "node:http2";
import { SocleError } from "../kernel/errors.ts";
import type { FairTurns } from "../kernel/concurrency/fair-turns.ts";
import { Slice } from "../kernel/concurrency/slice.ts";
import type { AuditedCall } from "./call-audit.ts";
import type { CallContext } from "./services/handler.ts";
import { accountOf, type Caller } from "./auth/identity.ts";

/** Common to all calls of grpc-js. */
export interface ServerCall {
  once(event: "cancelled", listener: () => void): unknown;
}

/** One call while it lasts. Its signal is created on first use. */
export class LiveCall implements CallContext, AuditedCall {
  readonly path: string;
  caller: Caller;
  peer: string | undefined;
  /** Decoded; of a stream, its first message. Its texts are the caller's own. */
  request: unknown;
  /** As accountOf(). */
  readonly account: string;
  readonly startedMs = performance.now();
  readonly #lasting: Set<LiveCall>;
  readonly #stream: Http2Stream;
  readonly #turns: FairTurns;
  #abort: AbortController | undefined;
  #ended: Error | undefined;
  #held: (() => void)[] = [];

  constructor(
    path: string,
    caller: Caller,
    call: ServerCall,
    from: { lasting: Set<LiveCall>; stopReason: Error | undefined; turns: FairTurns },
  ) {
    this.path = path;
    this.caller = caller;
    this.account = accountOf(caller);
    this.#lasting = from.lasting;
    this.#turns = from.turns;
    this.#ended = from.stopReason;
    this.#stream = http2StreamOf(call);
    // The first fires when the status was handed to the connection, or the caller cancelled; the second always.
    const onOver = (): void => this.#over();
    call.once("cancelled", onOver);
    this.#stream.once("close", onOver);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#ended === undefined) this.#lasting.add(this);
      else this.#abort.abort(this.#ended);
    }
    return this.#abort.signal;
  }

  slice(): Slice {
    return Slice.thatRests(() => this.#turns.rest(this.account));
  }

  /** Calls `release` once the caller has read the answer or is gone; resources are held until then. */
  holds(release: () => void): void {
    if (this.isGone) release();
    else this.#held.push(release);
  }

  /** The caller is gone, or has read the whole answer. */
  get isGone(): boolean {
    return this.#stream.closed || this.#stream.destroyed;
  }

  /**
   * Holds the call's permit until its caller has read the answer or is gone, and the returned function was called, which ends
   * all work. A caller that cancels is not readmitted before.
   */
  holdsPlace(release: () => void): () => void {
    const waits = new Set(["caller", "work"]);
    const ended = (what: string): void => {
      if (waits.delete(what) && waits.size === 0) release();
    };
    this.holds(() => ended("caller"));
    return () => ended("work");
  }

  /** Aborts the call's method. An answer is still sent. */
  end(reason: Error = callOver): void {
    this.#ended ??= reason;
    this.#lasting.delete(this);
    this.#abort?.abort(this.#ended);
  }

  /** Ends the call without an answer, and drops unread data. */
  reset(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#over();
  }

  #over(): void {
    for (const release of this.#held.splice(0)) release();
    this.end();
  }
}

const callOver = new SocleError("cancelled", "CANCELLED", "the call is over");

/**
 * The HTTP/2 stream of a call. grpc-js offers neither it nor another way to observe or force a stream's close when the
 * caller does not read. Throws where grpc-js has changed inside: then every call fails in the tests.
 */
function http2StreamOf(call: unknown): Http2Stream {
  const stream = field(field(call, "call"), "stream");
  if (typeof field(stream, "close") === "function") return stream as Http2Stream;
  throw new Error("grpc-js keeps the HTTP/2 stream of a call elsewhere");
}

const field = (of: unknown, name: string): unknown =>
  typeof of === "object" && of !== null ? (Reflect.get(of, name) as unknown) : undefined;
