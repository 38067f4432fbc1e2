import { SocleError } from "../../kernel/errors.ts";
import type { Backups, OpenBackup } from "../model/backups.ts";
import type { OperationDefinition } from "./definition.ts";

type Rule = Pick<OperationDefinition<string, object, object>, "notDuringBackup">;

/** Throws `conflict` BACKUP_OPEN for an operation that cannot be while a backup of the VM is open. */
export function requireNoBackup(
  vm: string,
  backups: Backups | undefined,
  { notDuringBackup: rule }: Rule,
  intent: object,
): void {
  const open = backups?.open;
  if (rule === undefined || open === undefined) return;
  if (rule !== "any" && !open.disks.some(({ disk }) => disk === rule(intent).disk)) return;
  throw backupOpen(vm, open);
}

export function backupOpen(vm: string, { id }: Pick<OpenBackup, "id">): SocleError {
  const message = `backup ${id} of VM ${vm} is open: wait for its end, or end it without success (FinishBackup)`;
  return new SocleError("conflict", "BACKUP_OPEN", message, { details: { metadata: { backup_id: id } } });
}

export function noBackup(vm: string, id: string): SocleError {
  const message = `VM ${vm} has no backup ${id}: it was ended or abandoned, or a newer one is whole; list its backups, or begin another`;
  return new SocleError("not_found", "BACKUP_NOT_FOUND", message, {
    details: { fields: { backup_id: message } },
  });
}
