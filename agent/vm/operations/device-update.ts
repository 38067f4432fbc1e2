import { toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { Vm } from "../model/vm.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { stampComplete } from "./guest-run.ts";
import { beginChange, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll } from "./undo.ts";
import { isUndecided, mayHaveBegun, type WorkContext, type WorkRun } from "./work.ts";

const DEVICE = "change device";
const SPEC = "write spec";

/** New values of a device that a VM has. */
interface DeviceUpdate<Device> {
  readonly etag?: string | undefined;
  /** The device in a spec; throws `not_found` if the spec lacks it. */
  readonly deviceOf: (vm: Pick<Vm, "name" | "spec">) => Device;
  /** Gives the domain's device the new values, in the definition and in a running guest. Safe to repeat. */
  readonly change: (spec: VmSpec) => Promise<void>;
  /** Gives the domain's device the values that it has in the spec. */
  readonly restore: (device: Device) => Promise<void>;
  /** The reason of the refusal if the domain has no such device: it was not changed. */
  readonly notAttached: string;
  readonly write: (spec: VmSpec) => VmSpec;
}

function ifPresent<Device>(deviceOf: () => Device): Device | undefined {
  try {
    return deviceOf();
  } catch (thrown) {
    if (toSocleError(thrown).kind === "not_found") return undefined;
    throw thrown;
  }
}

/**
 * Changes a device of a VM, first in the domain, then in the spec: until then the spec has the values from before, and a
 * failure restores them. Returns the domain's state.
 */
export async function updateDevice<Device>(
  context: WorkContext,
  run: WorkRun,
  { etag, deviceOf, change, restore, notAttached, write }: DeviceUpdate<Device>,
): Promise<Awaited<ReturnType<WorkContext["domains"]["state"]>>> {
  const { domains } = context;
  const { vmId, step, done } = run;
  const asInSpec = async (): Promise<void> => {
    if ((await domains.state(vmId)) === undefined) return;
    const { spec } = await readSpec(context, vmId);
    // A device that is not there was not changed.
    const device = ifPresent(() => deviceOf({ name: spec.name, spec }));
    if (device === undefined) return;
    try {
      await restore(device);
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      if (reason === notAttached) return;
      if (kind !== "not_found" || (await domains.state(vmId)) !== undefined) throw thrown;
    }
  };
  let mayBeChanged = mayHaveBegun(run, DEVICE);
  try {
    // The spec has the new values, so that an undo would keep them.
    if (done.has(SPEC)) step.goOn();
    const { spec: before } = await beginChange(context, run, { etag, of: "devices", hasBegun: mayBeChanged });
    // An operation before this one may have detached it.
    deviceOf({ name: before.name, spec: before });
    mayBeChanged = true;
    await step(DEVICE, () => change(before), 0.6);
    const spec = await step(SPEC, () => rewriteSpec(context, vmId, write));
    const state = await domains.state(vmId);
    await stampComplete(context, run, isActive(state));
    await seenWith(context, spec);
    return state;
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (isUndecided(error, run)) throw error;
    throw await undoAll(context, run, mayBeChanged ? [{ step: DEVICE, remove: asInSpec }] : [], error);
  }
}
