import { randomUUID } from "node:crypto";
import type { Reservation__Output } from "../../agent/gen/socle/v1/Reservation.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";

/** Longer than the campaign, shorter than its clock steps. */
const LONG_SECONDS = 3600;
/** Renewed before each step, and far shorter than the step. */
const LEASE_SECONDS = 600;
/** Expires before the next check. */
const SHORT_SECONDS = 2;
/** The tolerance for durations that are rounded to whole milliseconds. */
const ROUNDING_MS = 5;

/** The bounds of the agent's reply, on the monotonic clock, which the agent uses too. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Claim {
  readonly id: string;
  readonly seconds: number;
  /** The start of its time to live. */
  readonly begun: Span;
}

/**
 * Reservations over steps of the wall clock: one that is held from the first step to the last, one that is renewed before each,
 * and short ones that must expire in time. The remaining time is checked to the millisecond.
 */
export class ClockReservations {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #long: Claim;
  #lease: Claim;
  /** The request id of the last renewal. */
  #renewal: string | undefined;
  #short: Claim;

  static async start(run: CampaignRun, host: FaultyHost): Promise<ClockReservations> {
    const claims = [];
    for (const seconds of [LONG_SECONDS, LEASE_SECONDS, SHORT_SECONDS])
      claims.push(await reserve(host, seconds));
    return new ClockReservations(run, host, claims as [Claim, Claim, Claim]);
  }

  private constructor(
    run: CampaignRun,
    host: FaultyHost,
    [long, lease, short]: readonly [Claim, Claim, Claim],
  ) {
    this.#run = run;
    this.#host = host;
    this.#long = long;
    this.#lease = lease;
    this.#short = short;
  }

  /** After a step: nothing changed. Then renews the reservation for the next step. */
  async check(): Promise<void> {
    await this.#isHeld(this.#long);
    await this.#isHeld(this.#lease);
    await this.#isOver(this.#short);
    await this.#renew();
    this.#short = await reserve(this.#host, SHORT_SECONDS);
  }

  async end(): Promise<void> {
    for (const claim of [this.#long, this.#lease]) await this.#ask("ReleaseReservation", claim);
  }

  async #isHeld({ id, seconds, begun }: Claim): Promise<void> {
    const [{ state, remaining }, now] = await timed(() => this.#get(id));
    if (state !== "STATE_HELD" || remaining === null) {
      const heldMs = Math.round(now.toMs - begun.fromMs);
      this.#run.violation(`a reservation of ${seconds} s is ${state} after ${heldMs} ms`);
      return;
    }
    const leftMs = remaining.seconds * 1000 + remaining.nanos / 1e6;
    const leastMs = seconds * 1000 - (now.toMs - begun.fromMs) - ROUNDING_MS;
    const mostMs = seconds * 1000 - (now.fromMs - begun.toMs) + ROUNDING_MS;
    this.#run.demand(
      leftMs >= leastMs && leftMs <= mostMs,
      `a reservation of ${seconds} s has ${leftMs} ms left, not ${Math.round(leastMs)} to ${Math.round(mostMs)}`,
    );
  }

  async #isOver({ id, seconds }: Claim): Promise<void> {
    let state = "";
    const isOver = async (): Promise<boolean> => {
      state = await this.#get(id).then(
        (found) => found.state,
        (thrown: unknown) => {
          // One that had expired before a step of a day is old enough to be forgotten after it.
          if (toSocleError(thrown).reason === "RESERVATION_NOT_FOUND") return "forgotten";
          throw thrown;
        },
      );
      return state === "STATE_EXPIRED" || state === "forgotten";
    };
    await eventually(isOver, { what: "a reservation to expire" }).catch(() => {
      this.#run.violation(`a reservation of ${seconds} s that is long over is ${state}`);
    });
  }

  /** A repeated earlier renewal does not restart the time to live; the next renewal does. */
  async #renew(): Promise<void> {
    if (this.#renewal !== undefined) {
      await this.#ask("RenewReservation", this.#lease, this.#renewal);
      await this.#isHeld(this.#lease);
    }
    this.#renewal = randomUUID();
    const [, begun] = await timed(() => this.#ask("RenewReservation", this.#lease, this.#renewal));
    this.#lease = { ...this.#lease, begun };
  }

  async #ask(
    what: "RenewReservation" | "ReleaseReservation",
    { id, seconds }: Claim,
    requestId: string = randomUUID(),
  ): Promise<void> {
    const { client } = this.#host;
    const request = { requestId, reservationId: id };
    await client.ask(client.contract.reservations[what], request).catch((refused: unknown) => {
      this.#run.violation(`${what} of ${seconds} s: ${String(refused)}`);
    });
  }

  #get(reservationId: string): Promise<Reservation__Output> {
    const { client } = this.#host;
    return client.ask(client.contract.reservations.GetReservation, { reservationId });
  }
}

async function reserve(host: FaultyHost, seconds: number): Promise<Claim> {
  const [{ reservationId }, begun] = await timed(() => host.reserve(randomUUID(), seconds));
  return { id: reservationId, seconds, begun };
}

async function timed<T>(ask: () => Promise<T>): Promise<[answer: T, span: Span]> {
  const fromMs = performance.now();
  const answer = await ask();
  return [answer, { fromMs, toMs: performance.now() }];
}
