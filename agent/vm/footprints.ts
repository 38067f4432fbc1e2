import type { Service } from "../kernel/service.ts";
import type { VmTable } from "./vm-table.ts";
import type { Vm } from "./vm.ts";
import { isActive } from "./domains.ts";

/** What a VM takes of its host. */
export interface VmFootprint {
  readonly id: string;
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

interface Known {
  readonly etag: string;
  readonly footprint: VmFootprint;
}

/**
 * Tells the ledger what all VMs take, once after any number of changes that come together. The footprint of a VM that
 * did not change is the same object every time.
 */
export function footprintFeed(
  table: VmTable,
  take: (footprints: readonly VmFootprint[], complete: boolean) => void,
): Service {
  return {
    name: "footprints",
    async run(signal, ready) {
      const changes = table.subscribe(signal);
      let known: ReadonlyMap<string, Known> = new Map<string, Known>();
      const tell = (): void => {
        const seen = new Map<string, Known>();
        for (const vm of table.all()) {
          const before = known.get(vm.id);
          const isSame = before?.etag === vm.etag && before.footprint.active === isActive(vm);
          seen.set(vm.id, isSame ? before : { etag: vm.etag, footprint: footprintOf(vm) });
        }
        known = seen;
        take(
          [...seen.values()].map(({ footprint }) => footprint),
          table.complete,
        );
      };
      tell();
      ready();
      let isTold = true;
      for await (const _change of changes) {
        if (!isTold) continue;
        isTold = false;
        setImmediate(() => {
          isTold = true;
          tell();
        });
      }
    },
  };
}

function footprintOf(vm: Vm): VmFootprint {
  const { id, vcpus, memoryBytes, cells, hugepageBytes, vcpuPins, emulatorPin, devices } = vm;
  return {
    id,
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
