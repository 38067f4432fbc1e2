import { setMaxListeners } from "node:events";
import { abortReason } from "../internal/clock.ts";
import { cancelled, LibvirtError } from "../internal/errors.ts";
import { unanswered, type LateReply } from "./errors.ts";
import type { Procedure } from "./procedure.ts";
import type { XdrWriter } from "./xdr.ts";

// One function for all calls: a new closure for each costs more than the rest of a call.
const ignore = (): void => undefined;

/**
 * One call until it is settled, which happens once: by its reply, its deadline, the caller's signal or the end of its
 * connection. A call that is abandoned after it was sent keeps its place until the daemon answers, since the daemon is
 * still busy with it. That late reply is its true outcome.
 */
export class PendingCall {
  readonly procedure: Procedure<unknown, unknown>;
  readonly deadlineMs: number;
  readonly urgent: boolean;
  readonly result: Promise<unknown>;
  /** Set when the request is written. */
  serial: number | undefined;
  /** Called when the call is abandoned after its request was written. */
  onAbandoned: (() => void) | undefined;
  #settled = false;
  readonly #args: unknown;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;
  #resolve: (value: unknown) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  /** Resolves the late reply of an abandoned call. */
  #reply: (reply: LateReply) => void = ignore;

  constructor(
    procedure: Procedure<unknown, unknown>,
    args: unknown,
    options: {
      readonly timeoutMs: number;
      readonly signal?: AbortSignal | undefined;
      readonly urgent?: boolean | undefined;
    },
    nowMs: number,
  ) {
    this.procedure = procedure;
    this.urgent = options.urgent ?? false;
    this.#args = args;
    this.#timeoutMs = options.timeoutMs;
    this.deadlineMs = nowMs + options.timeoutMs;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#signal = options.signal;
    if (this.#signal === undefined) return;
    this.#onAbort = () => this.#giveUp(cancelled(abortReason(this.#signal)));
    if (this.#signal.aborted) {
      this.#onAbort();
      return;
    }
    // Any number of calls may share a signal; Node warns of a leak from eleven listeners on.
    setMaxListeners(0, this.#signal);
    this.#signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Throws XdrError when the arguments are not what the procedure takes. */
  encode(writer: XdrWriter): void {
    this.procedure.args.encode(writer, this.#args);
  }

  succeed(value: unknown): void {
    if (this.#settle()) this.#resolve(value);
    else this.#reply({ kind: "done" });
  }

  /** The reply is an error. */
  fail(error: LibvirtError): void {
    if (this.#settle()) this.#reject(error);
    else this.#reply({ kind: "refused", error });
  }

  /** No reply will come any more. */
  lose(why: LibvirtError): void {
    if (this.#settle()) this.#reject(unanswered(this.procedure, this.serial !== undefined, why));
    else this.#reply({ kind: "none" });
  }

  expire(): void {
    const message = `libvirt did not answer ${this.procedure.name} within ${Math.round(this.#timeoutMs)} ms`;
    this.#giveUp(new LibvirtError("timeout", "LIBVIRT_TIMEOUT", message));
  }

  /** The reply may still come. */
  #giveUp(why: LibvirtError): void {
    if (!this.#settle()) return;
    const reply = new Promise<LateReply>((resolve) => {
      this.#reply = resolve;
    });
    this.#reject(unanswered(this.procedure, this.serial !== undefined, why, reply));
    if (this.serial !== undefined) this.onAbandoned?.();
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    return true;
  }
}
