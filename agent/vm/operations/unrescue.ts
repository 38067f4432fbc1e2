import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { endRescue, isRescued } from "./rescue-note.ts";
import { startAgain } from "./revert-snapshot.ts";
import { readSpec } from "./spec-change.ts";
import { graceOf, stopVm } from "./stop.ts";
import { requireNotSavedNow, settled } from "./vm-state.ts";
import { seen } from "./work.ts";

const intent = z.object({ force: z.boolean(), gracefulTimeoutMs: z.number() });

interface UnrescueRequest {
  /** The rescue system is powered off if it does not shut down in time. */
  readonly force: boolean;
  readonly gracefulTimeoutMs?: number | undefined;
}

/** Ends a VM's rescue system, starts the VM's own if that ran before, and deletes the rescue system's volume. */
export const unrescueVm = defineOperation({
  kind: "UNRESCUE_VM",
  intent,
  // A graceful stop may take long: it holds no place that a start needs.
  lane: "command",
  mayLeaveHalf: true,
  acceptsRescued: true,
  startsUnder: (_intent, vm) => vm?.accelerator,
  /** Throws `conflict` VM_NOT_RESCUED. */
  admit({ force, gracefulTimeoutMs }: UnrescueRequest, vm, { policy: { gracefulStopMs } }) {
    if (vm.rescue === undefined) throw notRescued(vm.name);
    return { force, gracefulTimeoutMs: gracefulTimeoutMs ?? graceOf(vm, gracefulStopMs) };
  },
  plan: (_context, _intent, { rescue, isRescued: runs }) =>
    Promise.resolve({
      stops: String(runs === true),
      starts: String(rescue?.startsAfter === true),
      deletes: rescue?.volume ?? "",
    }),
  async run(context, { force, gracefulTimeoutMs }, run) {
    const { domains } = context;
    const { vmId, operationId, step, resumed } = run;
    await settled(context, vmId);
    const { spec, snapshots, rescue } = await readSpec(context, vmId);
    // An earlier run has completed it.
    if (rescue === undefined && resumed) return { started: String(isActive(await domains.state(vmId))) };
    if (rescue === undefined) throw notRescued(spec.name);
    if (await isRescued(context, vmId)) await stopVm.run(context, { gracefulTimeoutMs, force }, run);
    // It may be the rescue system's, as after virsh managedsave: a start would continue that.
    await requireNotSavedNow(context, vmId);
    step.commit();
    await domains.stamps.begin(vmId, operationId);
    // First the guest: a pool that refuses a deletion must not keep it off.
    if (rescue.startsAfter) await step("start", () => startAgain(context, spec, snapshots), 0.5);
    await step("delete volume", () => endRescue(context, vmId), 0.2);
    const now = await domains.state(vmId);
    await stampComplete(context, run, isActive(now));
    await seen(context, vmId, (vm) => vm?.rescue === undefined && isActive(vm) === isActive(now));
    return { started: String(isActive(now)) };
  },
});

const notRescued = (name: string): SocleError =>
  new SocleError("conflict", "VM_NOT_RESCUED", `VM ${name} has no rescue system`);
