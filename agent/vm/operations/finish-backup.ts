import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { findBackup } from "../model/backups.ts";
import { decided, endBackup } from "./backup-end.ts";
import { noBackup } from "./backup-refusals.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { beginChange, readSpec, rewriteKept, seenWithBackups } from "./spec-change.ts";
import { isUndecided } from "./work.ts";

const DECIDE = "decide";

const intent = z.object({ id: z.string(), success: z.boolean() });

interface FinishBackupRequest {
  readonly backupId: string;
  /** The reader has it whole. */
  readonly success: boolean;
}

/** Ends the open backup of a VM. With success it is the base of the next one; without, the base stays as it was. */
export const finishBackup = defineOperation({
  kind: "FINISH_BACKUP",
  intent,
  lane: "command",
  urgent: true,
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` BACKUP_NOT_FOUND. */
  admit({ backupId: id, success }: FinishBackupRequest, vm) {
    if (findBackup(vm.backups, id) === undefined) throw noBackup(vm.name, id);
    return { id, success };
  },
  async run(context, { id, success }, run) {
    const { domains, log } = context;
    const { vmId, step } = run;
    const { name } = (await beginChange(context, run, { of: "metadata" })).spec;
    let { backups } = await readSpec(context, vmId);
    const { open } = backups;
    if (open?.id !== id) {
      if (success && backups.whole?.id !== id) throw noBackup(name, id);
      return { backup_id: id, success: String(backups.whole?.id === id) };
    }
    // Ended without success meanwhile, or never opened.
    if (success && open.phase !== "open" && backups.whole?.id !== id) throw lost(name, id);
    // A QEMU that hangs would leave the end unknown, which holds every other operation of the VM.
    if (isActive(await domains.state(vmId))) await domains.devices.requireResponsive(vmId);
    if (open.phase !== "ending") {
      if (success && !(await domains.backups.isOpen(vmId, id))) throw lost(name, id);
      await step(DECIDE, () =>
        rewriteKept(context, vmId, (kept) => ({ ...kept, backups: decided(kept.backups, open, success) })),
      );
    }
    // Only the rest is left, which cannot be undone.
    step.goOn();
    const end = await endBackup(context, vmId, step).catch(async (thrown: unknown) => {
      const error = toSocleError(thrown);
      if (!success || isUndecided(error, run)) throw error;
      // It is whole. The watch of backups ends the rest.
      log.warn({ vm: vmId, backup: id, err: error }, "what a whole backup left could not be removed yet");
      return { backups: (await readSpec(context, vmId)).backups, resumed: false };
    });
    backups = end.backups;
    await stampComplete(context, run, isActive(await domains.state(vmId)));
    await seenWithBackups(context, vmId, backups);
    return {
      backup_id: id,
      success: String(backups.whole?.id === id),
      ...(end.resumed ? { resumed: "true" } : {}),
    };
  },
});

const lost = (vm: string, id: string): SocleError =>
  new SocleError(
    "conflict",
    "BACKUP_ABANDONED",
    `backup ${id} of VM ${vm} has lost its QEMU, and what was read of it is not known to be whole: begin another`,
    { details: { metadata: { backup_id: id } } },
  );
