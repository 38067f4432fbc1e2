import type { ServerDuplexStream } from "@grpc/grpc-js";
import { abortReason, type Clock } from "../kernel/clock.ts";
import { LATE, within } from "../kernel/concurrency/deadline.ts";
import { SocleError } from "../kernel/errors.ts";
import type { LiveCall } from "./live-call.ts";
import type { Outbox } from "./limits/outbox.ts";
import { requestOf, type Malformed } from "./wire.ts";

/** The caller's side of a stream. */
interface Sink {
  write(bytes: Buffer, taken: () => void): boolean;
  readonly writableNeedDrain: boolean;
}

/** Bytes of one stream that are buffered before the next write waits. */
const bytesAhead = 64 * 1024;

/** Writes a stream's messages at the caller's pace. */
export class StreamWriter {
  readonly #call: Sink;
  readonly #live: Pick<LiveCall, "signal" | "account" | "holds" | "reset">;
  readonly #outbox: Outbox;
  readonly #untaken = new Set<() => void>();
  #ahead = 0;
  #wake: () => void = () => undefined;

  constructor(call: Sink, live: Pick<LiveCall, "signal" | "account" | "holds" | "reset">, outbox: Outbox) {
    this.#call = call;
    this.#live = live;
    this.#outbox = outbox;
    live.signal.addEventListener("abort", () => this.#wake(), { once: true });
    live.holds(() => {
      for (const release of this.#untaken) release();
    });
  }

  /** Resolves when the next message may follow. Throws REPLIES_NOT_READ, and the signal's reason when the call is over. */
  async write(bytes: Buffer): Promise<void> {
    const { signal, account } = this.#live;
    this.#outbox.requireRoom(account);
    const release = this.#outbox.hold(account, bytes.length, () => this.#live.reset());
    this.#untaken.add(release);
    this.#ahead += bytes.length;
    const hasRoom = this.#call.write(bytes, () => {
      release();
      this.#untaken.delete(release);
      this.#ahead -= bytes.length;
      this.#wake();
    });
    // Of large messages one is made while another is on its way, unless the caller leaves many unread.
    const most = (): number =>
      this.#outbox.hasAmpleRoom(account) ? Math.max(bytesAhead, 2 * bytes.length) : bytesAhead;
    const isFull = (): boolean => this.#ahead >= most();
    if (hasRoom && !isFull()) return;
    while (isFull() || this.#call.writableNeedDrain) {
      if (signal.aborted) throw abortReason(signal);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/**
 * A caller's messages, read on demand; ends when the caller ends, throws when the call is over. Not by the stream's own
 * iterator: that destroys the stream when the call fails, and with it the answers and the status that wait for the caller.
 */
export async function* readAll<Request>(
  call: ServerDuplexStream<Request | Malformed, unknown>,
  signal: AbortSignal,
): AsyncGenerator<Request, void, undefined> {
  let wake: () => void = () => undefined;
  const onChange = (): void => wake();
  call.on("readable", onChange);
  call.once("end", onChange);
  signal.addEventListener("abort", onChange, { once: true });
  for (;;) {
    if (signal.aborted) throw abortReason(signal);
    // Objects in a stream of objects; null while there is none.
    const message = call.read() as Request | Malformed | null;
    if (message !== null) yield requestOf(message);
    else if (call.readableEnded) return;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
}

/** Until then a stream has no subject, and holds a place among the streams of its caller. */
export const FIRST_MESSAGE_MS = 10_000;

/** The first message of a stream. Throws `timeout` FIRST_MESSAGE_MISSING. */
export async function firstOf<Request>(
  messages: AsyncGenerator<Request, void, undefined>,
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<IteratorResult<Request, void>> {
  const first = await within(clock, FIRST_MESSAGE_MS, messages.next(), signal);
  if (first !== LATE) return first;
  if (signal.aborted) throw abortReason(signal);
  const message = `the stream's first message, which names its subject, did not arrive within ${FIRST_MESSAGE_MS / 1000} s; send it at once`;
  throw new SocleError("timeout", "FIRST_MESSAGE_MISSING", message);
}

/** The messages, with the first one, already read, in front. */
export async function* again<Request>(
  first: IteratorResult<Request, void>,
  rest: AsyncGenerator<Request, void, undefined>,
): AsyncGenerator<Request, void, undefined> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}
