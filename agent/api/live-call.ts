import { constants, type Http2Stream } from "node:http2";
import { SocleError } from "../kernel/errors.ts";
import type { FairTurns } from "../kernel/concurrency/fair-turns.ts";
import { Slice } from "../kernel/concurrency/slice.ts";
import type { AuditedCall } from "./call-audit.ts";
import type { CallContext } from "./services/handler.ts";
import { accountOf, type Caller } from "./auth/identity.ts";

/** What all calls of grpc-js have in common. */
export interface ServerCall {
  once(event: "cancelled", listener: () => void): unknown;
}

/** One call while it lasts. Its signal costs nothing until a method asks for it. */
export class LiveCall implements CallContext, AuditedCall {
  readonly path: string;
  caller: Caller;
  peer: string | undefined;
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
    // The first comes when the status was handed to the connection, or the caller gave up; the second whatever happens.
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

  /** Calls `release` once the caller has taken the answer, or is gone: what is held for a call is held until then. */
  holds(release: () => void): void {
    if (this.isGone) release();
    else this.#held.push(release);
  }

  /** Its caller has gone, or has all of the answer. */
  get isGone(): boolean {
    return this.#stream.closed || this.#stream.destroyed;
  }

  /**
   * Holds the call's place until its caller has taken the answer, or is gone, and the returned function was called: no work
   * goes on for the call any more. A caller that gives up is not let in again before.
   */
  holdsPlace(release: () => void): () => void {
    const waits = new Set(["caller", "work"]);
    const ended = (what: string): void => {
      if (waits.delete(what) && waits.size === 0) release();
    };
    this.holds(() => ended("caller"));
    return () => ended("work");
  }

  /** Ends what the call's method does. The answer, where there is one, still goes out. */
  end(reason: Error = callOver): void {
    this.#ended ??= reason;
    this.#lasting.delete(this);
    this.#abort?.abort(this.#ended);
  }

  /** Ends the call without an answer, and drops what was written and not taken. */
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
 * The HTTP/2 stream of a call. grpc-js does not offer it, nor any other way to learn when a stream is closed or to close
 * one whose caller does not read. Throws where grpc-js has changed inside: no call would pass the tests then.
 */
function http2StreamOf(call: unknown): Http2Stream {
  const stream = field(field(call, "call"), "stream");
  if (typeof field(stream, "close") === "function") return stream as Http2Stream;
  throw new Error("grpc-js keeps the HTTP/2 stream of a call elsewhere");
}

const field = (of: unknown, name: string): unknown =>
  typeof of === "object" && of !== null ? (Reflect.get(of, name) as unknown) : undefined;
