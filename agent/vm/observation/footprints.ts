import type { Service } from "../../kernel/lifecycle/service.ts";
import type { VmTable } from "./vm-table.ts";
import type { Vm } from "../model/vm.ts";
import { isActive } from "../hypervisor/domains.ts";
import { newDiskBytes } from "../model/spec.ts";
import { hasNoSpec } from "../model/unreadable.ts";

/** What a VM takes of its host. */
export interface VmFootprint {
  readonly id: string;
  /** Of a VM that Socle made; empty: no tenant's. An unreadable VM counts for the tenant it had, or claims. */
  readonly tenant: string;
  /** Capacity of the disks that were made for it. */
  readonly diskBytes: number;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly cells: readonly number[];
  readonly hugepageBytes?: number;
  readonly vcpuPins?: readonly (readonly number[])[];
  readonly emulatorPin?: readonly number[];
  readonly devices?: readonly string[];
  readonly emulated: boolean;
  readonly active: boolean;
}

/**
 * Tells the ledger what all VMs take, once after any number of changes that come together, and after each sampling round:
 * what the ledger waits for may be that nothing changes. The footprint of a VM that did not change is the same object
 * every time, and where none changed so is the list.
 */
export function footprintFeed(
  table: VmTable,
  take: (footprints: readonly VmFootprint[], complete: boolean) => void,
): Service {
  return {
    name: "footprints",
    async run(signal, ready) {
      const changes = table.subscribe(signal);
      const rounds = table.rounds(signal);
      let known: ReadonlyMap<string, VmFootprint> = new Map<string, VmFootprint>();
      let footprints: readonly VmFootprint[] = [];
      let isTold = true;
      const tell = (): void => {
        isTold = true;
        footprints = table.all().map((vm) => {
          const before = known.get(vm.id);
          const now = footprintOf(vm, before);
          return before !== undefined && isSame(before, now) ? before : now;
        });
        known = new Map(footprints.map((footprint) => [footprint.id, footprint]));
        take(footprints, table.complete);
      };
      const followChanges = async (): Promise<void> => {
        for await (const _ of changes) {
          if (!isTold) continue;
          isTold = false;
          setImmediate(tell);
        }
      };
      const followRounds = async (): Promise<void> => {
        for await (const _ of rounds) if (isTold) take(footprints, table.complete);
      };
      tell();
      ready();
      await Promise.all([followChanges(), followRounds()]);
    },
  };
}

const every: Readonly<Record<keyof VmFootprint, true>> = {
  id: true,
  tenant: true,
  diskBytes: true,
  vcpus: true,
  memoryBytes: true,
  cells: true,
  hugepageBytes: true,
  vcpuPins: true,
  emulatorPin: true,
  devices: true,
  emulated: true,
  active: true,
};
const members = Object.keys(every) as (keyof VmFootprint)[];

/** Lists are the same when they are the very same: as long as a VM is not read anew. */
const isSame = (a: VmFootprint, b: VmFootprint): boolean =>
  members.every((member) => a[member] === b[member]);

function footprintOf(vm: Vm, before: VmFootprint | undefined): VmFootprint {
  const { id, vcpus, memoryBytes, cells, hugepageBytes, vcpuPins, emulatorPin, devices } = vm;
  return {
    id,
    ...quotaFacts(vm, before),
    vcpus,
    memoryBytes,
    cells,
    ...(hugepageBytes === undefined ? {} : { hugepageBytes }),
    ...(vcpuPins === undefined ? {} : { vcpuPins }),
    ...(emulatorPin === undefined ? {} : { emulatorPin }),
    ...(devices === undefined ? {} : { devices }),
    emulated: vm.accelerator === "tcg",
    active: isActive(vm),
  };
}

/** An unreadable spec does not release its tenant's quota: what was read of the VM before still counts. */
function quotaFacts(vm: Vm, before: VmFootprint | undefined): Pick<VmFootprint, "tenant" | "diskBytes"> {
  if (!hasNoSpec(vm))
    return {
      tenant: vm.managed ? vm.tenant : "",
      diskBytes: vm.spec === undefined ? 0 : newDiskBytes(vm.spec),
    };
  const tenant = before === undefined || before.tenant === "" ? vm.claimedTenant : before.tenant;
  return { tenant: tenant ?? "", diskBytes: before?.diskBytes ?? 0 };
}
