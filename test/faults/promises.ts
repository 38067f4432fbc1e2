import type { Reservation__Output } from "../../agent/gen/socle/v1/Reservation.ts";
import type { CampaignRun } from "./campaign.ts";

/** Something that a scheduler was told is its own. */
export interface Promised {
  readonly id: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Host CPUs for it alone. */
  readonly cpus: readonly number[];
  /** Until then it is the scheduler's for certain, on this process's clock; longer with every renewal. */
  untilMs: number;
  /** It is a VM's now, or may be. */
  isTaken: boolean;
}

/**
 * What all schedulers together were promised and may rely on at this moment: from the answer until they give it back
 * themselves, or until the time that they asked for is over, counted from when they asked.
 */
export class Promises {
  readonly counts = { reserved: 0, refused: 0, renewed: 0, released: 0, expired: 0, created: 0 };
  readonly #run: CampaignRun;
  readonly #held = new Map<string, Promised>();

  constructor(run: CampaignRun) {
    this.#run = run;
  }

  /** The answer to a Reserve that was sent first at `askedMs`. */
  made({ reservationId, vcpus, memoryBytes, placement }: Reservation__Output, untilMs: number): Promised {
    const promised: Promised = {
      id: reservationId,
      vcpus,
      memoryBytes,
      cpus: [...(placement?.vcpuCpus ?? [])],
      untilMs,
      isTaken: false,
    };
    this.counts.reserved += 1;
    for (const other of this.current()) {
      const both = other.cpus.filter((cpu) => promised.cpus.includes(cpu));
      if (other.id !== promised.id && both.length > 0)
        this.#run.violation(`CPU ${both.join()} is reserved twice: ${other.id} and ${promised.id}`);
    }
    this.#held.set(promised.id, promised);
    return promised;
  }

  /** From now on it may be another's. */
  givenBack({ id }: Promised): void {
    this.#held.delete(id);
  }

  /** Those that are somebody's for certain, and no VM's yet. */
  current(): Promised[] {
    const nowMs = performance.now();
    return [...this.#held.values()].filter(({ untilMs, isTaken }) => untilMs > nowMs && !isTaken);
  }
}
