import type { Libvirt } from "../libvirt/index.ts";
import type { NewEvent } from "../state/events/event.ts";
import { isDone } from "../state/operations/operation.ts";
import type { Domains } from "../vm/hypervisor/domains.ts";
import type { VmTable } from "../vm/observation/vm-table.ts";
import { resumeStarved } from "../vm/operations/backup-end.ts";
import { BackupLeases } from "../vm/operations/backup-leases.ts";
import { BackupReads } from "../vm/operations/backup-reads.ts";
import { BackupWatch, type BackupWatchOptions } from "../vm/operations/backup-watch.ts";
import { AGENT } from "../vm/operations/own-starts.ts";
import type { Vms } from "../vm/operations/vms.ts";
import { VolumeRoom } from "../vm/storage/volume-room.ts";
import type { Basis } from "./basis.ts";
import type { State } from "./state.ts";

interface Parts {
  readonly libvirt: Libvirt;
  readonly domains: Domains;
  readonly table: VmTable;
  readonly vms: Vms;
  readonly publish: (event: NewEvent) => void;
}

/** Longer than any end of a backup takes while libvirt answers. */
const END_WITHIN_MS = 600_000;

/** The reads of open backups, and the watch that ends those without a reader. */
export function buildBackups(
  { config, clock, log }: Basis,
  { operations, audit }: State,
  { libvirt, domains, table, vms, publish }: Parts,
): { readonly backupReads: BackupReads; readonly backupWatch: BackupWatch } {
  const { backups } = domains;
  const volumes = new VolumeRoom(libvirt, log);
  const scratchUsed = new Map<string, number>();
  const leases = new BackupLeases({ backups, refusal: () => operations.refusal, clock, log });
  const abandon: BackupWatchOptions["abandon"] = async (vm, { id }, cause, signal) => {
    const requestId = `backup-${id}-${clock.now()}`;
    const about = {
      caller: { name: AGENT, role: AGENT },
      method: "/socle.v1.BackupService/FinishBackup",
      requestId,
      vm: vm.id,
      ...(vm.tenant === "" ? {} : { tenant: vm.tenant }),
    };
    await audit.record({ act: "call_admitted", ...about, details: { cause }, outcome: "allowed" });
    const begun = await vms.begin(
      "FINISH_BACKUP",
      { requestId, vm: vm.id, backupId: id, success: false },
      AGENT,
    );
    return isDone(begun) ? begun : await operations.wait(begun.id, END_WITHIN_MS, signal);
  };
  return {
    backupReads: new BackupReads({ leases, scratchUsed, socketDirectory: config.guest.socketDirectory }),
    backupWatch: new BackupWatch({
      table,
      operations,
      abandon,
      backups,
      resumeStarved: (vmId, backup) => resumeStarved({ domains }, vmId, backup),
      leases,
      volumes,
      scratchUsed,
      publish,
      clock,
      log,
    }),
  };
}
