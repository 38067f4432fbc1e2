import { abortReason, type Clock } from "../internal/clock.ts";
import { Backoff } from "../internal/backoff.ts";
import { toLibvirtError, type LibvirtError } from "../internal/errors.ts";
import type { Logger } from "../internal/logger.ts";
import type { CallOptions, Connection } from "../rpc/connection.ts";
import { unanswered, unreachable } from "../rpc/errors.ts";
import type { Procedure } from "../rpc/procedure.ts";
import type { Session } from "./session.ts";

const STEADY_MS = 5000;

export interface LinkOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly open: (signal: AbortSignal) => Promise<Session>;
  readonly onUp: (session: Session) => void;
  readonly onDown: (error: LibvirtError) => void;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
}

/** Keeps a session up: opens it, replaces it when it is worn, reopens it after a loss. */
export class Link {
  readonly #options: LinkOptions;
  #connection: Connection | undefined;
  #error: LibvirtError = unreachable("DISCONNECTED", "libvirt is not connected yet");
  /** The next attempt with the delay before it; undefined while the link is up. */
  #attempt: Promise<void> | undefined;
  #endAttempt = (): void => undefined;
  #isPromising = true;
  #delay: { readonly cut: AbortController; readonly mayBeCut: boolean } | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Rejects at once while the link is down. */
  call<A, R>(procedure: Procedure<A, R>, args: A, options: CallOptions): Promise<R> {
    if (this.#connection === undefined) return Promise.reject(unanswered(procedure, false, this.#error));
    return this.#connection.call(procedure, args, options);
  }

  /**
   * The attempt to connect that a call should wait for: the first one, or one since `hurry`. Resolves when it has
   * succeeded or failed.
   */
  get attempt(): Promise<void> | undefined {
    return this.#isPromising ? this.#attempt : undefined;
  }

  /**
   * Retries at once: another link has reached the daemon. It cuts one delay only, until the link was steady or a delay has
   * run in full, so that links to a daemon that drops them all do not drive each other.
   */
  hurry(): void {
    if (this.#delay?.mayBeCut === false) return;
    this.#isPromising = true;
    this.#delay?.cut.abort();
  }

  /** Returns once the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, onDown, log } = this.#options;
    const backoff = new Backoff(this.#options.backoff);
    let lastReason = "";
    let wasHurried = false;
    this.#beginAttempt();
    for (;;) {
      const startedMs = clock.monotonicMs();
      this.#error = await this.#keepOnce(signal);
      this.#connection = undefined;
      this.#isPromising = false;
      if (!signal.aborted) onDown(this.#error);
      this.#endAttempt();
      if (signal.aborted) return;
      // No tight loop against a daemon that accepts connections and dies at once.
      if (clock.monotonicMs() - startedMs >= STEADY_MS) {
        backoff.reset();
        wasHurried = false;
      }
      const delayMs = backoff.nextMs();
      const level = this.#error.reason === lastReason ? "debug" : "info";
      lastReason = this.#error.reason;
      log[level]({ err: this.#error, delayMs }, "a libvirt connection is down; it is tried again");
      this.#beginAttempt();
      wasHurried = await this.#wait(delayMs, !wasHurried, signal);
    }
  }

  /** Returns whether the delay was cut. */
  async #wait(delayMs: number, mayBeCut: boolean, signal: AbortSignal): Promise<boolean> {
    const cut = new AbortController();
    this.#delay = { cut, mayBeCut };
    const onAbort = (): void => cut.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    await this.#options.clock.sleep(delayMs, cut.signal).catch(() => undefined);
    signal.removeEventListener("abort", onAbort);
    this.#delay = undefined;
    return cut.signal.aborted;
  }

  #beginAttempt(): void {
    this.#attempt = new Promise((resolve) => {
      this.#endAttempt = () => {
        this.#attempt = undefined;
        resolve();
      };
    });
  }

  async #keepOnce(signal: AbortSignal): Promise<LibvirtError> {
    try {
      const session = await this.#options.open(signal);
      this.#connection = session.connection;
      this.#options.onUp(session);
      this.#endAttempt();
      return await this.#hold(session.connection, signal);
    } catch (thrown) {
      return toLibvirtError(thrown);
    }
  }

  /** Returns the reason once the link is lost. */
  async #hold(first: Connection, signal: AbortSignal): Promise<LibvirtError> {
    let connection = first;
    const closing = unreachable("CLOSED", "the libvirt client was closed");
    const onAbort = (): void => connection.close(closing);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      for (;;) {
        const lost = await Promise.race([connection.closed, connection.worn]);
        if (lost !== undefined) return lost;
        this.#options.log.warn("a libvirt connection is held up by calls without an answer and is replaced");
        try {
          const { connection: next } = await this.#options.open(signal);
          for (const call of connection.retire()) next.submit(call);
          this.#connection = connection = next;
        } catch (thrown) {
          const error = signal.aborted ? toLibvirtError(abortReason(signal)) : toLibvirtError(thrown);
          connection.close(error);
          return error;
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
