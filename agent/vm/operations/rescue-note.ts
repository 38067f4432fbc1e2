import { defined } from "../../kernel/defined.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { isRescueSystem, overlayOf, rescueText, type Rescue } from "../model/rescue.ts";
import type { VmMetadata } from "../model/vm-domain.ts";
import { readSpec } from "./spec-change.ts";
import type { RunContext, WorkContext } from "./work.ts";

/** Whether the domain runs a rescue system. */
export const isRescued = async (
  { domains }: Pick<WorkContext, "domains">,
  vmId: string,
): Promise<boolean> => {
  if (!isActive(await domains.state(vmId))) return false;
  const document = await domains.document(vmId, "running");
  return document !== undefined && isRescueSystem(document);
};

/** Writes the note of the rescue system into the VM's metadata, or removes it. */
export async function noteRescue(
  context: WorkContext,
  vmId: string,
  rescue: Rescue | undefined,
): Promise<void> {
  const { domains } = context;
  const { socle } = await readSpec(context, vmId);
  const { rescue: _before, ...rest } = socle;
  const text = rescue && rescueText(rescue);
  if (text === socle.rescue) return;
  await domains.setMetadata(
    vmId,
    defined<VmMetadata>({ ...rest, rescue: text }),
    isActive(await domains.state(vmId)),
  );
}

/** Deletes the volume of a rescue system that does not run, then the note. */
export async function endRescue(context: WorkContext, vmId: string): Promise<void> {
  const { rescue } = await readSpec(context, vmId);
  if (rescue === undefined || (await isRescued(context, vmId))) return;
  await context.volumes.remove(overlayOf(rescue));
  await noteRescue(context, vmId, undefined);
}

/** As `endRescue`, after a start of the VM's own system: a failure is only logged, and UnrescueVm repeats it. */
export async function endRescueAfterStart(context: RunContext, vmId: string): Promise<void> {
  if (context.table.get(vmId)?.rescue === undefined) return;
  await endRescue(context, vmId).catch((thrown: unknown) =>
    context.log.warn(
      { vm: vmId, err: toSocleError(thrown) },
      "the rescue system's volume could not be deleted",
    ),
  );
}
