import { setMaxListeners } from "node:events";
import { abortReason } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import { unanswered, type LateReply } from "./errors.ts";
import type { Procedure } from "./procedure.ts";
import type { XdrWriter } from "./xdr.ts";

// One for all: the bundle keeps names of functions, which costs more for each that is made than the rest of a call.
const nobody = (): void => undefined;

/**
 * One call from the moment it is asked for until it is settled, which happens once: by its reply, its deadline, its
 * caller's signal or the end of its connection. A call given up after it was written stays in its place ("abandoned")
 * until the daemon answers it, for until then it takes up one of the daemon's; that late answer is the truth about it.
 */
export class PendingCall {
  readonly procedure: Procedure<unknown, unknown>;
  readonly deadlineMs: number;
  readonly urgent: boolean;
  readonly result: Promise<unknown>;
  /** Given when the request is written. */
  serial: number | undefined;
  /** Told when the call was given up with its request already written. */
  onAbandoned: (() => void) | undefined;
  #settled = false;
  readonly #args: unknown;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;
  #resolve: (value: unknown) => void = nobody;
  #reject: (error: unknown) => void = nobody;
  /** Of a call that was given up. */
  #reply: (reply: LateReply) => void = nobody;

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
    this.#onAbort = () => this.#giveUp(cancelled(this.#signal));
    if (this.#signal.aborted) {
      this.#onAbort();
      return;
    }
    // Any number of calls may share a signal; Node would take eleven for a leak.
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

  /** With an answer that is an error. */
  fail(error: SocleError): void {
    if (this.#settle()) this.#reject(error);
    else this.#reply({ kind: "refused", error });
  }

  /** Without any answer, now or later. */
  lose(why: SocleError): void {
    if (this.#settle()) this.#reject(unanswered(this.procedure, this.serial !== undefined, why));
    else this.#reply({ kind: "none" });
  }

  expire(): void {
    const message = `libvirt did not answer ${this.procedure.name} within ${Math.round(this.#timeoutMs)} ms`;
    this.#giveUp(new SocleError("timeout", "LIBVIRT_TIMEOUT", message));
  }

  /** The answer may still come. */
  #giveUp(why: SocleError): void {
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

function cancelled(signal: AbortSignal | undefined): SocleError {
  return new SocleError("cancelled", "CANCELLED", "the caller gave up", { cause: abortReason(signal) });
}
