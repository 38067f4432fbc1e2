import { libvirtStartPaused } from "../hypervisor/domains.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { checkVolumes, restoreKeys } from "./start.ts";
import { isUndecided, mayHaveBegun, type WorkContext, type WorkRun } from "./work.ts";

const START = "start paused";
/** A guest that stops meanwhile takes its QEMU with it. */
const MOST_STARTS = 3;

/**
 * Runs work that needs the QEMU of a VM. A VM that is off gets one whose guest is paused and executes nothing; it ends
 * afterwards. If the guest stops during the work, the work runs again: it must be safe to repeat.
 */
export async function withQemu(
  context: WorkContext,
  run: WorkRun,
  spec: VmSpec,
  work: () => Promise<void>,
): Promise<void> {
  const { domains } = context;
  const { vmId, step } = run;
  const isOff = async (): Promise<boolean> => !isActive(await domains.state(vmId));
  let isOurs = mayHaveBegun(run, START);
  for (let starts = 1; ; starts += 1) {
    if (await isOff()) {
      isOurs = true;
      await step(START, () => startPaused(context, vmId, spec), 0.05);
    }
    try {
      await work();
      break;
    } catch (thrown) {
      const error = toSocleError(thrown);
      // The next run of the operation continues with this QEMU.
      if (isUndecided(error, run)) throw error;
      if (error.kind === "conflict" && (await isOff()) && starts < MOST_STARTS) continue;
      if (isOurs) await end(context, vmId);
      throw error;
    }
  }
  if (isOurs) await step("stop paused", () => end(context, vmId), 0.05);
}

/** A person may have resumed it, and then it is a guest that runs. */
async function end({ domains }: WorkContext, vmId: string): Promise<void> {
  if ((await domains.state(vmId))?.state === "paused") await domains.destroy(vmId);
}

async function startPaused(context: WorkContext, vmId: string, spec: VmSpec): Promise<void> {
  const { domains, table, volumes } = context;
  const vm = table.get(vmId);
  if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
  await checkVolumes(context, spec, vm?.snapshots);
  await restoreKeys(context, spec);
  await domains.start(vmId, undefined, { flags: libvirtStartPaused });
}
