import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { DeviceRequest, VmSize } from "../../state/reservations/footprint.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import { PLAIN_PAGE_BYTES } from "../../contract/spec-values.ts";
import type { PlacementRequest } from "../../contract/spec.ts";
import type { CellCapacity } from "./capacity.ts";
import { pickCpus, type Core, type CpuPools } from "./cpu-pools.ts";
import { memoryOf, qemuOverheadBytes, resourceNames, type ResourceName } from "./demand.ts";
import type { DeviceCapacity } from "../host.ts";
import type { WithheldDevice } from "./device-capacity.ts";
import { defined } from "../../kernel/defined.ts";

type Amounts = Readonly<Record<ResourceName, number>>;

/** Free resources of a cell. */
interface CellRoom {
  readonly id: number;
  readonly free: Amounts;
  readonly cores: readonly Core[];
  readonly sharedCpus: readonly number[];
}

/** The devices of a host. */
export interface DeviceRoom {
  readonly devices: readonly DeviceCapacity[];
  readonly withheld: readonly WithheldDevice[];
}

/** Free resources of a host. */
interface Room extends DeviceRoom {
  readonly cells: readonly CellRoom[];
  /** Some CPUs are dedicated: sharing VMs do not run on them. */
  readonly hasDedicated: boolean;
}

export function roomOf(
  { id, resources }: CellCapacity,
  pools: CpuPools,
  taken: ReadonlySet<number>,
): CellRoom {
  const free = { cpu: 0, cpu_dedicated: 0, memory: 0, memory_2m: 0, memory_1g: 0 };
  for (const { resource, available = 0 } of resources) free[resource] = available;
  return { id, free, cores: pools.dedicatedCores(id, taken), sharedCpus: pools.shared(id) };
}

interface WantedDevices {
  readonly request: PlacementRequest;
  readonly room: DeviceRoom;
}

interface Wanted extends WantedDevices {
  readonly size: VmSize;
  readonly amounts: Amounts;
  readonly cpus: number;
  readonly room: Room;
}

/**
 * Places a VM on the first cell with all that it needs, if possible with its devices. Without a strict cell policy, it
 * may spread over several cells; without special requirements, it is bound to none. Throws `exhausted` NO_CAPACITY
 * naming the dimension, `invalid` NO_SUCH_DEVICE, `conflict` DEVICE_NOT_ASSIGNABLE.
 */
export function findPlace(room: Room, size: VmSize, request: PlacementRequest): Placement {
  const wanted: Wanted = {
    size,
    request,
    amounts: amountsOf(size, request),
    cpus: cpusOf(size, request),
    room,
  };
  requireDevices(wanted);
  const candidates = room.cells.filter(({ id }) => request.cell === undefined || id === request.cell);
  const isStrict = request.cellPolicy === "strict";
  const wantsOne = isStrict || request.dedicatedCpus || request.pageSizeBytes !== PLAIN_PAGE_BYTES;
  const fitting =
    wantsOne || request.devices.length > 0 ? candidates.filter((cell) => fits(cell, wanted)) : [];
  const near = fitting.find(({ id }) => hasDevices(room, request, id));
  const one = near ?? (wantsOne ? fitting[0] : undefined);
  if (one !== undefined) return placed(wanted, [one], true);
  const all = sum(candidates);
  const short = resourceNames.find((name) => wanted.amounts[name] > 0 && wanted.amounts[name] > all[name]);
  if (short !== undefined) throw noCapacity(wanted, candidates, short, all);
  if (!isStrict) return placed(wanted, candidates, false);
  const least = leastShort(candidates, wanted);
  if (least === undefined)
    throw noDevice(request, request.devices[0] ?? "", "is not on a cell with the other resources");
  throw noCapacity(wanted, candidates, least.name, least.cell.free);
}

/**
 * The address of a free device for an existing VM: one on its cell if possible, and there alone with a strict cell policy. Throws
 * as findPlace for devices.
 */
export function placeDevice(
  room: DeviceRoom,
  { device, placementRequest, cells }: Omit<DeviceRequest, "vmId">,
): string {
  const request = { ...placementRequest, devices: [device] };
  requireDevices({ room, request });
  const [address] = pickDevices(room, request, cells.length === 1 ? cells[0] : undefined) ?? [];
  if (address === undefined) throw noDevice(request, device, `is not on the VM's cell ${cells.join(",")}`);
  return address;
}

/** A VM's amount of each resource, with QEMU's own share. */
function amountsOf(size: VmSize, request: PlacementRequest): Amounts {
  const huge = request.pageSizeBytes === PLAIN_PAGE_BYTES ? {} : { hugepageBytes: request.pageSizeBytes };
  const { resource, amount } = memoryOf({ ...size, ...huge });
  const amounts = {
    cpu: 0,
    cpu_dedicated: 0,
    memory: qemuOverheadBytes({ ...size, ...huge }),
    memory_2m: 0,
    memory_1g: 0,
  };
  amounts[resource] += amount;
  amounts[request.dedicatedCpus ? "cpu_dedicated" : "cpu"] += cpusOf(size, request);
  return amounts;
}

const cpusOf = ({ vcpus }: VmSize, { dedicatedCpus, isolatedEmulator }: PlacementRequest): number =>
  vcpus + (dedicatedCpus && isolatedEmulator ? 1 : 0);

const fits = (cell: CellRoom, { amounts, request, cpus, room }: Wanted): boolean =>
  resourceNames.every((name) => amounts[name] === 0 || amounts[name] <= cell.free[name]) &&
  (!request.dedicatedCpus || pickCpus(cell.cores, cpus) !== undefined) &&
  pickDevices(room, request, cell.id) !== undefined;

function placed(
  { size, request, cpus, room }: Wanted,
  cells: readonly CellRoom[],
  bound: boolean,
): Placement {
  const shared = cells.flatMap(({ sharedCpus }) => sharedCpus);
  const picked = request.dedicatedCpus
    ? pickCpus(
        cells.flatMap(({ cores }) => cores),
        cpus,
      )
    : [];
  if (picked === undefined) throw new Error("fewer dedicated CPUs are free than the ledger counts");
  const devices = pickDevices(room, request, bound ? cells[0]?.id : undefined);
  if (devices === undefined) throw new Error("fewer devices are free than were found");
  const vcpuCpus = picked.slice(0, size.vcpus);
  const own = picked.slice(size.vcpus);
  const others = shared.length > 0 ? shared : room.cells.flatMap(({ sharedCpus }) => sharedCpus);
  const confined = bound || room.hasDedicated;
  return defined({
    cells: bound ? cells.map(({ id }) => id) : [],
    strict: request.cellPolicy === "strict",
    vcpuCpus,
    sharedCpus: !request.dedicatedCpus && confined ? shared : [],
    // QEMU's own threads run on shared CPUs, so that the vCPUs have theirs exclusively.
    emulatorCpus: request.dedicatedCpus ? (own.length > 0 ? own : others) : [],
    hugepageBytes: request.pageSizeBytes === PLAIN_PAGE_BYTES ? undefined : request.pageSizeBytes,
    devices,
  });
}

/**
 * A distinct free device for each name; undefined if too few are free. An alias may match several devices: those on the
 * VM's cell come first, and a strict cell policy allows no others.
 */
function pickDevices(
  { devices }: DeviceRoom,
  request: PlacementRequest,
  cell?: number,
): string[] | undefined {
  const isNear = (device: DeviceCapacity): boolean => cell === undefined || (device.cell ?? cell) === cell;
  const free = devices.filter((device) => device.state === "free");
  const near = free.filter(isNear);
  const others = request.cellPolicy === "strict" ? [] : free.filter((device) => !isNear(device));
  const left = new Set([...near, ...others]);
  const picked = new Map<number, string>();
  // Addresses first: an alias must not take a device requested by address.
  for (const by of ["address", "alias"] as const)
    for (const [index, name] of request.devices.entries()) {
      if (picked.has(index)) continue;
      const found = [...left].find((device) => device[by] === name);
      if (found === undefined) continue;
      left.delete(found);
      picked.set(index, found.address);
    }
  const addresses = request.devices.map((_, index) => picked.get(index));
  return addresses.every((address) => address !== undefined) ? addresses : undefined;
}

/** Whether the devices are free on that cell. False if no device is known to be on a cell. */
function hasDevices(room: Room, request: PlacementRequest, cell: number): boolean {
  const picked = pickDevices(room, { ...request, cellPolicy: "strict" }, cell) ?? [];
  return room.devices.some((device) => device.cell === cell && picked.includes(device.address));
}

/** Throws unless enough devices are free, on any cells. */
function requireDevices({ room, request }: WantedDevices): void {
  const names = new Set(request.devices);
  const called = (name: string): DeviceCapacity[] =>
    room.devices.filter(({ address, alias }) => address === name || alias === name);
  for (const name of names) if (called(name).length === 0) throw noSuchDevice(room, name);
  if (pickDevices(room, request) !== undefined) return;
  for (const name of names) {
    const states = called(name).map(({ state }) => state);
    const count = request.devices.filter((each) => each === name).length;
    if (states.filter((state) => state === "free").length >= count) continue;
    const [state] = states;
    throw noDevice(
      request,
      name,
      states.length === 1 && state !== undefined ? inState[state] : `is not free ${count} times`,
    );
  }
  throw noDevice(request, request.devices[0] ?? "", "is also requested by another name");
}

function sum(cells: readonly CellRoom[]): Amounts {
  const free = { cpu: 0, cpu_dedicated: 0, memory: 0, memory_2m: 0, memory_1g: 0 };
  for (const cell of cells) for (const name of resourceNames) free[name] += cell.free[name];
  return free;
}

/** The cell that lacks the fewest resources, and its first lacking resource. */
function leastShort(
  cells: readonly CellRoom[],
  { amounts }: Wanted,
): { cell: CellRoom; name: ResourceName } | undefined {
  const shortages = cells.map((cell) => ({
    cell,
    names: resourceNames.filter((name) => amounts[name] > 0 && amounts[name] > cell.free[name]),
  }));
  const [best] = shortages.sort((a, b) => a.names.length - b.names.length);
  const name = best?.names[0];
  return best === undefined || name === undefined ? undefined : { cell: best.cell, name };
}

function noCapacity(
  { amounts, request }: Wanted,
  cells: readonly CellRoom[],
  short: ResourceName,
  free: Amounts,
): SocleError {
  const where = request.cell === undefined ? "" : ` on cell ${request.cell}`;
  const inOne = request.cellPolicy === "strict" && request.cell === undefined ? " on any one cell" : "";
  const withShare = short === "memory" ? " (QEMU's own share included)" : "";
  const inWords = (amount: number): string =>
    short.startsWith("memory") ? formatExactBytes(amount) : String(amount);
  const text =
    `not enough ${short}${where}${inOne}: ${inWords(amounts[short])} wanted${withShare}, ${inWords(free[short])} available; ` +
    `choose another host, or a smaller VM`;
  const metadata = {
    dimension: short,
    wanted: String(amounts[short]),
    cells: request.cell === undefined ? "" : cells.map(({ id }) => id).join(","),
    ...Object.fromEntries(resourceNames.map((name) => [`free_${name}`, String(free[name])])),
  };
  return new SocleError("exhausted", "NO_CAPACITY", text, { details: { metadata } });
}

/** Why a device is not free. */
const inState: Readonly<Record<DeviceCapacity["state"], string>> = {
  free: "is also requested by another name",
  allocated: "is allocated: a VM has it, or a device of its IOMMU group",
  claimed: "is claimed: a reservation or a change has it, or a device of its IOMMU group",
  unhealthy: "is unhealthy: it reported fatal PCIe errors",
  unknown: "is unknown: the VMs have not been listed yet",
};

function noSuchDevice({ withheld }: DeviceRoom, name: string): SocleError {
  const found = withheld.find(({ address, alias }) => address === name || alias === name);
  if (found === undefined)
    return new SocleError("invalid", "NO_SUCH_DEVICE", `this host has no device ${name} for VMs`);
  const { cause, why } = found;
  return new SocleError("conflict", "DEVICE_NOT_ASSIGNABLE", `no VM can have the device ${name}: ${why}`, {
    details: { metadata: { cause } },
  });
}

function noDevice(request: PlacementRequest, name: string, why: string): SocleError {
  const metadata = {
    dimension: "device",
    wanted: name,
    cells: request.cell === undefined ? "" : String(request.cell),
  };
  const text = `device ${name} ${why}; choose another device, or another host`;
  return new SocleError("exhausted", "NO_CAPACITY", text, { details: { metadata } });
}
