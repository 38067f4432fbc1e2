import { ownFacts } from "../model/own-facts.ts";
import { rewriteKept } from "./spec-change.ts";
import type { WorkContext } from "./work.ts";

/** Whether the VM has a QEMU for its backup alone, whose guest has not run. */
export async function isForBackup({ domains }: Pick<WorkContext, "domains">, vmId: string): Promise<boolean> {
  return ownFacts(await domains.stamps.facts(vmId), vmId).backups?.open?.off === true;
}

/** The VM's guest runs in the QEMU that it got for its backup: it stays when the backup ends. */
export async function keepQemu(context: WorkContext, vmId: string): Promise<void> {
  if (context.table.get(vmId)?.backups?.open === undefined || !(await isForBackup(context, vmId))) return;
  await rewriteKept(context, vmId, (kept) => {
    const { off: _off, ...open } = kept.backups.open ?? {};
    return "id" in open ? { ...kept, backups: { ...kept.backups, open } } : kept;
  });
}
