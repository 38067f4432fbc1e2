import type { Socket } from "node:net";
import { systemClock, type Clock } from "../kernel/clock.ts";
import { Counts } from "../kernel/counts.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { Throttle } from "../kernel/throttle.ts";
import type { AuditDoor } from "./call-audit.ts";
import { nobody, type Caller } from "./identity.ts";

export interface ConnectionPlacesOptions {
  /** "one": all who come are the same caller, who may have all places; otherwise he may have half of them. */
  readonly callers: "one" | "many";
  /** Of all callers together; 256. */
  readonly most?: number;
  readonly clock?: Pick<Clock, "monotonicMs">;
  readonly audit: Pick<AuditDoor, "noteRepeatable">;
  readonly log: Logger;
}

/** The connections that a listener holds: so many in all, and of one caller, so that none of them keeps out all others. */
export class ConnectionPlaces {
  readonly #options: ConnectionPlacesOptions;
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #of = new Counts();
  readonly #refusals: Throttle;
  #open = 0;
  #refused = 0;

  constructor(options: ConnectionPlacesOptions) {
    this.#options = options;
    this.#refusals = new Throttle(options.clock ?? systemClock);
    this.#most = options.most ?? 256;
    this.#mostOfOne = options.callers === "one" ? this.#most : this.#most / 2;
  }

  get open(): number {
    return this.#open;
  }

  /** Since the start, for whatever reason. */
  get refused(): number {
    return this.#refused;
  }

  /** Holds a place until the connection is closed. Throws `exhausted` TOO_MANY_CONNECTIONS. */
  take(socket: Socket, { name }: Pick<Caller, "name">): void {
    if (this.#of.of(name) >= this.#mostOfOne)
      throw tooMany(`${this.#mostOfOne} connections of ${name} are open already`);
    if (this.#open >= this.#most) throw tooMany(`${this.#most} connections are open already`);
    this.#open += 1;
    this.#of.add(name);
    socket.once("close", () => {
      this.#open -= 1;
      this.#of.remove(name);
    });
  }

  /** Turns a connection away, and leaves a trace of it. */
  refuse(socket: Socket, thrown: unknown, { name, role }: Caller = nobody): void {
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
