import type { CpuPools } from "./cpu-pools.ts";
import { resourceNames, type DemandPart, type ResourceName } from "./demand.ts";
import { DemandTotals } from "./demand-totals.ts";
import type { HostCapacity, NumaCell, ResourceCapacity } from "../host.ts";
import { spread } from "./spread.ts";

export type CellCapacity = HostCapacity["cells"][number];

/** What of the machine is not sold, and how often the rest is. */
export interface CapacityPolicy {
  readonly reservedCpus: number;
  readonly reservedMemoryBytes: number;
  readonly cpuOvercommitRatio: number;
  readonly memoryOvercommitRatio: number;
  /** Of these, each is for one VM alone. */
  readonly dedicatedCpus: readonly number[];
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** What one VM may ask for at least, and in steps of what. Of "memory", of that which is in no pool of huge pages. */
const granularity: Readonly<Record<ResourceName, { readonly min: number; readonly step: number }>> = {
  cpu: { min: 1, step: 1 },
  cpu_dedicated: { min: 1, step: 1 },
  memory: { min: MIB, step: MIB },
  memory_2m: { min: 2 * MIB, step: 2 * MIB },
  memory_1g: { min: GIB, step: GIB },
};

const hugepageBytesOf = (resource: ResourceName): number | undefined =>
  resource === "memory_2m" || resource === "memory_1g" ? granularity[resource].step : undefined;

/**
 * The capacity of each cell, ascending by id. What is kept for the host is taken of every cell in proportion to its
 * size, since its daemons run, and allocate, on all of them. What is bound to cells is counted there first, those bound
 * to fewer cells before those bound to more; a VM that may use any cell comes last, and lies where room is left, in
 * proportion to it: that is where the kernel puts it. The same demands always give the same answer, in whatever order
 * they come. A demand on cells that this machine does not have counts as one on any: never not at all.
 * `allocated`: undefined where it is not known.
 */
export function capacityOf(
  cells: readonly NumaCell[],
  pools: CpuPools,
  policy: CapacityPolicy,
  allocated: DemandTotals | undefined,
  claimed: DemandTotals,
): readonly CellCapacity[] {
  if (cells.length === 0) return [];
  const known = allocated ?? new DemandTotals();
  const sorted = [...cells].sort((a, b) => a.id - b.id);
  const ids = sorted.map(({ id }) => id);
  const byResource = resourceNames.map((resource) => {
    const usable = sorted.map((cell) => usableOf(cell, resource, pools));
    const unhealthy = sorted.map((cell) => unhealthyOf(cell, resource, pools));
    const reserved = reservedOf(resource, usable, policy);
    const ratio = ratioOf(resource, policy);
    const sellable = usable.map((amount, index) => Math.floor((amount - (reserved[index] ?? 0)) * ratio));
    const [allocatedAmounts, claimedAmounts] =
      resource === "cpu_dedicated"
        ? [cpusTaken(pools, ids, known), cpusTaken(pools, ids, claimed)]
        : sharesOf(resource, ids, known, claimed, sellable);
    return usable.map((amount, index): ResourceCapacity => {
      const unhealthyHere = unhealthy[index] ?? 0;
      const [allocatedHere, claimedHere] = [allocatedAmounts[index] ?? 0, claimedAmounts[index] ?? 0];
      const available = (sellable[index] ?? 0) - allocatedHere - claimedHere;
      const { min, step } = granularity[resource];
      return {
        resource,
        total: amount + unhealthyHere,
        reserved: reserved[index] ?? 0,
        ...(allocated === undefined ? {} : { allocated: allocatedHere, available }),
        claimed: claimedHere,
        unhealthy: unhealthyHere,
        overcommitRatio: ratio,
        min,
        max: Math.floor(Math.max(0, sellable[index] ?? 0) / step) * step,
        step,
      };
    });
  });
  return sorted.map((cell, index) => ({
    id: cell.id,
    resources: byResource
      .map((resources) => resources[index])
      .filter((row) => row !== undefined)
      .filter((row) => isShown(cell, row)),
  }));
}

/** A dedicated CPU counts once for each that has it to himself, and once where it is only used by those that share. */
function cpusTaken(pools: CpuPools, ids: readonly number[], demands: DemandTotals): number[] {
  const owners = new Map(demands.ownCpus);
  for (const cpu of demands.usedCpus.keys()) if (!owners.has(cpu)) owners.set(cpu, 1);
  const taken = ids.map(() => 0);
  for (const [cpu, count] of owners) {
    const index = ids.indexOf(pools.cellOf(cpu) ?? -1);
    if (index !== -1) taken[index] = (taken[index] ?? 0) + count;
  }
  return taken;
}

function sharesOf(
  resource: DemandPart["resource"],
  ids: readonly number[],
  allocated: DemandTotals,
  claimed: DemandTotals,
  sellable: readonly number[],
): [number[], number[]] {
  const partsOf = ({ parts }: DemandTotals): DemandPart[] =>
    [...parts].filter((part) => part.resource === resource);
  const allocatedAmounts = place(resource, ids, partsOf(allocated), sellable);
  const free = sellable.map((amount, index) => amount - (allocatedAmounts[index] ?? 0));
  return [allocatedAmounts, place(resource, ids, partsOf(claimed), free)];
}

/** CPUs that are offline, and memory that lost data. The kernel itself takes a huge page that lost any out of its pool. */
function unhealthyOf(cell: NumaCell, resource: ResourceName, pools: CpuPools): number {
  if (resource === "cpu") return pools.offline(cell.id).shared;
  if (resource === "cpu_dedicated") return pools.offline(cell.id).dedicated;
  return resource === "memory" ? (cell.poisonedBytes ?? 0) : 0;
}

function usableOf(cell: NumaCell, resource: ResourceName, pools: CpuPools): number {
  if (resource === "cpu") return pools.shared(cell.id).length;
  if (resource === "cpu_dedicated") return pools.dedicated(cell.id).length;
  const pooled = (sizeBytes: number | undefined): number =>
    cell.pages
      .filter((pool) => sizeBytes === undefined || pool.sizeBytes === sizeBytes)
      .reduce((bytes, pool) => bytes + pool.total * pool.sizeBytes, 0);
  if (resource === "memory")
    return Math.max(0, cell.memoryBytes - (cell.poisonedBytes ?? 0) - pooled(undefined));
  return pooled(hugepageBytesOf(resource));
}

function reservedOf(
  resource: ResourceName,
  usable: readonly number[],
  policy: CapacityPolicy,
): readonly number[] {
  if (resource === "cpu") return spread(policy.reservedCpus, usable);
  if (resource === "memory") return spread(policy.reservedMemoryBytes, usable);
  return usable.map(() => 0);
}

/** Dedicated CPUs and huge pages are there or not: they are never sold twice. */
function ratioOf(resource: ResourceName, policy: CapacityPolicy): number {
  if (resource === "cpu") return policy.cpuOvercommitRatio;
  return resource === "memory" ? policy.memoryOvercommitRatio : 1;
}

/** What the machine does not have, huge pages of a size or dedicated CPUs, is left out, unless somebody wants it. */
function isShown(cell: NumaCell, row: ResourceCapacity): boolean {
  if ((row.allocated ?? 0) + row.claimed > 0) return true;
  if (row.resource === "cpu_dedicated") return row.total > 0;
  const size = hugepageBytesOf(row.resource);
  return size === undefined || cell.pages.some((pool) => pool.sizeBytes === size);
}

/** How much of each cell the demands take, given what is free on each before them. Huge pages are whole. */
function place(
  resource: DemandPart["resource"],
  ids: readonly number[],
  parts: readonly DemandPart[],
  free: readonly number[],
): number[] {
  const unit = hugepageBytesOf(resource) ?? 1;
  const taken = ids.map(() => 0);
  for (const { indices, amount } of groupByCells(ids, parts)) {
    const room = indices.map((index) =>
      Math.max(0, Math.floor(((free[index] ?? 0) - (taken[index] ?? 0)) / unit)),
    );
    spread(Math.ceil(amount / unit), room).forEach((share, position) => {
      const index = indices[position] ?? 0;
      taken[index] = (taken[index] ?? 0) + share * unit;
    });
  }
  return taken;
}

function groupByCells(
  ids: readonly number[],
  parts: readonly DemandPart[],
): { readonly indices: readonly number[]; readonly amount: number }[] {
  const all = ids.map((_, index) => index);
  const groups = new Map<string, { indices: readonly number[]; amount: number }>();
  for (const { cells, amount } of parts) {
    const bound = all.filter((index) => cells.includes(ids[index] ?? -1));
    const indices = bound.length === 0 ? all : bound;
    const group = groups.get(indices.join(",")) ?? { indices, amount: 0 };
    groups.set(indices.join(","), { indices, amount: group.amount + amount });
  }
  return [...groups.values()].sort(
    (a, b) =>
      a.indices.length - b.indices.length ||
      (a.indices[0] ?? 0) - (b.indices[0] ?? 0) ||
      a.indices.join(",").localeCompare(b.indices.join(",")),
  );
}
