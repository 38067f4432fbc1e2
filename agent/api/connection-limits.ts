import type { Socket } from "node:net";
import { systemClock, type Clock } from "../kernel/clock.ts";
import { Counts } from "../kernel/counts.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { Throttle } from "../kernel/concurrency/throttle.ts";
import type { AuditRecorder } from "./call-audit.ts";
import { accountOf, noCaller, type Caller } from "./auth/identity.ts";

interface ConnectionLimitsOptions {
  /** "one": all connections belong to one caller, who may have all places. Otherwise `shares` bound them. */
  readonly callers: "one" | "many";
  /** Over all callers; 256. */
  readonly most?: number;
  readonly clock?: Pick<Clock, "monotonicMs">;
  readonly audit: Pick<AuditRecorder, "noteRepeatable">;
  readonly log: Logger;
}

/** Shares of all places: one tenant cannot exclude the others, nor all tenants the provider. */
const shares = { caller: 1 / 2, tenant: 1 / 8, tenants: 1 / 2 };
const TENANTS = "all tenants";

interface Held {
  readonly socket: Socket;
  readonly caller: Caller;
  readonly release: () => void;
}

/** Bounds a listener's connections: in total, and per account. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions;
  readonly #most: number;
  readonly #of = new Counts();
  /** In order of arrival. */
  readonly #held = new Set<Held>();
  readonly #refusals: Throttle;
  #open = 0;
  #refused = 0;

  constructor(options: ConnectionLimitsOptions) {
    this.#options = options;
    this.#refusals = new Throttle(options.clock ?? systemClock);
    this.#most = options.most ?? 256;
  }

  get open(): number {
    return this.#open;
  }

  /** Refused since the start, for any reason. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Holds a place until the connection is closed. When all tenant places are taken, the tenant with the most gives one to a
   * tenant with fewer. Throws `exhausted` TOO_MANY_CONNECTIONS.
   */
  take(socket: Socket, caller: Caller): void {
    const bounds = this.#boundsOf(caller);
    for (const [whose, most] of bounds) {
      if (this.#of.of(whose) < most) continue;
      if (whose === TENANTS && this.#displaceFor(accountOf(caller))) continue;
      throw tooMany(`${most} connections of ${whose} are open already`);
    }
    if (this.#open >= this.#most) throw tooMany(`${this.#most} connections are open already`);
    this.#open += 1;
    for (const [whose] of bounds) this.#of.add(whose);
    const release = (): void => {
      if (!this.#held.delete(held)) return;
      this.#open -= 1;
      for (const [whose] of bounds) this.#of.remove(whose);
    };
    const held = { socket, caller, release };
    this.#held.add(held);
    socket.once("close", release);
  }

  /** Closes the newest connection of the tenant with the most. False if it has no more than the newcomer would have. */
  #displaceFor(newcomer: string): boolean {
    let newest: Held | undefined;
    for (const held of this.#held) {
      if (held.caller.tenant === undefined) continue;
      if (newest === undefined || this.#countOf(held) >= this.#countOf(newest)) newest = held;
    }
    if (newest === undefined || this.#countOf(newest) <= this.#of.of(newcomer) + 1) return false;
    newest.release();
    this.refuse(newest.socket, tooMany("another tenant has fewer connections"), newest.caller);
    return true;
  }

  #countOf({ caller }: Held): number {
    return this.#of.of(accountOf(caller));
  }

  /** The accounts that this caller's connections are charged to, with their limits. */
  #boundsOf(caller: Pick<Caller, "name" | "tenant">): readonly (readonly [whose: string, most: number])[] {
    if (this.#options.callers === "one") return [];
    const account = accountOf(caller);
    const part = (share: number): number => Math.ceil(this.#most * share);
    return caller.tenant === undefined
      ? [[account, part(shares.caller)]]
      : [
          [account, part(shares.tenant)],
          [TENANTS, part(shares.tenants)],
        ];
  }

  /** Turns a connection away, and leaves a trace of it. */
  refuse(socket: Socket, thrown: unknown, { name, role }: Caller = noCaller): void {
    const { audit, log } = this.#options;
    this.#refused += 1;
    const { reason, message } = toSocleError(thrown);
    const peer = addressOf(socket);
    const others = this.#refusals.pass(reason);
    if (others !== undefined)
      log.warn(
        { peer, reason, others: others === 0 ? undefined : others },
        `a connection was refused: ${message}`,
      );
    audit.noteRepeatable({
      act: "connection_refused",
      caller: { name, role, peer },
      outcome: "denied",
      reason,
    });
    socket.destroy();
  }
}

/** As grpc-js's getPeer() prints it; of a unix socket nothing is known. */
export const addressOf = ({ remoteAddress, remotePort }: Socket): string =>
  remoteAddress === undefined ? "unix" : `${remoteAddress}:${remotePort}`;

const tooMany = (message: string): SocleError => new SocleError("exhausted", "TOO_MANY_CONNECTIONS", message);
