import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domains.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import { requireSuspendable } from "../model/tenant-policy.ts";
import type { Vm } from "../model/vm.ts";
import { defineOperation, type Result } from "./definition.ts";
import type { Cut } from "./stop-escalation.ts";
import { endOnForcedStop, stampComplete, stampRun } from "./guest-run.ts";
import { requireRecorded } from "./recorded.ts";
import { readSpec } from "./spec-change.ts";
import { known, requireNotRescued, requireState, settled } from "./vm-state.ts";
import { interrupted, seen, type WorkContext, type WorkRun } from "./work.ts";

type Seen = Awaited<ReturnType<WorkContext["domains"]["state"]>>;

/** Writes a VM's memory to the host's disk and stops the VM. A start continues from there. */
export const suspendVm = defineOperation({
  kind: "SUSPEND_VM",
  intent: z.object({}),
  lane: "heavy",
  notDuringBackup: "any",
  endState: "stopped",
  /**
   * Throws `conflict` SAVED_STATE_NOT_ENCRYPTED and VM_HAS_HOST_DEVICES, and for a tenant's caller `denied`
   * SUSPEND_NOT_ALLOWED.
   */
  admit(_request: object, vm, { byTenant, policy }) {
    if (byTenant) requireSuspendable(vm.tenant, policy.permissionsOf(vm.tenant));
    requireNoSecrets(vm);
    if ((vm.devices ?? []).length > 0) throw hasDevices(vm.name);
    return {};
  },
  run: (context, _intent, run) =>
    context.escalation.during(run.vmId, run.caller, (cut) => suspend(context, run, cut)),
});

async function suspend(context: WorkContext, run: WorkRun, cut: Cut): Promise<Result> {
  const { domains, table } = context;
  const { vmId, step, resumed } = run;
  const before = resumed ? await settled(context, vmId) : await known(context, vmId);
  if (resumed) {
    // libvirt goes on saving without its client.
    if (isSaving(await domains.state(vmId))) throw stillSaving();
    if ((await isSaved(context, vmId)) !== true) {
      await dropPart(context, vmId);
      throw interrupted(`the VM is ${before.state} and not saved; suspend it again if it should be`);
    }
  } else {
    requireState(before.state, ["running", "paused"], "suspended");
    // An operation before this one may have begun a rescue, whose memory would be restored in the place of the guest's, or attached
    // a device.
    const { spec, rescue, placement } = await readSpec(context, vmId);
    requireNotRescued({ name: spec.name, rescue });
    if (placement.devices.length > 0) throw hasDevices(spec.name);
    // The memory would be restored over the file that libvirt shows.
    await requireRecorded(context, vmId);
    await stampRun(context, run);
    if (cut.isWanted()) throw cutShort();
    // The guest may be stopped before a cancellation arrives.
    step.commit();
    const memoryBytes = table.get(vmId)?.memoryBytes ?? 0;
    const save = () => domains.savedStates.save(vmId, memoryBytes, () => isSaved(context, vmId));
    endOnForcedStop(context, vmId, cut, "the suspension");
    await step("save memory", save, 0.9).catch(async (thrown: unknown) => {
      if (toSocleError(thrown).kind === "outcome_unknown") throw thrown;
      await dropPart(context, vmId);
      throw cut.isWanted() ? cutShort(thrown) : thrown;
    });
  }
  await stampComplete(context, run, false);
  await seen(context, vmId, (vm) => vm?.savedState === true);
  return { state: "stopped", was: before.state };
}

/** Whether the VM is off with a whole image; undefined while libvirt saves it. */
async function isSaved({ domains }: WorkContext, vmId: string): Promise<boolean | undefined> {
  const now = await domains.state(vmId);
  if (isSaving(now)) return undefined;
  return now !== undefined && !isActive(now) && (await domains.savedStates.isWhole(vmId));
}

const isSaving = (now: Seen): boolean => now?.state === "paused" && now.stateReason === "SAVE";

/** A part of an image is of no use, and has the guest's data. The next start would drop it and boot. */
async function dropPart({ domains, log }: WorkContext, vmId: string): Promise<void> {
  try {
    if (await domains.savedStates.isWhole(vmId)) return;
    if (!isSaving(await domains.state(vmId))) await domains.savedStates.remove(vmId);
  } catch (thrown) {
    log.warn({ vm: vmId, err: toSocleError(thrown) }, "a part of a saved state could not be removed");
  }
}

function requireNoSecrets({ name, spec }: Vm): void {
  if (spec === undefined || (keyedParts(spec).length === 0 && spec.launchSecurity === undefined)) return;
  const what = spec.launchSecurity === undefined ? "encrypted disks or a TPM" : "encrypted memory";
  const message = `VM ${name} has ${what}, and its memory would be written to the host's disk in clear: pause or stop it instead`;
  throw new SocleError("conflict", "SAVED_STATE_NOT_ENCRYPTED", message);
}

const hasDevices = (vm: string): SocleError =>
  new SocleError(
    "conflict",
    "VM_HAS_HOST_DEVICES",
    `VM ${vm} has devices of the host, whose state cannot be saved: pause or stop it instead`,
  );

const cutShort = (cause?: unknown): SocleError =>
  new SocleError("conflict", "SUSPEND_CUT_SHORT", "a forced stop ended the VM before its memory was saved", {
    cause,
  });

const stillSaving = (): SocleError =>
  new SocleError("outcome_unknown", "EFFECT_UNDER_WAY", "libvirt is still saving the VM's memory");
