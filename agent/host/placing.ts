import { SocleError } from "../kernel/errors.ts";
import { PLAIN_PAGE_BYTES, type Placement, type PlacementWish } from "../state/placement.ts";
import { pickCpus, type Core } from "./cpu-pools.ts";
import { memoryOf, qemuOverheadBytes, resourceNames, type ResourceName, type VmSize } from "./demand.ts";
import type { DeviceCapacity } from "./host.ts";

export type Amounts = Readonly<Record<ResourceName, number>>;

/** What a cell still has. */
export interface CellRoom {
  readonly id: number;
  readonly free: Amounts;
  readonly cores: readonly Core[];
  readonly sharedCpus: readonly number[];
}

/** What a host still has. */
export interface Room {
  readonly cells: readonly CellRoom[];
  readonly devices: readonly DeviceCapacity[];
  /** Some CPUs are dedicated: those that share are kept off them. */
  readonly hasDedicated: boolean;
}

interface Wanted {
  readonly size: VmSize;
  readonly wish: PlacementWish;
  readonly amounts: Amounts;
  readonly cpus: number;
  readonly devices: readonly DeviceCapacity[];
}

/**
 * Where a VM goes: the first cell that has all it needs. One that insists on no cell may be spread over several when none
 * has all of it; one that asks for nothing particular is bound to none. Throws `exhausted` NO_CAPACITY that names the
 * dimension, `invalid` NO_SUCH_DEVICE.
 */
export function findPlace(room: Room, size: VmSize, wish: PlacementWish): Placement {
  const devices = wish.devices.map((name) => deviceOf(room, name));
  const wanted: Wanted = { size, wish, amounts: amountsOf(size, wish), cpus: cpusOf(size, wish), devices };
  const busy = devices.find(({ state }) => state !== "free");
  if (busy !== undefined) throw noDevice(wanted, busy, `is ${busy.state}`);
  const candidates = room.cells.filter(({ id }) => wish.cell === undefined || id === wish.cell);
  const isStrict = wish.cellPolicy === "strict";
  const wantsOne = isStrict || wish.dedicatedCpus || wish.pageSizeBytes !== PLAIN_PAGE_BYTES;
  const one = wantsOne ? candidates.find((cell) => fits(cell, wanted)) : undefined;
  if (one !== undefined) return placed(wanted, [one], room, true);
  const all = sum(candidates);
  const short = resourceNames.find((name) => wanted.amounts[name] > 0 && wanted.amounts[name] > all[name]);
  if (short !== undefined) throw noCapacity(wanted, candidates, short, all);
  if (!isStrict) return placed(wanted, candidates, room, false);
  const least = leastShort(candidates, wanted);
  if (least === undefined) throw noDevice(wanted, devices[0], "is not on a cell that has the rest");
  throw noCapacity(wanted, candidates, least.name, least.cell.free);
}

/** What a VM takes of each resource, QEMU's own share included. */
function amountsOf(size: VmSize, wish: PlacementWish): Amounts {
  const huge = wish.pageSizeBytes === PLAIN_PAGE_BYTES ? {} : { hugepageBytes: wish.pageSizeBytes };
  const { resource, amount } = memoryOf({ ...size, ...huge });
  const amounts = {
    cpu: 0,
    cpu_dedicated: 0,
    memory: qemuOverheadBytes({ ...size, ...huge }),
    memory_2m: 0,
    memory_1g: 0,
  };
  amounts[resource] += amount;
  amounts[wish.dedicatedCpus ? "cpu_dedicated" : "cpu"] += cpusOf(size, wish);
  return amounts;
}

const cpusOf = ({ vcpus }: VmSize, { dedicatedCpus, isolatedEmulator }: PlacementWish): number =>
  vcpus + (dedicatedCpus && isolatedEmulator ? 1 : 0);

function fits(cell: CellRoom, { amounts, wish, cpus, devices }: Wanted): boolean {
  return (
    resourceNames.every((name) => amounts[name] === 0 || amounts[name] <= cell.free[name]) &&
    (!wish.dedicatedCpus || pickCpus(cell.cores, cpus) !== undefined) &&
    (wish.cellPolicy === "any" || devices.every((device) => (device.cell ?? cell.id) === cell.id))
  );
}

function placed(
  { size, wish, cpus }: Wanted,
  cells: readonly CellRoom[],
  room: Room,
  bound: boolean,
): Placement {
  const shared = cells.flatMap(({ sharedCpus }) => sharedCpus);
  const picked = wish.dedicatedCpus
    ? pickCpus(
        cells.flatMap(({ cores }) => cores),
        cpus,
      )
    : [];
  if (picked === undefined) throw new Error("fewer dedicated CPUs are free than the ledger counts");
  const vcpuCpus = picked.slice(0, size.vcpus);
  const own = picked.slice(size.vcpus);
  const others = shared.length > 0 ? shared : room.cells.flatMap(({ sharedCpus }) => sharedCpus);
  const confined = bound || room.hasDedicated;
  return {
    cells: bound ? cells.map(({ id }) => id) : [],
    strict: wish.cellPolicy === "strict",
    vcpuCpus,
    sharedCpus: !wish.dedicatedCpus && confined ? shared : [],
    // Without a CPU of their own QEMU's threads run where others share, so that the vCPUs are alone on theirs.
    emulatorCpus: wish.dedicatedCpus ? (own.length > 0 ? own : others) : [],
    ...(wish.pageSizeBytes === PLAIN_PAGE_BYTES ? {} : { hugepageBytes: wish.pageSizeBytes }),
    devices: wish.devices.map((name) => deviceOf(room, name).address),
  };
}

function deviceOf({ devices }: Room, name: string): DeviceCapacity {
  const found = devices.find(({ address, alias }) => address === name || alias === name);
  if (found !== undefined) return found;
  throw new SocleError("invalid", "NO_SUCH_DEVICE", `this host has no device ${name} to give to a VM`);
}

function sum(cells: readonly CellRoom[]): Amounts {
  const free = { cpu: 0, cpu_dedicated: 0, memory: 0, memory_2m: 0, memory_1g: 0 };
  for (const cell of cells) for (const name of resourceNames) free[name] += cell.free[name];
  return free;
}

/** The cell that is short of the fewest resources, and the first of these. */
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
  { amounts, wish }: Wanted,
  cells: readonly CellRoom[],
  short: ResourceName,
  free: Amounts,
): SocleError {
  const where = wish.cell === undefined ? "" : ` on cell ${wish.cell}`;
  const inOne = wish.cellPolicy === "strict" && wish.cell === undefined ? " on any one cell" : "";
  const withShare = short === "memory" ? " (QEMU's own share included)" : "";
  const text =
    `not enough ${short}${where}${inOne}: ${amounts[short]} wanted${withShare}, ${free[short]} available; ` +
    `choose another host, or a smaller VM`;
  const metadata = {
    dimension: short,
    wanted: String(amounts[short]),
    cells: wish.cell === undefined ? "" : cells.map(({ id }) => id).join(","),
    ...Object.fromEntries(resourceNames.map((name) => [`free_${name}`, String(free[name])])),
  };
  return new SocleError("exhausted", "NO_CAPACITY", text, { details: { metadata } });
}

function noDevice({ wish }: Wanted, device: DeviceCapacity | undefined, why: string): SocleError {
  const address = device?.address ?? "";
  const metadata = {
    dimension: "device",
    wanted: address,
    cells: wish.cell === undefined ? "" : String(wish.cell),
  };
  const text = `device ${address} ${why}; choose another device, or another host`;
  return new SocleError("exhausted", "NO_CAPACITY", text, { details: { metadata } });
}
