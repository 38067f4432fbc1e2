import type { Clock } from "../../../agent/kernel/clock.ts";
import type { Logger } from "../../../agent/kernel/log.ts";
import { BackupLeases } from "../../../agent/vm/operations/backup-leases.ts";
import { BackupReads } from "../../../agent/vm/operations/backup-reads.ts";

/** Reads of backups that exist only in the table of VMs. */
export function readsWithoutBackups({ clock, log }: { clock: Clock; log: Logger }): BackupReads {
  const backups = { leaseUntil: () => Promise.resolve(undefined), setLease: () => Promise.resolve() };
  return new BackupReads({
    leases: new BackupLeases({ backups, refusal: () => undefined, clock, log }),
    scratchUsed: new Map(),
    socketDirectory: "/nonexistent",
  });
}
