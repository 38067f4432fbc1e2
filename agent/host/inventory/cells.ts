import { formatExactBytes } from "../../kernel/text/bytes.ts";
import type { CpuTopology } from "../../hardware/cpu/cpu-topology.ts";
import type { NumaNode } from "../../hardware/memory/numa.ts";
import { valueOf, type Reading } from "../../hardware/reading.ts";
import type { HostCapabilities } from "../../libvirt/xml/index.ts";
import type { NumaCell } from "../host.ts";
import { defined } from "../../kernel/defined.ts";

/** A part of the inventory, with the reasons for missing values. */
export interface Part<T> {
  readonly value: T;
  readonly reasons: readonly string[];
}

/** Tolerance between the machine's memory and the sum of its cells: hotplug may be under way. */
const MEMORY_TOLERANCE_RATIO = 0.01;

/**
 * The NUMA cells: from sysfs, else from libvirt's capabilities, else as last known. A cell with unknown CPUs or memory
 * is omitted, never shown as empty.
 */
export function assembleCells(sources: {
  readonly nodes: Reading<readonly NumaNode[]>;
  readonly capabilities: Reading<HostCapabilities>;
  readonly topology: Reading<CpuTopology>;
  /** Of the whole machine, if known. */
  readonly machineMemoryBytes: number | undefined;
  readonly before: readonly NumaCell[];
}): Part<readonly NumaCell[]> {
  const nodes = valueOf(sources.nodes);
  const fromLibvirt = valueOf(sources.capabilities)?.cells ?? [];
  const ids = (nodes ?? fromLibvirt).map(({ id }) => id);
  if (ids.length === 0) {
    const why = sources.nodes.kind === "read" ? "the kernel shows none" : sources.nodes.reason;
    return { value: sources.before, reasons: [`NUMA cells: ${why}`] };
  }
  const topology = topologyOf(sources);
  const reasons: string[] = [];
  if (sources.nodes.kind === "failed") reasons.push(`NUMA cells are from libvirt: ${sources.nodes.reason}`);
  const cells = ids.flatMap((id): NumaCell[] => {
    const node = nodes?.find((other) => other.id === id);
    const reported = fromLibvirt.find((other) => other.id === id);
    const known = sources.before.find((other) => other.id === id);
    const part = <T>(
      name: string,
      read: Reading<T> | undefined,
      ...others: (T | undefined)[]
    ): T | undefined => {
      if (read?.kind === "read") return read.value;
      if (read?.kind === "failed") reasons.push(`${name} of NUMA cell ${id}: ${read.reason}`);
      return others.find((other) => other !== undefined);
    };
    const cpus = part(
      "CPUs",
      node?.cpus,
      reported?.cpus.map((cpu) => cpu.id),
      known?.cpus,
    );
    const memory = part("memory", node?.memory);
    const memoryBytes = memory?.totalBytes ?? reported?.memoryBytes ?? known?.memoryBytes;
    if (cpus === undefined || memoryBytes === undefined) {
      reasons.push(
        `NUMA cell ${id} is omitted: its ${cpus === undefined ? "CPUs" : "memory"} could not be read`,
      );
      return [];
    }
    const pages = part(
      "huge pages",
      node?.hugepages,
      reported === undefined ? undefined : hugepagesOf(reported),
      known?.pages,
    );
    const distances = part(
      "distances",
      node?.distances,
      reported?.distances.map(({ value }) => value),
      known?.distances,
    );
    const shared = sharingOf(topology, cpus) ?? pick(known);
    return [{ id, cpus, memoryBytes, pages: pages ?? [], distances: distances ?? [], ...shared }];
  });
  return withMachineMemory(cells, sources.machineMemoryBytes, reasons);
}

/**
 * A kernel may count hot-plugged memory for the machine but for no node. A single cell gets all of it; with several
 * cells, their own counts are kept, which are then too low rather than too high.
 */
function withMachineMemory(
  cells: readonly NumaCell[],
  machineBytes: number | undefined,
  reasons: readonly string[],
): Part<readonly NumaCell[]> {
  const [only, ...more] = cells;
  if (machineBytes === undefined || only === undefined) return { value: cells, reasons };
  if (more.length === 0) return { value: [{ ...only, memoryBytes: machineBytes }], reasons };
  const summedBytes = cells.reduce((bytes, cell) => bytes + cell.memoryBytes, 0);
  if (Math.abs(summedBytes - machineBytes) <= machineBytes * MEMORY_TOLERANCE_RATIO)
    return { value: cells, reasons };
  const difference = `NUMA cells: their memory adds up to ${formatExactBytes(summedBytes)}, the machine has ${formatExactBytes(machineBytes)}`;
  return { value: cells, reasons: [...reasons, difference] };
}

/** Without the smallest size, that of plain pages. */
function hugepagesOf(cell: HostCapabilities["cells"][number]): NumaCell["pages"] {
  const smallest = Math.min(...cell.pages.map(({ sizeBytes }) => sizeBytes));
  return cell.pages
    .filter(({ sizeBytes }) => sizeBytes > smallest)
    .map(({ sizeBytes, count }) => ({ sizeBytes, total: count }));
}

/** CPUs grouped by core and by shared cache: from sysfs, else from libvirt. */
function topologyOf(sources: {
  readonly topology: Reading<CpuTopology>;
  readonly capabilities: Reading<HostCapabilities>;
}): CpuTopology | undefined {
  const capabilities = valueOf(sources.capabilities);
  if (sources.topology.kind === "read" || capabilities === undefined) return valueOf(sources.topology);
  const cores = capabilities.cells.flatMap(({ cpus }) => cpus.map(({ siblings }) => siblings));
  const caches = capabilities.cacheBanks.filter(({ type }) => type !== "code");
  return {
    cores: [...new Map(cores.map((core) => [core.join(","), core])).values()],
    caches: caches.map(({ level, sizeBytes, cpus }) => ({ level, sizeBytes, cpus })),
  };
}

type Sharing = Pick<NumaCell, "siblings" | "caches">;

/** A cache that spans several cells is listed in each. */
function sharingOf(topology: CpuTopology | undefined, cpus: readonly number[]): Sharing | undefined {
  if (topology === undefined) return undefined;
  const isHere = (group: readonly number[]): boolean => group.some((cpu) => cpus.includes(cpu));
  return {
    siblings: topology.cores.filter(isHere),
    caches: topology.caches.filter((cache) => isHere(cache.cpus)),
  };
}

const pick = (known: NumaCell | undefined): Sharing =>
  defined({ siblings: known?.siblings, caches: known?.caches });
