import { formatOf } from "../../contract/spec-volume-name.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { PivotNotes } from "../hypervisor/block-jobs.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { isIdle } from "./end-qemu.ts";
import { isAway } from "./undo.ts";
import type { WorkContext, WorkRun } from "./work.ts";

// libvirt records the switch of a guest to another file after QEMU did it. If libvirt dies between the two and the guest's QEMU
// ends before libvirt is back, libvirt shows the old file, which lacks what the guest wrote since the switch. Without the switch
// the other file may lack writes: QEMU copies them later, and a flush of the guest does not flush it. So the files do
// not show it either. The journal has it before libvirt is asked; from then on, until libvirt's answer excludes the switch,
// neither file is written by the agent nor deleted, and the job is not cancelled.

/** A disk of a guest that is switched to another volume. */
export interface Switch {
  readonly disk: string;
  readonly from: VolumeRef;
  readonly to: VolumeRef;
}

/** The note of a switch. */
export interface SwitchNote {
  /** The name of a step that is durable before libvirt is asked. */
  readonly name: string;
  /** Has the name while the switch may have happened. */
  readonly effects: Set<string>;
  /** What other operations have to know of it. */
  readonly mark?: (isInDoubt: boolean) => Promise<void>;
}

/** `isOurs`: the guest's QEMU was started for the operation. */
export function pivotNotes(
  { domains }: WorkContext,
  { vmId, step }: WorkRun,
  isOurs: boolean,
  { name, effects, mark = () => Promise.resolve() }: SwitchNote,
): PivotNotes {
  return {
    isAsked: () => effects.has(name),
    async ask() {
      // Such a QEMU executes nothing, unless another client has resumed it.
      if (isOurs && isIdle(await domains.state(vmId))) return;
      await step.durable(name, () => mark(true), 0);
      effects.add(name);
    },
    async refused() {
      if (!effects.delete(name)) return;
      // The note counts in the journal: the next request, or the undo of the change, replaces a mark that stays.
      const unmark = () => mark(false).catch(unless(isAway));
      await step.undoDurably(name, unmark).catch(unless(({ reason }) => reason === "AGENT_STOPPING"));
    },
  };
}

const unless =
  (isTolerated: (error: SocleError) => boolean) =>
  (thrown: unknown): void => {
    if (!isTolerated(toSocleError(thrown))) throw thrown;
  };

/** What the error says of a switch in doubt. */
export interface Doubt {
  readonly reason: string;
  /** "move" */
  readonly change: string;
  /** What the guest was switched to: "its copy". */
  readonly target: string;
  /** How to tell and keep the newer file. */
  readonly toDo: string;
}

/**
 * Of a switch that libvirt may have been asked for. "done": the definition names the other file, and the guest is off, or its QEMU
 * writes to that file, which libvirt lost. "goes on": the switch can only be completed. "gone": there is no domain. Throws
 * `outcome_unknown`, with the reason of the doubt if neither libvirt nor QEMU can show any more what QEMU did.
 */
export async function switchState(
  context: WorkContext,
  run: WorkRun,
  asked: Switch,
  doubt: Doubt,
): Promise<"goes on" | "done" | "gone"> {
  const { domains, volumes } = context;
  const { vmId } = run;
  try {
    const now = await domains.state(vmId);
    if (now === undefined) return "gone";
    const path = await volumes.pathOf(asked.to);
    const { disk, to } = asked;
    const standing = path === undefined ? "neither" : await domains.layers.standing(vmId, disk, path);
    if (path !== undefined && standing === "unrecorded") {
      // The next start uses the file that the guest writes to, unless it was started again before.
      await domains.layers.define(vmId, disk, { path, format: formatOf(to.volume) });
      const after = await domains.layers.standing(vmId, disk, path);
      if (after === "unrecorded" || after === "switched") return "done";
    } else if (standing !== "neither") return standing === "copying" || isActive(now) ? "goes on" : "done";
  } catch (thrown) {
    throw notShown(asked, toSocleError(thrown));
  }
  throw await inDoubt(context, run, asked, doubt);
}

export async function inDoubt(
  { domains, volumes }: WorkContext,
  { vmId }: WorkRun,
  { disk, from, to }: Switch,
  { reason, change, target, toDo }: Doubt,
): Promise<SocleError> {
  const [old, other] = [await volumes.pathOf(from), await volumes.pathOf(to)];
  const named = (path: string | undefined, { pool, volume }: VolumeRef): string =>
    path ?? `${volume} (not found in pool ${pool})`;
  const missing = new Set([
    ...(old === undefined ? [from.pool] : []),
    ...(other === undefined ? [to.pool] : []),
  ]);
  const starts = [...missing].map((pool) => `virsh pool-start ${pool}`).join("; ");
  const first =
    missing.size === 0
      ? ""
      : `First start what is missing (${starts}): if libvirt shows the switch then, the ${change} goes on by itself. `;
  const look = isActive(await domains.state(vmId))
    ? await lookWhileItRuns({ domains }, vmId, disk)
    : "Start the guest from neither. ";
  return new SocleError(
    "outcome_unknown",
    reason,
    `libvirt was lost while it switched disk ${disk} from ${named(old, from)} to ${target} ${named(other, to)}, and does not show which of them the guest wrote last; both stay. ${first}${look}${toDo}`,
    { details: { metadata: { disk, volumes: `${named(old, from)},${named(other, to)}` } } },
  );
}

/** A person who settles it now, as others, could start the guest from the older file. */
const notShown = ({ disk, from, to }: Switch, cause: SocleError): SocleError =>
  new SocleError(
    "outcome_unknown",
    "SWITCH_NOT_SHOWN",
    `disk ${disk} may have been switched from ${from.pool}/${from.volume} to ${to.pool}/${to.volume}, and libvirt does not show it now (${cause.message}): ` +
      "the operation goes on once it does. Do not settle it, and do not start the VM, before. Of a QEMU that hangs, virsh destroy ends the guest: then the operation says how to find the newer file",
    { cause, details: { metadata: { disk } } },
  );

/** QEMU may be of a later run of the guest, which another client started: that shows nothing of the switch. */
async function lookWhileItRuns(
  { domains }: Pick<WorkContext, "domains">,
  vmId: string,
  disk: string,
): Promise<string> {
  const files = await domains.layers.filesInQemu(vmId).catch(() => undefined);
  const file = files?.get(disk);
  const seen =
    file?.startsWith("/") !== true
      ? `QEMU shows the file that it writes to (virsh qemu-monitor-command ${vmId} --hmp info block); write that down`
      : `the guest's QEMU writes to ${file}`;
  return (
    `While it runs, ${seen}: that is the newer one, unless the guest was started again since. ` +
    `Before anything else turn the guest off (virsh shutdown ${vmId}: StopVm waits for this operation). `
  );
}
