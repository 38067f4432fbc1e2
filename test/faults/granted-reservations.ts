import type { Reservation__Output } from "../../agent/gen/socle/v1/Reservation.ts";
import type { CampaignRun } from "./campaign.ts";

/** A reservation that was granted to a scheduler. */
export interface GrantedReservation {
  readonly id: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Its dedicated host CPUs. */
  readonly cpus: readonly number[];
  /** The guaranteed end on this process's clock; extended with every renewal. */
  untilMs: number;
  /** A VM has or may have consumed it. */
  isTaken: boolean;
}

/**
 * All reservations that schedulers may rely on now: from the reply until their release, or until the requested time to live
 * has passed since the request.
 */
export class GrantedReservations {
  readonly counts = { reserved: 0, refused: 0, renewed: 0, released: 0, expired: 0, created: 0 };
  readonly #run: CampaignRun;
  readonly #held = new Map<string, GrantedReservation>();

  constructor(run: CampaignRun) {
    this.#run = run;
  }

  /** The reply to a Reserve that was first sent at `askedMs`. */
  made(
    { reservationId, vcpus, memoryBytes, placement }: Reservation__Output,
    untilMs: number,
  ): GrantedReservation {
    const granted: GrantedReservation = {
      id: reservationId,
      vcpus,
      memoryBytes,
      cpus: [...(placement?.vcpuCpus ?? [])],
      untilMs,
      isTaken: false,
    };
    this.counts.reserved += 1;
    for (const other of this.current()) {
      const both = other.cpus.filter((cpu) => granted.cpus.includes(cpu));
      if (other.id !== granted.id && both.length > 0)
        this.#run.violation(`CPU ${both.join()} is reserved twice: ${other.id} and ${granted.id}`);
    }
    this.#held.set(granted.id, granted);
    return granted;
  }

  /** From now on another caller may have it. */
  givenBack({ id }: GrantedReservation): void {
    this.#held.delete(id);
  }

  /** Reservations that are certainly held and not consumed. */
  current(): GrantedReservation[] {
    const nowMs = performance.now();
    return [...this.#held.values()].filter(({ untilMs, isTaken }) => untilMs > nowMs && !isTaken);
  }
}
