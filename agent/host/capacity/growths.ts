import { SocleError } from "../../kernel/errors.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";
import type { Footprint, Growth, SizeTarget } from "../../state/reservations/footprint.ts";
import type { CellCapacity } from "./capacity.ts";
import type { CpuPools } from "./cpu-pools.ts";
import { demandOf, type Demand, type DemandPart } from "./demand.ts";
import { DemandTotals } from "./demand-totals.ts";
import { noUse, type TenantUsage } from "./tenant-quotas.ts";

type FootprintOf = (id: string) => Footprint | undefined;

interface Held extends Omit<Growth, "volumes"> {
  /** On the monotonic clock: the change was, or may have been, made. */
  readonly madeAtMs?: number;
  /** As it was then. */
  readonly footprint?: Footprint | undefined;
}

/** A change that was made is counted until the VM's footprint shows it, at most this long after the VM was read again. */
const UNSEEN_MS = 60_000;

/** What changes of VMs claim beyond the VMs' footprints: of their sizes and devices, and of their tenants' quotas. */
export class Growths {
  readonly #held = new Map<string, Held>();

  take(holder: string, { tenant, diskBytes, size }: Growth): void {
    this.#held.set(holder, size === undefined ? { tenant, diskBytes } : { tenant, diskBytes, size });
  }

  release(holder: string): void {
    this.#held.delete(holder);
  }

  made(holder: string, nowMs: number, footprintOf: FootprintOf): void {
    const held = this.#held.get(holder);
    const footprint = held?.size && footprintOf(held.size.id);
    if (held?.size === undefined || (footprint !== undefined && isShown(held.size, footprint)))
      this.#held.delete(holder);
    else this.#held.set(holder, { ...held, diskBytes: 0, madeAtMs: nowMs, footprint });
  }

  /** Drops the growths that the footprints show. Returns whether there were any. */
  seen(footprintOf: FootprintOf, nowMs: number): boolean {
    const count = this.#held.size;
    for (const [holder, { size, madeAtMs, footprint: before }] of this.#held) {
      if (size === undefined || madeAtMs === undefined) continue;
      const now = footprintOf(size.id);
      // A guest that hangs is not read again, and may have the devices.
      const isRead = size.devices === undefined || now !== before;
      const isOver = isRead && nowMs - madeAtMs >= UNSEEN_MS;
      if (now === undefined || isShown(size, now) || isOver) this.#held.delete(holder);
    }
    return this.#held.size < count;
  }

  /** With the id of the VM that holds each. */
  demands(footprintOf: FootprintOf, pools: CpuPools): { readonly holder: string; readonly demand: Demand }[] {
    return [...this.#held.values()].flatMap(({ size }) => {
      if (size === undefined) return [];
      const { id: holder, devices = [] } = size;
      const footprint = footprintOf(holder);
      const parts = footprint === undefined ? [] : growthOf(footprint, size, pools);
      return [{ holder, demand: { parts, ownCpus: [], usedCpus: [], devices } }];
    });
  }

  uses(footprintOf: FootprintOf): (TenantUsage & { readonly tenant: string })[] {
    return [...this.#held.values()].map((held) => ({
      ...useOfGrowth(held, footprintOf),
      tenant: held.tenant,
    }));
  }
}

/** What a growth adds to the use of its VM's tenant. */
export function useOfGrowth(
  { diskBytes, size }: Pick<Growth, "diskBytes" | "size">,
  footprintOf: FootprintOf,
): TenantUsage {
  const now = size && footprintOf(size.id);
  if (size === undefined || now === undefined) return { ...noUse, diskBytes };
  const { vcpus, memoryBytes } = grown(now, size);
  return { ...noUse, diskBytes, vcpus: vcpus - now.vcpus, memoryBytes: memoryBytes - now.memoryBytes };
}

const isGreater = ({ vcpus = 0, memoryBytes = 0 }: SizeTarget, now: Footprint): boolean =>
  vcpus > now.vcpus || memoryBytes > now.memoryBytes;

const isShown = (size: SizeTarget, now: Footprint): boolean =>
  !isGreater(size, now) && (size.devices ?? []).every((address) => now.devices?.includes(address) === true);

const grown = (now: Footprint, { vcpus = 0, memoryBytes = 0 }: SizeTarget): Footprint => {
  const more = Math.max(0, vcpus - now.vcpus);
  // A vCPU that is added runs where the others do.
  const [pin] = now.vcpuPins ?? [];
  const vcpuPins =
    pin === undefined || now.vcpuPins?.length !== now.vcpus
      ? now.vcpuPins
      : [...now.vcpuPins, ...Array.from({ length: more }, () => pin)];
  return {
    ...now,
    vcpus: now.vcpus + more,
    memoryBytes: Math.max(memoryBytes, now.memoryBytes),
    ...(vcpuPins === undefined ? {} : { vcpuPins }),
  };
};

/** What a VM takes more than now. */
export function growthOf(now: Footprint, target: SizeTarget, pools: CpuPools): DemandPart[] {
  if (!isGreater(target, now)) return [];
  const totals = new DemandTotals([demandOf(grown(now, target), pools)]);
  totals.remove(demandOf(now, pools));
  return [...totals.parts];
}

/** Throws `exhausted` NO_CAPACITY (`metadata.dimension` is short, `free_*` is available) unless the cells have the growth. */
export function requireRoom(parts: readonly DemandPart[], capacity: readonly CellCapacity[]): void {
  for (const { resource, amount, cells } of parts) {
    const bound = capacity.filter(({ id }) => cells.includes(id));
    const rows = (bound.length === 0 ? capacity : bound).flatMap(({ resources }) => resources);
    const free = rows
      .filter((row) => row.resource === resource)
      .reduce((sum, { available = 0 }) => sum + available, 0);
    if (amount <= free) continue;
    const inWords = (count: number): string =>
      resource === "cpu" ? String(count) : formatExactBytes(Math.max(0, count));
    const where = bound.length === 0 ? "" : ` on cell ${bound.map(({ id }) => id).join(",")}`;
    const message =
      `not enough ${resource}${where}: ${inWords(amount)} more wanted (QEMU's own share included), ${inWords(free)} ` +
      "available; ask for less, or move the VM to another host";
    const metadata = {
      dimension: resource,
      wanted: String(amount),
      cells: cells.join(","),
      [`free_${resource}`]: String(free),
    };
    throw new SocleError("exhausted", "NO_CAPACITY", message, { details: { metadata } });
  }
}
