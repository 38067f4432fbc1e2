import type { LibvirtStatus } from "../../libvirt/index.ts";
import type { DomainDevices, MemoryDevice, MemoryGrowth } from "../../libvirt/xml/index.ts";
import { GIB, MIB } from "../../contract/spec-values.ts";
import { MEMORY_BLOCK_BYTES } from "../../contract/spec-memory.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { defined } from "../../kernel/defined.ts";

// A VM boots with its memory in one NUMA cell. What its running guest can be given beyond that is a virtio-mem device, of which
// the guest has nothing at its start. A change is in the cell at the next start: the definition has the spec's memory alone.

/** Of the device with the memory that a running guest can be given. */
export const GROWTH_ALIAS = "ua-memory";

interface Memory {
  /** libvirt's total: the cell and the whole of the devices. */
  readonly memoryBytes: number;
  readonly devices: Pick<DomainDevices, "memoryDevices">;
}

const MODEL = "virtio-mem";

/** Socle's own device alone: another client may fill one of its own at any time, which counts as a whole. */
export const growthDevice = ({ devices }: Pick<Memory, "devices">): MemoryDevice | undefined =>
  devices.memoryDevices.find(({ model, alias }) => model === MODEL && alias === GROWTH_ALIAS);

/** What the guest was started with, and its balloon can take and return. */
export const bootBytesOf = (domain: Memory): number =>
  domain.memoryBytes - (growthDevice(domain)?.sizeBytes ?? 0);

/** What the guest has of the device. */
export const grownBytesOf = (domain: Pick<Memory, "devices">): number =>
  growthDevice(domain)?.currentBytes ?? 0;

/** What the guest was given: one that has not given memory back still has it. */
export function givenBytesOf(domain: Memory): number {
  const { requestedBytes = 0, currentBytes = 0 } = growthDevice(domain) ?? {};
  return bootBytesOf(domain) + Math.max(requestedBytes, currentBytes);
}

/** Only a running guest has a part of the device. */
export function isResizing(domain: Pick<Memory, "devices">): boolean {
  const { requestedBytes = 0, currentBytes = requestedBytes } = growthDevice(domain) ?? {};
  return requestedBytes !== currentBytes;
}

const GUEST_BLOCK_BYTES = 128 * MIB;
const LARGE_GUEST_BYTES = 64 * GIB;
/** The addresses below 4 GiB that are not memory: they move its end up. */
const LOW_GAP_BYTES = 2 * GIB;
const LARGE_GUEST_BLOCK_BYTES = 2 * GIB;

/**
 * Linux uses only whole memory blocks of its own inside the device: of 128 MiB, of a large guest up to 2 GiB, which the device's
 * place may cut at both ends. The device is larger than the maximum, so that the guest can have all of it.
 */
function deviceBytes(memoryBytes: number, growthBytes: number): number {
  const isLarge = memoryBytes + LOW_GAP_BYTES >= LARGE_GUEST_BYTES;
  const block = isLarge ? LARGE_GUEST_BLOCK_BYTES : GUEST_BLOCK_BYTES;
  const whole = Math.ceil(growthBytes / block) * block;
  return isLarge ? whole + block : whole;
}

/** What the memory of a VM needs of its host. */
export interface MemoryPlace {
  /** How much memory QEMU may take beyond the known need of the guest and QEMU; undefined: no limit. */
  readonly memoryHeadroomBytes?: number;
  /** Whether libvirt and QEMU can keep what a guest was not given out of its address space. */
  readonly hasDynamicMemslots?: () => boolean;
}

/** libvirt 10.1 and QEMU 8.2. */
export const hasDynamicMemslots = (status: LibvirtStatus): boolean =>
  status.connected && status.libVersion >= 10_001_000 && (status.hypervisorVersion ?? 0) >= 8_002_000;

/** The device and its cell for a spec; undefined: its guest has all that it can be given. `before`: keeps its place. */
export function memoryGrowthOf(
  spec: VmSpec,
  { hasDynamicMemslots }: MemoryPlace = {},
  before?: MemoryDevice,
): MemoryGrowth | undefined {
  const { memoryBytes, maxMemoryBytes = memoryBytes, vcpus, maxVcpus = vcpus } = spec;
  if (maxMemoryBytes === memoryBytes) return undefined;
  const sizeBytes = deviceBytes(memoryBytes, maxMemoryBytes - memoryBytes);
  return {
    maxMemory: { bytes: memoryBytes + sizeBytes, slots: 1 },
    cells: [{ id: 0, cpus: Array.from({ length: maxVcpus }, (_, cpu) => cpu), memoryBytes }],
    device: defined<MemoryDevice>({
      model: MODEL,
      sizeBytes,
      guestCell: 0,
      blockBytes: MEMORY_BLOCK_BYTES,
      dynamicMemslots: hasDynamicMemslots?.() === true ? true : undefined,
      requestedBytes: 0,
      alias: GROWTH_ALIAS,
      address: before?.address,
    }),
  };
}
