import type { DomainDevices, MemoryDevice, MemoryGrowth } from "../../libvirt/xml/index.ts";
import { GIB, MIB } from "../../contract/spec-values.ts";
import { memoryBlockBytes } from "../../contract/spec-memory.ts";
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

export const growthDevice = ({ devices }: Pick<Memory, "devices">): MemoryDevice | undefined =>
  devices.memoryDevices.find(({ model, alias }) => model === MODEL && alias === GROWTH_ALIAS);

const growing = ({ devices }: Pick<Memory, "devices">): readonly MemoryDevice[] =>
  devices.memoryDevices.filter(({ model }) => model === MODEL);

const sum = (devices: readonly MemoryDevice[], bytesOf: (device: MemoryDevice) => number): number =>
  devices.reduce((bytes, device) => bytes + bytesOf(device), 0);

/** What the guest was started with, and its balloon can take and return. */
export const bootBytesOf = (domain: Memory): number =>
  domain.memoryBytes - sum(growing(domain), ({ sizeBytes }) => sizeBytes);

/** What the guest has of the devices. */
export const grownBytesOf = (domain: Pick<Memory, "devices">): number =>
  sum(growing(domain), ({ currentBytes = 0 }) => currentBytes);

/** What the guest can take by itself: a guest that has not given memory back still has it. */
export const givenBytesOf = (domain: Memory): number =>
  bootBytesOf(domain) +
  sum(growing(domain), ({ requestedBytes = 0, currentBytes = 0 }) => Math.max(requestedBytes, currentBytes));

/** Only a running guest has a part of a device. */
export const isResizing = (domain: Pick<Memory, "devices">): boolean =>
  growing(domain).some(
    ({ requestedBytes = 0, currentBytes = requestedBytes }) => requestedBytes !== currentBytes,
  );

const GUEST_BLOCK_BYTES = 128 * MIB;
const LARGE_GUEST_BYTES = 64 * GIB;
const LARGE_GUEST_BLOCK_BYTES = 2 * GIB;

/**
 * Linux uses only whole memory blocks of its own inside the device: of 128 MiB, of a large guest up to 2 GiB, which the device's
 * place may cut at both ends. The device is larger than the maximum, so that the guest can have all of it.
 */
function deviceBytes(memoryBytes: number, growthBytes: number): number {
  const isLarge = memoryBytes >= LARGE_GUEST_BYTES;
  const block = isLarge ? LARGE_GUEST_BLOCK_BYTES : GUEST_BLOCK_BYTES;
  const whole = Math.ceil(growthBytes / block) * block;
  return isLarge ? whole + block : whole;
}

/** The device and its cell for a spec; undefined: its guest has all that it can be given. `before`: keeps its place. */
export function memoryGrowthOf(spec: VmSpec, before?: MemoryDevice): MemoryGrowth | undefined {
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
      blockBytes: memoryBlockBytes(spec),
      requestedBytes: 0,
      alias: GROWTH_ALIAS,
      address: before?.address,
    }),
  };
}
