import { formatOf } from "../../contract/spec-volume-name.ts";
import { ifPresent, toSocleError, type SocleError } from "../../kernel/errors.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { extraOf, withExtra, type ExtraVolume } from "../model/snapshots.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { readSpec, rewriteSnapshots } from "./spec-change.ts";
import { inDoubt, switchState, type Doubt, type Switch } from "./switch-doubt.ts";
import { because } from "./undo.ts";
import { outcomeUnknown, type WorkContext, type WorkRun } from "./work.ts";

/** The note of the switch to the copy. */
export const ASK = "note the switch";

/** Other operations keep a volume in doubt, also once a person has settled the move. */
export async function mark(
  context: WorkContext,
  vmId: string,
  { to }: Switch,
  isInDoubt: boolean,
): Promise<void> {
  const marked = (extra: ExtraVolume): ExtraVolume => {
    if (volumeKey(extra) !== volumeKey(to)) return extra;
    const { inDoubt: _, ...plain } = extra;
    return isInDoubt ? { ...plain, inDoubt: true } : plain;
  };
  await rewriteSnapshots(context, vmId, (now) => withExtra(now, extraOf(now).map(marked)));
}

/**
 * "done": the spec, or the definition of a VM that is off, names the copy, or a guest's QEMU writes to it. "goes on": the move can
 * only be completed, since the guest uses the copy, or QEMU may have been asked for that and still copies. "gone": there is no
 * domain. Throws `outcome_unknown`, with the reason MOVE_IN_DOUBT if neither libvirt nor QEMU can show any more what QEMU did.
 */
export async function moveState(
  context: WorkContext,
  run: WorkRun,
  move: Switch,
  effects: ReadonlySet<string>,
): Promise<"open" | "goes on" | "done" | "gone"> {
  const { domains, volumes } = context;
  const { disk, to } = move;
  const { vmId } = run;
  try {
    const now = await domains.state(vmId);
    if (now === undefined) return "gone";
    if (await isInSpec(context, vmId, move)) return "done";
    if (!effects.has(ASK)) {
      const path = await volumes.pathOf(to);
      const isMoved = path !== undefined && (await domains.layers.isSwitched(vmId, [{ disk, path }]));
      return !isMoved ? "open" : isActive(now) ? "goes on" : "done";
    }
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
  return await switchState(context, run, move, doubtOf(run, move));
}

/** It is written last, so the move has happened, whatever is found of the volumes. */
async function isInSpec(context: WorkContext, vmId: string, { disk, to }: Switch): Promise<boolean> {
  const stored = await ifPresent("SPEC_UNREADABLE", () => readSpec(context, vmId));
  return stored !== undefined && isAt(stored.spec, disk, to);
}

/** Of a disk that was made for the VM. */
export const poolOf = ({ disks }: VmSpec, name: string): string | undefined => {
  const source = disks.find((disk) => disk.name === name)?.source;
  return source?.kind === "new" ? source.pool : undefined;
};

/** A disk that was made for the VM has the pool and the format of the volume. */
export const isAt = ({ disks }: VmSpec, name: string, { pool, volume }: VolumeRef): boolean => {
  const source = disks.find((disk) => disk.name === name)?.source;
  return source?.kind === "new" && source.pool === pool && source.format === formatOf(volume);
};

/** Of a copy that the guest may write to. Throws `outcome_unknown` MOVE_IN_DOUBT for one that is not there. */
export async function pathOfCopy(context: WorkContext, run: WorkRun, move: Switch): Promise<string> {
  const path = await context.volumes.pathOf(move.to);
  if (path === undefined) throw await inDoubt(context, run, move, doubtOf(run, move));
  return path;
}

const doubtOf = ({ vmId, operationId }: WorkRun, { to }: Switch): Doubt => {
  const format = formatOf(to.volume);
  const toDo =
    `Once it is off: the copy is newer if QEMU had switched, and else the old volume. If both are the same (qemu-img compare -f ${format} -F ${format}), keep either; else keep the one with the guest's newest files ` +
    `(guestfish --ro --format=${format} -a FILE -i). ` +
    `To keep the copy, name it as the disk's file (virsh edit ${vmId}): the operation goes on within a minute once the VM is off. ` +
    `To keep the old volume, socle operations settle ${operationId} --as not-done: the copy stays until the VM is deleted. ` +
    `Delete it (virsh vol-delete ${to.volume} ${to.pool}) before the disk moves into that pool again`;
  return { reason: "MOVE_IN_DOUBT", change: "move", target: "its copy", toDo };
};

/** The domain is gone, so libvirt shows nothing. */
export const copyKept = (error: SocleError, { to }: Switch): SocleError =>
  because(error, `the copy ${to.volume} in pool ${to.pool} stays: it may have what the guest wrote last`);
