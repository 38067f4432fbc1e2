import type { Demand, DemandPart } from "./demand.ts";

/**
 * Incremental sum of the demands of many VMs: one change does not need a new sum over thousands. Amounts are integers,
 * so that removals are exact.
 */
export class DemandTotals {
  readonly #parts = new Map<string, DemandPart>();
  readonly #ownCpus = new Map<number, number>();
  readonly #usedCpus = new Map<number, number>();

  constructor(demands: Iterable<Demand> = []) {
    for (const demand of demands) this.add(demand);
  }

  add(demand: Demand): void {
    this.#change(demand, 1);
  }

  /** Removes a demand that was added. */
  remove(demand: Demand): void {
    this.#change(demand, -1);
  }

  /** One entry per resource and set of cells. */
  get parts(): Iterable<DemandPart> {
    return this.#parts.values();
  }

  /** Dedicated CPUs used exclusively, with the number of VMs each. */
  get ownCpus(): ReadonlyMap<number, number> {
    return this.#ownCpus;
  }

  /** Dedicated CPUs used by sharing VMs, with the number of VMs each. */
  get usedCpus(): ReadonlyMap<number, number> {
    return this.#usedCpus;
  }

  #change({ parts, ownCpus, usedCpus }: Demand, sign: 1 | -1): void {
    for (const { resource, amount, cells } of parts) {
      const key = `${resource} ${cells.join(",")}`;
      const sum = (this.#parts.get(key)?.amount ?? 0) + sign * amount;
      if (sum === 0) this.#parts.delete(key);
      else this.#parts.set(key, { resource, cells, amount: sum });
    }
    for (const cpu of ownCpus) change(this.#ownCpus, cpu, sign);
    for (const cpu of usedCpus) change(this.#usedCpus, cpu, sign);
  }
}

function change(counts: Map<number, number>, cpu: number, by: 1 | -1): void {
  const count = (counts.get(cpu) ?? 0) + by;
  if (count === 0) counts.delete(cpu);
  else counts.set(cpu, count);
}
