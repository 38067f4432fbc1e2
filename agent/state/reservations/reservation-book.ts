import type { BootClock } from "../../kernel/boot-clock.ts";
import type { Clock } from "../../kernel/clock.ts";
import { Counts } from "../../kernel/counts.ts";
import { isUncertain, SocleError } from "../../kernel/errors.ts";
import { requireReadWhole } from "../journal/refusals.ts";
import { Journal } from "../journal/journal.ts";
import type { JournalOptions } from "../journal/options.ts";
import { OperationIds } from "../operations/operation-id.ts";
import { checkRequestId } from "../operations/refusals.ts";
import { OrderedIds } from "../operations/ordered-ids.ts";
import type { Permit } from "../operations/permit.ts";
import { keptOf, keptSchema, type Kept, type RequestKind, type Requests } from "./kept-reservation.ts";
import type { Reservation, ReservationRequest, ReservationState } from "./reservation.ts";
import { MOST_FORGOTTEN_AT_ONCE } from "../operations/retention.ts";
import { defined } from "../../kernel/defined.ts";

interface ReservationBookOptions extends Pick<JournalOptions, "log" | "mustExist" | "onUnreadable"> {
  readonly directory: string;
  readonly clock: Clock;
  readonly boot: BootClock;
  /** How long an ended reservation and its request ids are kept. */
  readonly retentionMs: number;
  /** Limit of ended and held reservations together; new ones beyond it are refused. Default 50,000. */
  readonly maxRetained?: number;
  readonly permit?: Permit;
  /** Default 1,000. One caller may hold at most half of them. */
  readonly maxHeld?: number;
}

/** Renewals kept for each reservation: a late repetition of an earlier one must not take effect again. */
const MOST_RENEWALS = 16;

interface Entry {
  readonly kept: Kept;
  /** On the monotonic clock: the expiry of a held reservation, or the end of an ended one's retention. */
  readonly untilMs: number;
  readonly durable: Promise<void>;
  /** The last durable state; undefined before the first. */
  settled: Kept | undefined;
}

/**
 * The reservations of this host, durable before they are returned. Time is measured only on the monotonic clock.
 *
 * After a restart of the agent the remaining time is exact: the kernel's clock continued, and cannot be set. After a
 * boot only the wall clock shows how long the host was off, and it may have been set meanwhile: each reservation then
 * starts its whole time again. So no clock step shortens one, and a boot prolongs it at most by its own time.
 */
export class ReservationBook {
  readonly #options: ReservationBookOptions;
  readonly #maxRetained: number;
  readonly #maxHeld: number;
  readonly #newIds: OperationIds;
  readonly #entries = new Map<string, Entry>();
  /** In order of creation. */
  readonly #ids = new OrderedIds();
  readonly #held = new Set<string>();
  /** Oldest end first: the order in which they are forgotten. */
  readonly #ended = new Set<string>();
  readonly #byRequest = new Map<string, string>();
  readonly #journal: Journal;
  readonly #heldBy = new Counts();

  /** Throws what Journal.open throws. */
  static async open(options: ReservationBookOptions): Promise<ReservationBook> {
    const { onUnreadable } = options;
    const found = new Map<string, Kept>();
    let live = (): Iterable<Kept> => found.values();
    const journal = await Journal.open(
      `${options.directory}/reservations.journal`,
      defined({
        ...options,
        kind: "reservations",
        replay: (record) => {
          const kept = keptOf(record);
          const { id } = kept.reservation;
          found.set(id, { ...kept, requests: joined(found.get(id)?.requests ?? {}, kept.requests) });
        },
        live: () => live(),
        schema: keptSchema,
        onUnreadable:
          onUnreadable &&
          ((why) => {
            found.clear();
            onUnreadable(why);
          }),
      }),
    );
    const book = new ReservationBook(options, journal, found.values());
    // A change that is not durable yet may still fail.
    live = () => [...book.#entries.values()].flatMap(({ settled }) => settled ?? []);
    return book;
  }

  private constructor(options: ReservationBookOptions, journal: Journal, found: Iterable<Kept>) {
    this.#options = options;
    this.#maxRetained = options.maxRetained ?? 50_000;
    this.#maxHeld = options.maxHeld ?? 1000;
    this.#journal = journal;
    this.#newIds = new OperationIds(() => options.clock.now());
    const nowMs = options.clock.monotonicMs();
    const entries = Array.from(found, (kept): Entry => {
      const untilMs = nowMs + this.#leftMs(kept);
      return { kept, untilMs, durable: Promise.resolve(), settled: kept };
    });
    for (const { kept } of entries.toSorted(byId)) this.#ids.add(kept.reservation.id);
    for (const entry of entries.sort((a, b) => a.untilMs - b.untilMs)) this.#put(entry);
    const { newest } = this.#ids;
    if (newest !== undefined) this.#newIds.startAfter(newest);
    while (this.forgetExpired());
  }

  /** Set while the journal cannot be written. */
  get failure(): SocleError | undefined {
    return this.#journal.failure;
  }

  /** As Journal.tryAgain. */
  tryAgain(): Promise<void> {
    return this.#journal.tryAgain();
  }

  /** The current state of what this request made before, if it did; durable when it resolves. Throws REQUEST_ID_REUSED. */
  find(kind: RequestKind, request: ReservationRequest): Promise<Reservation> | undefined {
    checkRequestId(request.requestId);
    const entry = this.#entries.get(this.#byRequest.get(keyOf(request)) ?? "");
    if (entry === undefined) return undefined;
    const held = entry.kept.requests[kind]?.find((one) => keyOf(one) === keyOf(request));
    if (held?.fingerprint !== request.fingerprint) throw reused(request.requestId, entry.kept.reservation.id);
    return entry.durable.then(() => entry.kept.reservation);
  }

  /** Throws `exhausted` TOO_MANY_RESERVATIONS: call before claiming anything for a new one of this caller. */
  admit(caller: string): void {
    const refusal = this.#options.permit?.refusal;
    if (refusal !== undefined) throw refusal;
    this.forgetExpired();
    const most = Math.ceil(this.#maxHeld / 2);
    if (this.#heldBy.of(caller) >= most) throw tooMany(`this caller holds ${most} reservations`);
    if (this.#held.size >= this.#maxHeld) throw tooMany(`${this.#maxHeld} reservations are held`);
    if (this.#entries.size >= this.#maxRetained) throw tooMany(`${this.#maxRetained} reservations are kept`);
  }

  newId(): string {
    return this.#newIds.next();
  }

  /**
   * Held at once; durable when it resolves. A failure, here and below, restores the state before, unless its outcome is
   * unknown.
   */
  async add(reservation: Reservation, request: ReservationRequest): Promise<void> {
    await this.#set(reservation, {}, { reserve: [request] });
  }

  /** Starts its time again, at once; durable when it resolves. */
  async renew(reservation: Reservation, request: ReservationRequest): Promise<void> {
    await this.#set(reservation, this.#entry(reservation.id).kept.requests, { renew: [request] });
  }

  /** Ended at once; durable when it resolves. */
  async end(
    id: string,
    state: Exclude<ReservationState, "held">,
    more: { readonly vmId?: string; readonly request?: ReservationRequest } = {},
  ): Promise<Reservation> {
    const { reservation, requests } = this.#entry(id).kept;
    const { vmId = reservation.vmId, request } = more;
    const endedAtMs = this.#options.clock.now();
    const ended = defined<Reservation>({ ...reservation, state, endedAtMs, vmId });
    await this.#set(ended, requests, request === undefined ? {} : { release: [request] }, "must");
    return ended;
  }

  /** Throws `not_found` RESERVATION_NOT_FOUND, and as requireReadWhole. */
  get(id: string): Reservation {
    return this.#entry(id).kept.reservation;
  }

  /** Number of held reservations, or with `includeEnded` of all kept ones. */
  count(includeEnded: boolean): number {
    return includeEnded ? this.#entries.size : this.#held.size;
  }

  /** Reservations made after `afterId`, in order of creation. */
  *after(afterId: string, includeEnded: boolean): Generator<Reservation> {
    const held = (): string[] => [...this.#held].filter((id) => id > afterId).sort();
    for (const id of includeEnded ? this.#ids.above(afterId) : held()) yield this.get(id);
  }

  /** Remaining time of a held reservation; negative after its expiry. */
  leftMs(id: string): number {
    return this.#entry(id).untilMs - this.#options.clock.monotonicMs();
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }

  /** `added`: the requests of this change. */
  async #set(
    reservation: Reservation,
    requests: Requests,
    added: Requests,
    need: "may" | "must" = "may",
  ): Promise<void> {
    const { boot, clock, retentionMs } = this.#options;
    const { id, state, ttlMs } = reservation;
    const lastsMs = state === "held" ? ttlMs : retentionMs;
    const deadline = { bootId: boot.bootId, sinceBootMs: boot.ms() + lastsMs };
    const kept = { reservation, requests: joined(requests, added), deadline };
    const before = this.#entries.get(id);
    const durable = this.#journal.append({ reservation, requests: added, deadline }, need);
    const untilMs = clock.monotonicMs() + lastsMs;
    const entry: Entry = { kept, untilMs, durable, settled: before?.settled };
    if (before === undefined) this.#ids.add(id);
    this.#put(entry);
    try {
      await durable;
      entry.settled = kept;
      const newer = this.#entries.get(id);
      if (newer !== undefined) newer.settled = kept;
    } catch (thrown) {
      // A change that a restart may find stays: a repetition before that must not apply it twice.
      if (!isUncertain(thrown) && this.#entries.get(id)?.kept === kept) {
        if (before === undefined) this.#remove(id);
        else this.#put(before);
      }
      throw thrown;
    }
  }

  #put(entry: Entry): void {
    const { reservation, requests } = entry.kept;
    const { id } = reservation;
    // Only changed requests are indexed again: each renewal keeps up to 15 earlier ones.
    const before = this.#entries.get(id)?.kept.requests ?? {};
    const [old, now] = [requestsIn(before), requestsIn(requests)];
    for (const request of old) if (!now.has(request)) this.#byRequest.delete(keyOf(request));
    for (const request of now) if (!old.has(request)) this.#byRequest.set(keyOf(request), id);
    this.#leave(id);
    if (reservation.state === "held") {
      this.#held.add(id);
      this.#heldBy.add(reservation.caller);
    } else this.#ended.add(id);
    this.#entries.set(id, entry);
  }

  #leftMs({ reservation, deadline }: Kept): number {
    const { boot, clock, retentionMs } = this.#options;
    if (reservation.state !== "held") {
      // As with operations: a wall clock that was set back must not keep it forever.
      const endedAtMs = reservation.endedAtMs ?? clock.now();
      return Math.min(retentionMs, endedAtMs + retentionMs - clock.now());
    }
    const isSameBoot = deadline.bootId === boot.bootId;
    return isSameBoot ? Math.min(reservation.ttlMs, deadline.sinceBootMs - boot.ms()) : reservation.ttlMs;
  }

  /** As in Retained. */
  forgetExpired(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    let forgotten = 0;
    for (const id of this.#ended) {
      if (this.#entry(id).untilMs > nowMs) return false;
      if (forgotten === MOST_FORGOTTEN_AT_ONCE) return true;
      this.#remove(id);
      forgotten += 1;
    }
    return false;
  }

  #remove(id: string): void {
    const requests = this.#entries.get(id)?.kept.requests ?? {};
    for (const request of requestsIn(requests)) this.#byRequest.delete(keyOf(request));
    this.#leave(id);
    this.#entries.delete(id);
    this.#ids.remove(id);
  }

  /** Removes it from the held and the ended ones. */
  #leave(id: string): void {
    const caller = this.#entries.get(id)?.kept.reservation.caller;
    this.#ended.delete(id);
    if (this.#held.delete(id) && caller !== undefined) this.#heldBy.remove(caller);
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry !== undefined) return entry;
    requireReadWhole(this.failure, `whether reservation ${id} exists`);
    throw new SocleError("not_found", "RESERVATION_NOT_FOUND", `there is no reservation ${id} on this host`);
  }
}

/** A request in both counts once. */
function joined(before: Requests, added: Requests): Requests {
  const requests: Partial<Record<RequestKind, readonly ReservationRequest[]>> = { ...before };
  for (const [kind, more] of Object.entries(added) as [RequestKind, readonly ReservationRequest[]][]) {
    const kept = (before[kind] ?? []).filter((one) => !more.some((other) => isSame(one, other)));
    requests[kind] = [...kept, ...more].slice(-MOST_RENEWALS);
  }
  return requests;
}

const byId = (one: Entry, other: Entry): number =>
  one.kept.reservation.id < other.kept.reservation.id ? -1 : 1;

const requestsIn = (requests: Requests): Set<ReservationRequest> => new Set(Object.values(requests).flat());

const isSame = (one: ReservationRequest, other: ReservationRequest): boolean =>
  one.requestId === other.requestId && one.caller === other.caller;

const keyOf = ({ requestId, caller }: ReservationRequest): string => `${requestId} ${caller}`;

const reused = (requestId: string, reservationId: string): SocleError =>
  new SocleError(
    "conflict",
    "REQUEST_ID_REUSED",
    `request id ${requestId} was used for another request (reservation ${reservationId}); use a new id for a new request`,
    { details: { metadata: { reservation_id: reservationId } } },
  );

const tooMany = (why: string): SocleError =>
  new SocleError(
    "exhausted",
    "TOO_MANY_RESERVATIONS",
    `${why}, which is the limit; release some, or try again later`,
    { details: { retryAfterMs: 1000 } },
  );
