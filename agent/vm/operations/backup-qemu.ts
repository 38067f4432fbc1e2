import { ownFacts } from "../model/own-facts.ts";
import type { OpenBackup } from "../model/backups.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Vm } from "../model/vm.ts";
import type { VmDomain } from "../model/vm-domain.ts";
import { endQemu } from "./end-qemu.ts";
import { rewriteKept } from "./spec-change.ts";
import type { WorkContext, WorkRun } from "./work.ts";

type Looks = Pick<WorkContext, "domains">;

const openOf = async ({ domains }: Looks, vmId: string): Promise<OpenBackup | undefined> =>
  ownFacts(await domains.stamps.facts(vmId), vmId).backups?.open;

/** Whether the VM has a QEMU for its backup alone, whose guest has not run. */
export const isForBackup = async (context: Looks, vmId: string): Promise<boolean> =>
  (await openOf(context, vmId))?.off === true;

/** The same, as the table shows it. */
export const isSeenForBackup = (vm: Pick<Vm, "state" | "backups"> | undefined): boolean =>
  vm?.state === "paused" && vm.backups?.open?.off === true;

/**
 * The VM's guest runs: the QEMU that it got for its backup stays when the backup ends, and a guest that the backup starves from now
 * on goes on then.
 */
export async function keepQemu(context: WorkContext, vmId: string): Promise<void> {
  if (context.table.get(vmId)?.backups?.open === undefined) return;
  const now = await openOf(context, vmId);
  if (now?.off !== true && now?.wasPaused !== true) return;
  await rewriteKept(context, vmId, (kept) => {
    const { off: _off, outdated: _outdated, wasPaused: _wasPaused, ...open } = kept.backups.open ?? {};
    return "id" in open ? { ...kept, backups: { ...kept.backups, open } } : kept;
  });
}

/**
 * Ends the QEMU that a VM got for its backup, which loses the backup and no guest. False: it has none, or a guest runs in it.
 * `onlyOutdated`: unless a start in it would give the guest what its definition has now.
 */
export async function endBackupQemu(
  context: WorkContext,
  { vmId, step }: Pick<WorkRun, "vmId" | "step">,
  onlyOutdated = false,
): Promise<boolean> {
  const vm = context.table.get(vmId);
  if (vm?.backups?.open === undefined || (await context.domains.state(vmId))?.state !== "paused")
    return false;
  const open = await openOf(context, vmId);
  if (open?.off !== true || (onlyOutdated && open.outdated !== true)) return false;
  context.log.warn({ vm: vmId, name: vm.name, backup: open.id }, "the QEMU of a backup is ended");
  await step("stop paused", () => endQemu(context, vmId), 0.1);
  return !isActive(await context.domains.state(vmId));
}

/** The guest that runs: none does in the QEMU of a backup. */
export async function runningGuest(context: Looks, vmId: string): Promise<VmDomain | undefined> {
  const { domains } = context;
  if ((await domains.state(vmId))?.state === "paused" && (await isForBackup(context, vmId))) return undefined;
  return await domains.sizes.running(vmId);
}

/** Before the definition of a VM changes: a start does not use the QEMU of its backup any more. */
export async function outdateQemu(context: WorkContext, vmId: string): Promise<void> {
  if (context.table.get(vmId)?.backups?.open === undefined || !(await isForBackup(context, vmId))) return;
  await rewriteKept(context, vmId, (kept) => {
    const { open } = kept.backups;
    return open === undefined
      ? kept
      : { ...kept, backups: { ...kept.backups, open: { ...open, outdated: true } } };
  });
}
