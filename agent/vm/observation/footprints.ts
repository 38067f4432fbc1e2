import { defined } from "../../kernel/defined.ts";
import { shallowEqual } from "../../kernel/shallow-equal.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Footprint } from "../../state/reservations/footprint.ts";
import type { VmTable } from "./vm-table.ts";
import type { Vm } from "../model/vm.ts";
import { isActive } from "../hypervisor/domains.ts";
import { newDiskBytes } from "../model/volume-names.ts";
import { hasNoSpec } from "../model/unreadable.ts";

/**
 * Reports the footprints of all VMs to the ledger, once for any number of changes in one turn, and after each sampling
 * round: the ledger may wait for a round without changes. An unchanged VM keeps the same footprint object, and an
 * unchanged set of VMs the same list.
 */
export function footprintFeed(
  table: VmTable,
  take: (footprints: readonly Footprint[], complete: boolean) => void,
): Service {
  return {
    name: "footprints",
    async run(signal, ready) {
      const changes = table.subscribe(signal);
      const rounds = table.rounds(signal);
      let known: ReadonlyMap<string, Footprint> = new Map<string, Footprint>();
      let footprints: readonly Footprint[] = [];
      let isPublished = true;
      const publish = (): void => {
        isPublished = true;
        footprints = table.all().map((vm) => {
          const before = known.get(vm.id);
          const now = footprintOf(vm, before);
          // Lists are compared by identity: a VM keeps its lists until it is read again.
          return before !== undefined && shallowEqual(before, now) ? before : now;
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

/** The most of what the VM has and what was asked for, which its next start takes, unless it continues from what was saved. */
function footprintOf(vm: Vm, before: Footprint | undefined): Footprint {
  const { id, spec, accelerator, cells, hugepageBytes, vcpuPins, emulatorPin, devices } = vm;
  return defined({
    id,
    ...quotaFacts(vm, before),
    vcpus: Math.max(vm.vcpus, spec?.vcpus ?? 0),
    memoryBytes: Math.max(vm.memoryBytes, spec?.memoryBytes ?? 0, vm.savedMemoryBytes ?? 0),
    accelerator,
    cells,
    hugepageBytes,
    vcpuPins,
    emulatorPin,
    devices,
    active: isActive(vm),
  });
}

/** An unreadable spec does not release its tenant's quota: the last readable values still count. */
function quotaFacts(vm: Vm, before: Footprint | undefined): Pick<Footprint, "tenant" | "diskBytes"> {
  if (!hasNoSpec(vm))
    return {
      tenant: vm.managed ? vm.tenant : "",
      diskBytes:
        vm.spec === undefined
          ? 0
          : newDiskBytes({ ...vm.spec, snapshots: vm.snapshots, rescue: vm.rescue, seed: vm.seed }),
    };
  const { tenant = "", diskBytes = 0 } = before ?? {};
  return { tenant: tenant === "" ? (vm.claimedTenant ?? "") : tenant, diskBytes };
}
