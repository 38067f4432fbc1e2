import type { Service } from "../../kernel/lifecycle/service.ts";
import type { VmTable } from "./vm-table.ts";
import type { Vm } from "../model/vm.ts";
import { isActive } from "../hypervisor/domains.ts";
import { newDiskBytes } from "../model/volume-names.ts";
import { hasNoSpec } from "../model/unreadable.ts";

/** The host resources that a VM uses. */
export interface VmFootprint {
  readonly id: string;
  /** Tenant of a VM that Socle made; empty: no tenant. An unreadable VM counts for the tenant that it had, or claims. */
  readonly tenant: string;
  /** Capacity of the disks made for the VM. */
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
 * Reports the footprints of all VMs to the ledger, once for any number of changes in one turn, and after each sampling
 * round: the ledger may wait for a round without changes. An unchanged VM keeps the same footprint object, and an
 * unchanged set of VMs the same list.
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
      let isPublished = true;
      const publish = (): void => {
        isPublished = true;
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
          if (!isPublished) continue;
          isPublished = false;
          setImmediate(publish);
        }
      };
      const followRounds = async (): Promise<void> => {
        for await (const _ of rounds) if (isPublished) take(footprints, table.complete);
      };
      publish();
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

/** Lists are compared by identity: a VM keeps its lists until it is read again. */
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

/** An unreadable spec does not release its tenant's quota: the last readable values still count. */
function quotaFacts(vm: Vm, before: VmFootprint | undefined): Pick<VmFootprint, "tenant" | "diskBytes"> {
  if (!hasNoSpec(vm))
    return {
      tenant: vm.managed ? vm.tenant : "",
      diskBytes: vm.spec === undefined ? 0 : newDiskBytes(vm.spec),
    };
  const tenant = before === undefined || before.tenant === "" ? vm.claimedTenant : before.tenant;
  return { tenant: tenant ?? "", diskBytes: before?.diskBytes ?? 0 };
}
