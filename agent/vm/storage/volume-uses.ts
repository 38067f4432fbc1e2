import { Slice } from "../../kernel/concurrency/slice.ts";
import type { Vm } from "../model/vm.ts";
import { placesOf, type Place } from "./volume-users.ts";

export interface VolumeUse extends Pick<Place, "role" | "writes"> {
  readonly vm: Vm;
}

/** The known uses of storage, by `volumeKey` and by path: from the specs of VMs, and the disks that libvirt reported. */
export async function volumeUses(
  vms: readonly Vm[],
  slice: Slice = new Slice(),
): Promise<ReadonlyMap<string, readonly VolumeUse[]>> {
  const uses = new Map<string, VolumeUse[]>();
  for (const vm of vms) {
    for (const { at, role, writes } of placesOf(vm)) {
      const use = { vm, role, writes };
      const known = uses.get(at);
      if (known === undefined) uses.set(at, [use]);
      else known.push(use);
    }
    if (slice.over) await slice.rest();
  }
  return uses;
}
