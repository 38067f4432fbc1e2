import { ancestry } from "../../vm/model/snapshots.ts";
import { collector } from "../collector.ts";
import { gauge } from "../family.ts";

export const vmSnapshots = collector(
  "vm_snapshots",
  {
    count: gauge("socle_vm_snapshots", "Snapshots of a managed VM.", ["vm"]),
    depth: gauge(
      "socle_vm_snapshot_chain_length",
      "Snapshots that the VM's present disks are based on: a read may pass through as many layers.",
      ["vm"],
    ),
    memory: gauge(
      "socle_vm_snapshot_memory_bytes",
      "Files with the memory of a VM's snapshots on the host.",
      ["vm"],
    ),
    frozen: gauge("socle_vm_frozen", "1 while the file systems of the guest are frozen, or may be.", ["vm"]),
  },
  function* ({ vms, isFrozen }, emit) {
    for (const { id, managed, snapshots } of vms.all()) {
      if (!managed) continue;
      emit.count(snapshots?.snapshots.length ?? 0, id);
      emit.depth(snapshots === undefined ? 0 : ancestry(snapshots).length, id);
      emit.memory(
        (snapshots?.snapshots ?? []).reduce((sum, { memory }) => sum + (memory?.bytes ?? 0), 0),
        id,
      );
      emit.frozen(isFrozen(id) ? 1 : 0, id);
      yield;
    }
    return vms.observedAtMs;
  },
);
