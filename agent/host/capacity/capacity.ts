import type { CpuPools } from "./cpu-pools.ts";
import { resourceNames, type DemandPart, type ResourceName } from "./demand.ts";
import { DemandTotals } from "./demand-totals.ts";
import type { HostCapacity, NumaCell, ResourceCapacity } from "../host.ts";
import { spread } from "./spread.ts";

export type CellCapacity = HostCapacity["cells"][number];

/** Resources kept for the host, and overcommit ratios of the rest. */
export interface CapacityPolicy {
  readonly reservedCpus: number;
  readonly reservedMemoryBytes: number;
  readonly cpuOvercommitRatio: number;
  readonly memoryOvercommitRatio: number;
  /** CPUs that serve one VM each. */
  readonly dedicatedCpus: readonly number[];
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Minimum and step of one VM's request. "memory" is memory outside huge-page pools. */
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
 * The capacity of each cell, ascending by id. The host's share is taken from every cell in proportion to its size, since
 * daemons run and allocate on all cells. Demands bound to cells are counted there first, those on fewer cells before
 * those on more. Unbound VMs come last and count in proportion to the free room, where the kernel puts them. The result
 * does not depend on the order of demands. A demand on cells that this machine lacks counts as unbound.
 * `allocated`: undefined if unknown.
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
        ...(allocated !== undefined && { allocated: allocatedHere, available }),
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

/** A dedicated CPU counts once for each VM that owns it, and once if only sharing VMs use it. */
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

/** Offline CPUs and poisoned memory. The kernel itself removes a poisoned huge page from its pool. */
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

/** Dedicated CPUs and huge pages are never overcommitted. */
function ratioOf(resource: ResourceName, policy: CapacityPolicy): number {
  if (resource === "cpu") return policy.cpuOvercommitRatio;
  return resource === "memory" ? policy.memoryOvercommitRatio : 1;
}

/** Omits resources that the machine lacks (huge pages of a size, dedicated CPUs), unless a VM demands them. */
function isShown(cell: NumaCell, row: ResourceCapacity): boolean {
  if ((row.allocated ?? 0) + row.claimed > 0) return true;
  if (row.resource === "cpu_dedicated") return row.total > 0;
  const size = hugepageBytesOf(row.resource);
  return size === undefined || cell.pages.some((pool) => pool.sizeBytes === size);
}

/** The demands' share of each cell, given the free amount before them. Huge pages are whole. */
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
