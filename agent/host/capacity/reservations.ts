import type { Clock } from "../../kernel/clock.ts";
import { aborted, within } from "../../kernel/concurrency/deadline.ts";
import { isUncertain, SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { PlacementRequest, ReservedRoom } from "../../contract/spec.ts";
import type { NewVolume } from "../../state/reservations/footprint.ts";
import type { ReservationBook } from "../../state/reservations/reservation-book.ts";
import type { Reservation, ReservationRequest } from "../../state/reservations/reservation.ts";
import type { Claim, Ledger } from "./ledger.ts";

interface ReservationsOptions {
  readonly book: ReservationBook;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The caller. One with all rights may renew and release the reservations of others. */
interface Asker {
  readonly caller: string;
  readonly mayAll: boolean;
}

/** A VM's request to consume a reservation; unset members are as reserved. */
interface Taker {
  readonly vmId: string;
  readonly caller: string;
  readonly room: Omit<ReservedRoom, "placementRequest"> & { readonly placementRequest?: PlacementRequest };
  /** Volumes to create for it: reservations do not cover storage. */
  readonly volumes?: readonly NewVolume[];
}

/** A reservation that a VM is about to consume. */
interface Taken {
  readonly claim: Claim;
  readonly placementRequest: PlacementRequest;
  /** The VM consumes it for good: durable when it resolves. */
  consume(): Promise<void>;
  /** The VM is not created: the reservation is held again until it expires. */
  giveBack(): void;
}

const MIN_TTL_MS = 1000;
const MAX_TTL_MS = 3_600_000;
const IDLE_MS = 60_000;
/** Delay before another write after the journal rejected an expiry. */
const AGAIN_MS = 1000;

interface ReservationQuery {
  readonly includeEnded: boolean;
  /** "": from the beginning. */
  readonly afterId: string;
  readonly limit: number;
}

/** Claims with a time to live. Each is checked and claimed in one synchronous step, and durable before it is returned. */
export class Reservations implements Service {
  readonly name = "reservations";
  readonly #book: ReservationBook;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By reservation id. */
  readonly #claims = new Map<string, Claim>();
  /** Reservations that a VM is about to consume: they do not expire meanwhile. */
  readonly #taken = new Set<string>();
  /** By reservation, VMs that consumed it under an earlier agent, until that is recorded. */
  readonly #unrecorded = new Map<string, string>();
  /** The journal rejected the last end of a reservation. */
  #isRefused = false;
  #wake = new AbortController();

  constructor({ book, ledger, clock, log }: ReservationsOptions) {
    this.#book = book;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#log = log;
    for (const held of book.after("", false)) {
      this.#claims.set(held.id, ledger.reclaim({ holder: held.id, ...held }));
    }
  }

  /** Ends expired reservations. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    ready();
    while (!signal.aborted) {
      const isFine = await this.expire();
      const waiting = [...this.#claims.keys()].filter((id) => !this.#taken.has(id));
      const nextMs = Math.min(IDLE_MS, ...waiting.map((id) => this.leftMs(id)));
      this.#wake = new AbortController();
      const waitMs = isFine && this.#unrecorded.size === 0 ? nextMs : AGAIN_MS;
      await within(this.#clock, waitMs, aborted(this.#wake.signal), signal);
    }
  }

  /** Frees the claims once the ends are durable. False: the journal rejected an end. */
  async expire(): Promise<boolean> {
    const over = [...this.#claims.keys()].filter((id) => !this.#taken.has(id) && this.#isOver(id));
    const ends = over.map((id) => this.#end(id, () => this.#book.end(id, "expired")));
    const used = [...this.#unrecorded.keys()].map((id) => this.#record(id));
    const results = await Promise.allSettled([...ends, ...used]);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined && !this.#isRefused)
      this.#log.warn({ err: failed.reason }, "the end of a reservation cannot be recorded; retrying");
    this.#isRefused = failed !== undefined;
    return failed === undefined;
  }

  /**
   * `roomOf` is called only for a new request, never for a repeated one. Throws as the ledger for a claim (NO_CAPACITY,
   * TENANT_QUOTA_EXCEEDED, ...), `exhausted` TOO_MANY_RESERVATIONS, `invalid` TTL_INVALID, `conflict` REQUEST_ID_REUSED,
   * and the journal's errors.
   */
  async reserve(
    request: ReservationRequest,
    roomOf: () => ReservedRoom,
    ttlMs: number,
  ): Promise<Reservation> {
    const before = this.#book.find("reserve", request);
    if (before !== undefined) return await before;
    const room = roomOf();
    checkTtl(ttlMs);
    this.#book.admit(request.caller);
    const id = this.#book.newId();
    const claim = this.#ledger.claim({ holder: id, ...room });
    this.#claims.set(id, claim);
    this.#wake.abort();
    const { caller } = request;
    const { placement } = claim;
    const createdAtMs = this.#clock.now();
    const reservation: Reservation = { ...room, id, caller, state: "held", placement, ttlMs, createdAtMs };
    try {
      await this.#book.add(reservation, request);
    } catch (thrown) {
      if (!isUncertain(thrown)) this.#letGo(id);
      throw thrown;
    }
    return reservation;
  }

  /** Restarts its time to live. Throws as `release`, and `invalid` TTL_INVALID. */
  async renew(
    request: ReservationRequest,
    id: string,
    ttlMs: number | undefined,
    asker: Asker,
  ): Promise<Reservation> {
    const before = this.#book.find("renew", request);
    if (before !== undefined) return await before;
    const held = this.#held(id, asker);
    const renewed = { ...held, ttlMs: ttlMs ?? held.ttlMs };
    checkTtl(renewed.ttlMs);
    await this.#book.renew(renewed, request);
    return renewed;
  }

  /** Throws `not_found` RESERVATION_NOT_FOUND, `conflict` RESERVATION_ENDED, `denied` RESERVATION_FOREIGN. */
  async release(request: ReservationRequest, id: string, asker: Asker): Promise<Reservation> {
    const before = this.#book.find("release", request);
    if (before !== undefined) return await before;
    this.#held(id, asker);
    return await this.#end(id, () => this.#book.end(id, "released", { request }));
  }

  /** From their journal. */
  get failure(): SocleError | undefined {
    return this.#book.failure;
  }

  /** Throws `not_found` RESERVATION_NOT_FOUND, and as requireReadWhole. */
  get(id: string): Reservation {
    return this.#book.get(id);
  }

  /** Held reservations, or with `includeEnded` all stored ones, oldest first: a page after `afterId`. */
  list({ includeEnded, afterId, limit }: ReservationQuery): readonly Reservation[] {
    const found: Reservation[] = [];
    if (limit > 0)
      for (const reservation of this.#book.after(afterId, includeEnded))
        if (found.push(reservation) >= limit) break;
    return found;
  }

  /** Number of held reservations, or with `includeEnded` of all stored ones. */
  count(includeEnded: boolean): number {
    return this.#book.count(includeEnded);
  }

  /** Placement of a held reservation. */
  leftMs(id: string): number {
    return Math.max(0, this.#book.leftMs(id));
  }

  /**
   * For a VM about to be created from it. Throws as `release` (caller and tenant must be those of the reservation),
   * `conflict` RESERVATION_MISMATCH naming the differences, HOST_CORDONED, and as the ledger for volumes.
   */
  take(id: string, { vmId, caller, room, volumes }: Taker): Taken {
    const held = this.#held(id, { caller, mayAll: false });
    if (held.tenant !== room.tenant) throw foreign(id, "tenant");
    this.#ledger.requireOpen();
    const differing = differences(held, room);
    if (differing.length > 0) throw mismatch(id, differing);
    const claim = this.#ledger.transfer(this.#claimOf(id), vmId, volumes);
    this.#taken.add(id);
    return {
      claim,
      placementRequest: held.placementRequest,
      consume: async () => {
        await this.#book.end(id, "consumed", { vmId });
        this.#taken.delete(id);
        this.#claims.delete(id);
      },
      giveBack: () => {
        if (!this.#taken.delete(id)) return;
        this.#ledger.transfer(claim, id);
        this.#wake.abort();
      },
    };
  }

  /**
   * Consumes a reservation that an earlier agent gave to a VM, possibly without recording it. The claim goes to the VM; if
   * the journal rejects the end, `run` retries.
   */
  taken(id: string, vmId: string): void {
    const claim = this.#claims.get(id);
    if (claim === undefined) return;
    this.#claims.delete(id);
    this.#ledger.release(claim);
    this.#taken.add(id);
    this.#unrecorded.set(id, vmId);
    this.#wake.abort();
  }

  async #record(id: string): Promise<void> {
    await this.#book.end(id, "consumed", { vmId: this.#unrecorded.get(id) ?? "" });
    this.#unrecorded.delete(id);
    this.#taken.delete(id);
  }

  #held(id: string, { caller, mayAll }: Asker): Reservation {
    const reservation = this.#book.get(id);
    if (!mayAll && reservation.caller !== caller) throw foreign(id, "caller");
    const { state } = reservation;
    if (state === "held" && !this.#taken.has(id) && !this.#isOver(id)) return reservation;
    const what = state !== "held" ? state : this.#taken.has(id) ? "being consumed" : "expired";
    const message = `reservation ${id} is ${what}; make a new reservation`;
    throw new SocleError("conflict", "RESERVATION_ENDED", message, {
      details: { metadata: { state: what } },
    });
  }

  #isOver(id: string): boolean {
    return this.#book.leftMs(id) <= 0;
  }

  async #end(id: string, end: () => Promise<Reservation>): Promise<Reservation> {
    const ended = await end();
    this.#letGo(id);
    return ended;
  }

  #letGo(id: string): void {
    const claim = this.#claims.get(id);
    this.#claims.delete(id);
    if (claim !== undefined) this.#ledger.release(claim);
  }

  #claimOf(id: string): Claim {
    const claim = this.#claims.get(id);
    if (claim === undefined) throw new Error(`reservation ${id} has no claim`);
    return claim;
  }
}

function differences(held: ReservedRoom, { placementRequest, ...room }: Taker["room"]): string[] {
  const names = ["vcpus", "memoryBytes", "accelerator"] as const;
  const differing: string[] = names.filter((name) => held[name] !== room[name]);
  if (placementRequest !== undefined && !isSame(placementRequest, held.placementRequest))
    differing.push("placement");
  return differing;
}

const isSame = (one: PlacementRequest, other: PlacementRequest): boolean =>
  (Object.keys({ ...one, ...other }) as (keyof PlacementRequest)[]).every(
    (key) => JSON.stringify(one[key]) === JSON.stringify(other[key]),
  );

function checkTtl(ttlMs: number): void {
  if (ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS) return;
  const why = `must be ${MIN_TTL_MS / 1000} to ${MAX_TTL_MS / 1000} seconds`;
  throw new SocleError("invalid", "TTL_INVALID", `ttl ${why}`, { details: { fields: { ttl: why } } });
}

const foreign = (id: string, whose: "caller" | "tenant"): SocleError =>
  new SocleError("denied", "RESERVATION_FOREIGN", `reservation ${id} belongs to another ${whose}`);

const mismatch = (id: string, names: readonly string[]): SocleError =>
  new SocleError(
    "conflict",
    "RESERVATION_MISMATCH",
    `the VM does not match reservation ${id}: ${names.join(", ")} differ`,
    { details: { metadata: { fields: names.join(",") } } },
  );
