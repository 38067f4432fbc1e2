import { defined } from "../../kernel/defined.ts";
import type { Footprint, VmSize } from "../../state/reservations/footprint.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import type { CpuPools } from "./cpu-pools.ts";
import type { ResourceCapacity } from "../host.ts";

export type ResourceName = ResourceCapacity["resource"];
export const resourceNames: readonly ResourceName[] = [
  "cpu",
  "cpu_dedicated",
  "memory",
  "memory_2m",
  "memory_1g",
];

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** An amount of a resource (cpu in vCPUs, the others in bytes) on some cells; no cells: on any. */
export interface DemandPart {
  readonly resource: Exclude<ResourceName, "cpu_dedicated">;
  readonly amount: number;
  readonly cells: readonly number[];
}

export interface Demand {
  readonly parts: readonly DemandPart[];
  /** Dedicated CPUs that it uses exclusively. */
  readonly ownCpus: readonly number[];
  /** Dedicated CPUs that it shares: no other VM can use them exclusively. */
  readonly usedCpus: readonly number[];
  readonly devices: readonly string[];
}

/** Page size in bytes by resource. Other page sizes count as plain memory. */
const hugepageResources = new Map<number, DemandPart["resource"]>([
  [2 * MIB, "memory_2m"],
  [GIB, "memory_1g"],
]);

/** The footprint of a VM of this size at this placement. */
export function placedFootprint(id: string, size: VmSize, placement: Placement): Footprint {
  const { cells, vcpuCpus, sharedCpus, emulatorCpus, hugepageBytes, devices } = placement;
  const own = vcpuCpus.map((cpu) => [cpu]);
  const shared = sharedCpus.length === 0 ? [] : Array.from({ length: size.vcpus }, () => sharedCpus);
  return defined({
    id,
    ...size,
    cells,
    vcpuPins: own.length > 0 ? own : shared,
    emulatorPin: emulatorCpus.length === 0 ? undefined : emulatorCpus,
    hugepageBytes,
    devices,
    active: false,
  });
}

/**
 * A VM's demand by location. A vCPU pinned only to dedicated CPUs owns them; any other vCPU shares the cells of its CPUs
 * or, if unpinned, the cells of the VM's memory.
 */
export function demandOf(vm: Omit<Footprint, "id" | "active">, pools: CpuPools): Demand {
  const { vcpuPins = [], emulatorPin = [], cells, devices = [] } = vm;
  const own = new Set<number>();
  const used = new Set<number>();
  const parts: DemandPart[] = [];
  let unpinned = Math.max(0, vm.vcpus - vcpuPins.length);
  for (const pin of vcpuPins) {
    const dedicated = pin.filter((cpu) => pools.isDedicated(cpu));
    if (dedicated.length > 0 && dedicated.length === pin.length) {
      for (const cpu of pin) own.add(cpu);
      continue;
    }
    // A set of all CPUs binds to no cell.
    if (pin.length < pools.count) for (const cpu of dedicated) used.add(cpu);
    const pinCells = pools.cellsOf(pin);
    if (pinCells.length === 0) unpinned += 1;
    else parts.push({ resource: "cpu", amount: 1, cells: pinCells });
  }
  if (unpinned > 0) parts.push({ resource: "cpu", amount: unpinned, cells });
  if (emulatorPin.length > 0 && emulatorPin.every((cpu) => pools.isDedicated(cpu)))
    for (const cpu of emulatorPin) own.add(cpu);
  parts.push({ resource: "memory", amount: qemuOverheadBytes(vm), cells }, { ...memoryOf(vm), cells });
  return { parts, ownCpus: [...own], usedCpus: [...used].filter((cpu) => !own.has(cpu)), devices };
}

/** A VM's memory in whole pages. */
export function memoryOf({
  memoryBytes,
  hugepageBytes,
}: Pick<Footprint, "memoryBytes" | "hugepageBytes">): Pick<DemandPart, "resource" | "amount"> {
  const resource = hugepageResources.get(hugepageBytes ?? 0) ?? "memory";
  const pageBytes = resource === "memory" ? 1 : (hugepageBytes ?? 1);
  return { resource, amount: Math.ceil(memoryBytes / pageBytes) * pageBytes };
}

/**
 * QEMU's own memory beside the guest's: 64 MiB, 1 MiB per vCPU, 1/256 of the guest's memory, 64 MiB
 * when it emulates, and 1/8192 of the memory that the running guest can be given, for QEMU's bitmaps of it.
 *
 * Measured with QEMU 10.0 (q35, virtio net, serial and balloon; resident size less the guest's preallocated memory):
 * 41 MiB with 1 vCPU and 256 MiB, 42 MiB with 16, 41 MiB with 4 GiB, 44 MiB emulated; the kernel's page tables for it
 * grew by 2 MiB a GiB (8 bytes per 4 KiB page). The rest of the 64 MiB and of the MiB per vCPU is for disks, sockets
 * and requests in flight; the second 1/512 is KVM's own second-level page tables, of the same shape. Huge pages need
 * next to no page tables. An emulated Linux guest took 92 MiB with a translation cache of 32 MiB (Socle's VMs), 130 MiB
 * with QEMU's default one, 20 s after its start.
 */
export function qemuOverheadBytes(
  vm: Pick<Footprint, "vcpus" | "memoryBytes" | "maxMemoryBytes" | "hugepageBytes" | "accelerator">,
): number {
  const pageTableBytes = vm.hugepageBytes === undefined ? Math.ceil(vm.memoryBytes / 256) : 0;
  const { maxMemoryBytes = 0 } = vm;
  const bitmapBytes = maxMemoryBytes > vm.memoryBytes ? Math.ceil(maxMemoryBytes / 8192) : 0;
  return 64 * MIB + vm.vcpus * MIB + pageTableBytes + bitmapBytes + (vm.accelerator === "tcg" ? 64 * MIB : 0);
}
