import { Histogram, type Distribution } from "../../kernel/histogram.ts";
import type { Operation } from "./operation.ts";

const ends = ["succeeded", "failed", "cancelled"] as const;

export interface OperationTotals {
  /** By end; an end that did not occur is zero. */
  readonly byEnd: Readonly<Record<(typeof ends)[number], number>>;
  /** Time from the request to the end. */
  readonly durations: Distribution;
}

/** From pausing a VM to copying a whole disk. */
const boundsSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

/**
 * Counts by kind the operations that ended since the agent started. Not those of the journal: they are forgotten over
 * time, and Prometheus reads a falling total as a restart from zero.
 */
export class OperationTally {
  readonly #byKind = new Map<
    string,
    { byEnd: Record<(typeof ends)[number], number>; durations: Histogram }
  >();

  of(kind: string): OperationTotals {
    return this.#of(kind);
  }

  ended({ kind, state, createdAtMs, endedAtMs }: Operation): void {
    const end = ends.find((known) => known === state);
    if (end === undefined || endedAtMs === undefined) return;
    const totals = this.#of(kind);
    totals.byEnd[end] += 1;
    // Both are on the wall clock, which may be set.
    totals.durations.add(Math.max(0, endedAtMs - createdAtMs) / 1000);
  }

  #of(kind: string): { byEnd: Record<(typeof ends)[number], number>; durations: Histogram } {
    let totals = this.#byKind.get(kind);
    if (totals === undefined) {
      totals = { byEnd: { succeeded: 0, failed: 0, cancelled: 0 }, durations: new Histogram(boundsSeconds) };
      this.#byKind.set(kind, totals);
    }
    return totals;
  }
}
