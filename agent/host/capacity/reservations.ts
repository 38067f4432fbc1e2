import type { Clock } from "../../kernel/clock.ts";
import { isUncertain, SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { PlacementWish } from "../../state/reservations/placement.ts";
import type { ReservationBook } from "../../state/reservations/reservation-book.ts";
import type { Reservation, ReservationRequest, ReservedRoom } from "../../state/reservations/reservation.ts";
import type { VmSize } from "./demand.ts";
import type { Claim, Ledger } from "./ledger.ts";
import type { NewVolume } from "./storage-ledger.ts";

export interface ReservationsOptions {
  readonly book: ReservationBook;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Who asks; one who may all may renew and release what others reserved. */
export interface Asker {
  readonly caller: string;
  readonly mayAll: boolean;
}

/** What a VM that is to take a reservation's place asks for; what it leaves open is as reserved. */
export interface Taker {
  readonly vmId: string;
  readonly caller: string;
  readonly room: Omit<ReservedRoom, "wish"> & { readonly wish?: PlacementWish };
  /** That are to be made for it: nothing is reserved in a pool. */
  readonly volumes?: readonly NewVolume[];
}

/** A reservation that a VM is about to take. */
export interface Taken {
  readonly claim: Claim;
  readonly wish: PlacementWish;
  /** The VM has it from now on, whatever happens: durable when it resolves. */
  consume(): Promise<void>;
  /** The VM is not made after all: it is held again, as long as its time lasts. */
  giveBack(): void;
}

export const MIN_TTL_MS = 1000;
export const MAX_TTL_MS = 3_600_000;
const IDLE_MS = 60_000;
/** How long the journal is left alone after it refused an expiry. */
const AGAIN_MS = 1000;

export interface ReservationQuery {
  readonly includeEnded: boolean;
  /** "": from the first. */
  readonly afterId: string;
  readonly limit: number;
}

/** Claims with a time to live: each checked and taken in one synchronous step, and durable before it is told. */
export class Reservations implements Service {
  readonly name = "reservations";
  readonly #book: ReservationBook;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By reservation. */
  readonly #claims = new Map<string, Claim>();
  /** Those that a VM is about to take: they do not expire meanwhile. */
  readonly #taken = new Set<string>();
  /** By reservation, the VMs that took theirs under an earlier agent, until that is on record. */
  readonly #unrecorded = new Map<string, string>();
  /** The journal did not take an end the last time. */
  #isRefused = false;
  #wake = new AbortController();

  constructor({ book, ledger, clock, log }: ReservationsOptions) {
    this.#book = book;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#log = log;
    for (const held of book.after("", false)) {
      const { id, tenant, placement } = held;
      this.#claims.set(id, ledger.reclaim({ holder: id, tenant, ...sizeOf(held), placement }));
    }
  }

  /** Ends those whose time is over. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    ready();
    while (!signal.aborted) {
      const isFine = await this.expire();
      const waiting = [...this.#claims.keys()].filter((id) => !this.#taken.has(id));
      const nextMs = Math.min(IDLE_MS, ...waiting.map((id) => this.leftMs(id)));
      this.#wake = new AbortController();
      const either = AbortSignal.any([signal, this.#wake.signal]);
      await this.#clock
        .sleep(isFine && this.#unrecorded.size === 0 ? nextMs : AGAIN_MS, either)
        .catch(() => undefined);
    }
  }

  /** Their room is free once their end is durable. False: the journal did not take one. */
  async expire(): Promise<boolean> {
    const over = [...this.#claims.keys()].filter((id) => !this.#taken.has(id) && this.#isOver(id));
    const ends = over.map((id) => this.#end(id, () => this.#book.end(id, "expired")));
    const used = [...this.#unrecorded.keys()].map((id) => this.#record(id));
    const results = await Promise.allSettled([...ends, ...used]);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined && !this.#isRefused)
      this.#log.warn(
        { err: failed.reason },
        "a reservation's end cannot be recorded; it is tried until it is",
      );
    this.#isRefused = failed !== undefined;
    return failed === undefined;
  }

  /**
   * `roomOf` is asked for a new one alone, never for one that is only repeated. Throws what the ledger throws for a claim (NO_CAPACITY, TENANT_QUOTA_EXCEEDED, ...), `exhausted` TOO_MANY_RESERVATIONS, `invalid`
   * TTL_INVALID, `conflict` REQUEST_ID_REUSED, and the journal's errors.
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
    const { tenant, wish } = room;
    const claim = this.#ledger.claim({ holder: id, tenant, ...sizeOf(room), wish });
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

  /** Its time begins anew. Throws as `release`, and `invalid` TTL_INVALID. */
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

  /** As of their journal. */
  get failure(): SocleError | undefined {
    return this.#book.failure;
  }

  /** Throws `not_found` RESERVATION_NOT_FOUND, and as requireReadWhole. */
  get(id: string): Reservation {
    return this.#book.get(id);
  }

  /** Those held, or with `includeEnded` all that are kept, in the order in which they were made: so many after `afterId`. */
  list({ includeEnded, afterId, limit }: ReservationQuery): readonly Reservation[] {
    const found: Reservation[] = [];
    if (limit > 0)
      for (const reservation of this.#book.after(afterId, includeEnded))
        if (found.push(reservation) >= limit) break;
    return found;
  }

  /** How many are held, or with `includeEnded` kept. */
  count(includeEnded: boolean): number {
    return this.#book.count(includeEnded);
  }

  /** Of a held one. */
  leftMs(id: string): number {
    return Math.max(0, this.#book.leftMs(id));
  }

  /**
   * For a VM that is about to be made in its place. Throws as `release` (a VM's reservation must be of its own caller and
   * tenant), `conflict` RESERVATION_MISMATCH naming what is not as reserved, HOST_CORDONED, and what the ledger throws for its volumes.
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
      wish: held.wish,
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
   * What an agent before this one let a VM take, and may not have written down here any more. Its room is the VM's from
   * now on; where the journal does not take that it is used up, `run` goes on trying.
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
    const message = `reservation ${id} is ${what}; reserve anew`;
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
    if (claim === undefined) throw new Error(`reservation ${id} holds nothing`);
    return claim;
  }
}

const sizeOf = ({ vcpus, memoryBytes, accelerator }: Omit<ReservedRoom, "wish" | "tenant">): VmSize => ({
  vcpus,
  memoryBytes,
  emulated: accelerator === "tcg",
});

function differences(held: ReservedRoom, { wish, ...room }: Taker["room"]): string[] {
  const names = ["vcpus", "memoryBytes", "accelerator"] as const;
  const differing: string[] = names.filter((name) => held[name] !== room[name]);
  if (wish !== undefined && !isSame(wish, held.wish)) differing.push("placement");
  return differing;
}

const isSame = (one: PlacementWish, other: PlacementWish): boolean =>
  (Object.keys({ ...one, ...other }) as (keyof PlacementWish)[]).every(
    (key) => JSON.stringify(one[key]) === JSON.stringify(other[key]),
  );

function checkTtl(ttlMs: number): void {
  if (ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS) return;
  const why = `must be ${MIN_TTL_MS / 1000} to ${MAX_TTL_MS / 1000} seconds`;
  throw new SocleError("invalid", "TTL_INVALID", `ttl ${why}`, { details: { fields: { ttl: why } } });
}

const foreign = (id: string, whose: "caller" | "tenant"): SocleError =>
  new SocleError("denied", "RESERVATION_FOREIGN", `reservation ${id} is another ${whose}'s`);

const mismatch = (id: string, names: readonly string[]): SocleError =>
  new SocleError(
    "conflict",
    "RESERVATION_MISMATCH",
    `the VM is not what reservation ${id} is for: ${names.join(", ")} differ`,
    { details: { metadata: { fields: names.join(",") } } },
  );
