import type { LibvirtStatus } from "../../libvirt/index.ts";
import type { DomainCpu, DomainDevices, MemoryDevice, MemoryGrowth } from "../../libvirt/xml/index.ts";
import { GIB, MIB } from "../../contract/spec-values.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { growthAlias, isGrowthAlias } from "./device-names.ts";
import type { VmDomain } from "./vm-domain.ts";

// A VM boots with its memory in one NUMA cell. Each growth of its running guest adds a virtio-mem device of exactly that size. A
// guest's kernel can use all of such a device, whatever it was asked to use, so libvirt's total is what the guest can take at
// most: capacity counts it as it is, and less again only once the device is gone. The definition has the spec's memory in its
// cell and no device, so the next start begins anew.

const MODEL = "virtio-mem";
/** How many times a running guest can grow: each device takes one of its PCIe ports until the guest has given it back. */
export const MOST_GROWTHS = 8;
const BLOCK_BYTES = 2 * MIB;

type Devices = Pick<DomainDevices, "memoryDevices">;
type Memory = Pick<VmDomain, "memoryBytes" | "maxMemory"> & { readonly devices: Devices };

/** Socle's own devices alone: those of another client count as memory that the guest was started with. */
export const growthDevices = ({ memoryDevices }: Devices): MemoryDevice[] =>
  memoryDevices.filter(({ model, alias }) => model === MODEL && isGrowthAlias(alias));

const sum = (all: readonly (number | undefined)[]): number => all.reduce<number>((a, b = 0) => a + b, 0);

/** The whole of the devices, which the guest can take. */
const addedBytes = (devices: Devices): number =>
  sum(growthDevices(devices).map(({ sizeBytes }) => sizeBytes));

/** What the guest was started with, and its balloon can take and return. */
export const bootBytesOf = ({ memoryBytes, devices }: Memory): number => memoryBytes - addedBytes(devices);

/** What the guest has of the devices. */
export const grownBytesOf = ({ devices }: { readonly devices: Devices }): number =>
  sum(growthDevices(devices).map(({ currentBytes }) => currentBytes));

/** The devices that the guest has given back as a whole. */
export const emptyDevices = ({ devices }: { readonly devices: Devices }): MemoryDevice[] =>
  growthDevices(devices).filter(
    ({ requestedBytes = 0, currentBytes = 0 }) => requestedBytes + currentBytes === 0,
  );

const GUEST_BLOCK_BYTES = 128 * MIB;
const LARGE_GUEST_BYTES = 64 * GIB;
/** The addresses below 4 GiB that are not memory: they move its end up. */
const LOW_GAP_BYTES = 2 * GIB;
const LARGE_GUEST_BLOCK_BYTES = 2 * GIB;

/** How far a running guest gets towards this memory beyond what it was started with. */
export function growthTowards(running: Memory, memoryBytes: number): number {
  const { maxMemory, devices } = running;
  const bootBytes = bootBytesOf(running);
  const added = addedBytes(devices);
  const canAdd = maxMemory !== undefined && growthDevices(devices).length < MOST_GROWTHS;
  const most = canAdd ? Math.max(added, maxMemory.bytes - bootBytes) : added;
  // Linux uses only whole memory blocks of its own: of 128 MiB, of a large guest up to 2 GiB.
  const isLarge = bootBytes + LOW_GAP_BYTES >= LARGE_GUEST_BYTES;
  const block = isLarge ? LARGE_GUEST_BLOCK_BYTES : GUEST_BLOCK_BYTES;
  const bytes = Math.max(0, Math.min(memoryBytes - bootBytes, most));
  return bytes - (bytes % block);
}

/**
 * The devices with which a running guest has this much beyond what it was started with: the ones that it has, filled in their
 * order, and a new one for the rest. The new alias is the same in a repeated run, so that libvirt refuses a second device.
 */
export function grownTo({ devices }: { readonly devices: Devices }, bytes: number): Grown {
  let left = bytes;
  const own = growthDevices(devices);
  const resized = own.flatMap((device) => {
    const requestedBytes = Math.min(device.sizeBytes, left);
    left -= requestedBytes;
    return device.requestedBytes === requestedBytes ? [] : [{ ...device, requestedBytes }];
  });
  if (left === 0) return { resized };
  const aliases = new Set(own.map(({ alias }) => alias));
  const free = Array.from({ length: own.length + 1 }, (_, index) => growthAlias(index + 1));
  const alias = free.find((each) => !aliases.has(each)) ?? growthAlias(own.length + 1);
  const added = { model: MODEL, sizeBytes: left, guestCell: 0, blockBytes: BLOCK_BYTES };
  return { resized, added: { ...added, requestedBytes: left, alias } };
}

interface Grown {
  readonly resized: readonly MemoryDevice[];
  readonly added?: MemoryDevice;
}

/** libvirt has virtio-mem since 7.9. One that is away is asked later. */
export const canAddMemory = (status: LibvirtStatus): boolean =>
  !status.connected || status.libVersion >= 7_009_000;

/** What a definition needs so that its guest can grow; undefined: its guest has all that it can be given. */
export function memoryGrowthOf(spec: VmSpec): MemoryGrowth | undefined {
  const { memoryBytes, maxMemoryBytes = memoryBytes, vcpus, maxVcpus = vcpus } = spec;
  if (maxMemoryBytes === memoryBytes) return undefined;
  const cells: DomainCpu["cells"] = [
    { id: 0, cpus: Array.from({ length: maxVcpus }, (_, cpu) => cpu), memoryBytes },
  ];
  return { maxMemory: { bytes: maxMemoryBytes, slots: MOST_GROWTHS }, cells };
}
