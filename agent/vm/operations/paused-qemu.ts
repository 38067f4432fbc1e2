import { libvirtStartPaused } from "../hypervisor/domains.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { endQemu } from "./end-qemu.ts";
import { checkVolumes, restoreKeys } from "./start.ts";
import { isUndecided, mayHaveBegun, outcomeUnknown, type WorkContext, type WorkRun } from "./work.ts";

const START = "start paused";
/** Durable before the start, whose begin is recorded lazily: otherwise the QEMU could stay after a crash of the agent. */
const OFF = "note that it is off";
/** The VM was off when the operation needed its QEMU, so its QEMU ran no guest. */
export const foundOff = ({ steps }: Pick<Operation, "steps">): boolean =>
  steps.some(({ name }) => name === OFF);
/** Whether an earlier run of the operation may have started a QEMU for it. */
export const hasOwnQemu = (run: WorkRun): boolean => mayHaveBegun(run, OFF);
/** Whether an earlier run of the operation has left the QEMU that it may have started. */
export const hasLeftQemu = async ({ domains }: WorkContext, run: WorkRun): Promise<boolean> =>
  hasOwnQemu(run) && isActive(await domains.state(run.vmId));
/** A guest that stops meanwhile takes its QEMU with it. */
const MOST_STARTS = 3;

/**
 * Runs work that needs the QEMU of a VM. A VM that is off gets one whose guest is paused and executes nothing; it ends
 * afterwards. If the guest stops during the work, the work runs again: it must be safe to repeat. `isOurs`: the QEMU was
 * started for it. `beforeStart` may refuse that.
 */
export async function withQemu(
  context: WorkContext,
  run: WorkRun,
  spec: VmSpec,
  work: (isOurs: boolean) => Promise<void>,
  beforeStart: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const { domains } = context;
  const { vmId, step } = run;
  const isOff = async (): Promise<boolean> => !isActive(await domains.state(vmId));
  let isOurs = hasOwnQemu(run);
  for (let starts = 1; ; starts += 1) {
    try {
      if (await isOff()) {
        await beforeStart();
        if (!isOurs) await requireNotRestarting(context, spec);
        isOurs = true;
        await startQemu(context, run, spec);
      }
      await work(isOurs);
      break;
    } catch (thrown) {
      const error = toSocleError(thrown);
      // The next run of the operation continues, and ends a QEMU of this one.
      if (isUndecided(error, run) || isOfLibvirt(error, isOurs)) throw outcomeUnknown(error);
      // The guest, or libvirt during the start, has ended it.
      const isLost = error.kind === "conflict" || error.reason === "EFFECT_NOT_OBSERVED";
      if (isLost && starts < MOST_STARTS && (await isOff())) continue;
      if (isOurs) await endQemu(context, vmId);
      throw error;
    }
  }
  if (isOurs) await step("stop paused", () => endQemu(context, vmId), 0.05);
}

/** Starts the QEMU of a VM that is off, with its guest paused. */
export async function startQemu(context: WorkContext, { vmId, step }: WorkRun, spec: VmSpec): Promise<void> {
  await step.durable(OFF, () => Promise.resolve(), 0);
  await step(START, () => startPaused(context, vmId, spec), 0.05);
}

/** A running guest whose QEMU does not answer is not held by an operation without an end: it can be stopped. */
const isOfLibvirt = ({ kind, reason }: SocleError, isOurs: boolean): boolean =>
  reason.startsWith("LIBVIRT_") && (kind === "unavailable" || (kind === "timeout" && isOurs));

/** The crash policy takes the paused QEMU for the guest, and would leave the VM off. */
export async function requireNotRestarting(
  { domains }: WorkContext,
  { id, name, crashPolicy }: VmSpec,
): Promise<void> {
  if (crashPolicy !== "restart" || (await domains.state(id))?.stateReason !== "CRASHED") return;
  const message = `the guest of VM ${name} crashed, and its crash policy starts it again: repeat the request once it runs, or set its crash policy to stop first`;
  throw new SocleError("conflict", "VM_CRASHED", message);
}

async function startPaused(context: WorkContext, vmId: string, spec: VmSpec): Promise<void> {
  const { domains, table, volumes } = context;
  const vm = table.get(vmId);
  if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
  await checkVolumes(context, spec, vm?.snapshots);
  await restoreKeys(context, spec);
  await domains.start(vmId, undefined, { flags: libvirtStartPaused });
}
