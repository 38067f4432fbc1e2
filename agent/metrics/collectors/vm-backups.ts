import { collector } from "../collector.ts";
import { counter, gauge } from "../family.ts";

export const vmBackups = collector(
  "vm_backups",
  {
    open: gauge("socle_backup_open", "1 while a backup of a managed VM is open, else 0.", ["vm"]),
    complete: gauge(
      "socle_backup_last_complete_timestamp_seconds",
      "Instant of the newest backup of a managed VM that its reader has whole; absent without one.",
      ["vm"],
    ),
    abandoned: counter(
      "socle_backup_abandoned_total",
      "Open backups that the agent ended, since its start: without a reader, without room, or without their QEMU.",
    ),
    read: counter(
      "socle_backup_read_bytes_total",
      "Bytes of disks that the agent sent to readers of backups, zeros left out, since its start; without reads by NBD.",
    ),
  },
  function* ({ vms, backups }, emit) {
    for (const { id, managed, backups: own } of vms.all()) {
      if (!managed) continue;
      emit.open(own?.open === undefined ? 0 : 1, id);
      if (own?.whole !== undefined) emit.complete(own.whole.createdAtMs / 1000, id);
      yield;
    }
    const { abandoned, bytesRead } = backups();
    emit.abandoned(abandoned);
    emit.read(bytesRead);
    return vms.observedAtMs;
  },
);
