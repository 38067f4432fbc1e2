import { invalidField, SocleError } from "../../kernel/errors.ts";
import { extraOf, hasSnapshots } from "../model/snapshots.ts";
import type { Vm } from "../model/vm.ts";
import { backupOpen } from "./backup-refusals.ts";
import { requireNotRescued } from "./vm-state.ts";

/**
 * Kept disks leave nothing that only the VM knows. Throws `conflict` VM_HAS_SNAPSHOTS, also for leftovers of a move, VM_RESCUED,
 * VM_HAS_OLD_SEEDS and BACKUP_OPEN.
 */
export function requireNothingBeside(vm: string, { snapshots, rescue, backups, seed }: OwnVolumes): void {
  if (hasSnapshots(snapshots) || extraOf(snapshots).length > 0) throw keptWithSnapshots(vm);
  requireNotRescued({ name: vm, rescue });
  if ((seed?.others.length ?? 0) > 0) throw keptWithSeeds(vm);
  if (backups?.open !== undefined) throw backupOpen(vm, backups.open);
}

type OwnVolumes = Pick<Vm, "snapshots" | "rescue" | "backups" | "seed">;

export const keptAndErased = (): SocleError =>
  invalidField("ERASED_DISKS_KEPT", "erase_disks", "must not be given with keep_disks");

function keptWithSnapshots(vm: string): SocleError {
  const message = `VM ${vm} has snapshots, so each of its disks is in several volumes that only the VM knows: delete the snapshots first (socle vm snapshot rm), or delete the disks too`;
  return new SocleError("conflict", "VM_HAS_SNAPSHOTS", message, {
    details: { fields: { keep_disks: message } },
  });
}

function keptWithSeeds(vm: string): SocleError {
  const message = `VM ${vm} has cloud-init seeds beside that of its next start, which only the VM knows: stop and start it, which deletes them, or delete the disks too`;
  return new SocleError("conflict", "VM_HAS_OLD_SEEDS", message, {
    details: { fields: { keep_disks: message } },
  });
}

export function keptWithoutKey(vm: string): SocleError {
  const message = `the encrypted disks of VM ${vm} cannot be kept: their keys go with it; delete them too`;
  return new SocleError("invalid", "ENCRYPTED_DISKS_KEPT", message, {
    details: { fields: { keep_disks: message } },
  });
}
