import type { LibvirtError } from "../internal/errors.ts";
import type { Connection } from "../rpc/connection.ts";
import { unreachable } from "../rpc/errors.ts";
import type { Procedure } from "../rpc/procedure.ts";
import type { CallMeter } from "./call-meter.ts";
import { CALL_TIMEOUT_MS, type CallSettings } from "./options.ts";

/**
 * A connection for one owner, for state that libvirtd ties to a connection and undoes when it ends: an incoming
 * migration, a domain with AUTODESTROY. It is never replaced or reopened: once `closed` has resolved, every call fails
 * with `unavailable`. The owner closes it.
 */
export class PinnedSession {
  readonly #connection: Connection;
  readonly #meter: CallMeter;
  readonly #callTimeoutMs: number;

  constructor(connection: Connection, meter: CallMeter, callTimeoutMs = CALL_TIMEOUT_MS) {
    this.#connection = connection;
    this.#meter = meter;
    this.#callTimeoutMs = callTimeoutMs;
  }

  /** Resolves with the reason when the connection has ended, also after `close`. */
  get closed(): Promise<LibvirtError> {
    return this.#connection.closed;
  }

  /** As Libvirt.call(), but a read is not sent again. An urgent call has a place that no other takes. */
  call<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    { timeoutMs = this.#callTimeoutMs, signal, urgent }: Omit<CallSettings, "lane"> = {},
  ): Promise<R> {
    return this.#meter.measure(() => this.#connection.call(procedure, args, { timeoutMs, signal, urgent }));
  }

  /** Calls without an answer fail as after a lost connection. libvirtd undoes what is tied to the connection. */
  close(): void {
    this.#connection.close(unreachable("CLOSED", "the pinned session was closed"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
