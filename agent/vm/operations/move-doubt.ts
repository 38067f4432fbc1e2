import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import type { PivotNotes } from "../hypervisor/block-jobs.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { extraOf, withExtra, type ExtraVolume } from "../model/snapshots.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { readSpec, rewriteSnapshots } from "./spec-change.ts";
import { because, isAway } from "./undo.ts";
import { outcomeUnknown, type WorkContext, type WorkRun } from "./work.ts";

// libvirt records the switch of a guest to the copy after QEMU did it. If libvirt dies between the two and the guest's QEMU
// ends before libvirt is back, libvirt shows the old volume, which lacks what the guest wrote since the switch. Without the
// switch the copy may lack writes: QEMU copies them later, and a flush of the guest is none of the copy. So the volumes do
// not show it either. The journal has it before libvirt is asked; from then on, until libvirt's answer excludes the switch,
// the copy is neither cancelled, nor written again, nor deleted.

/** A step that is durable before libvirt is asked to switch a guest that may write. */
export const ASK = "note the switch";

/** A disk that moves to another volume. */
export interface Move {
  readonly disk: string;
  readonly from: VolumeRef;
  readonly to: VolumeRef;
}

/** `effects`: the steps that may have had effects. */
export const pivotNotes = (
  context: WorkContext,
  { vmId, step }: WorkRun,
  move: Move,
  effects: Set<string>,
): PivotNotes => ({
  isAsked: () => effects.has(ASK),
  async ask() {
    await step.durable(ASK, () => mark(context, vmId, move, true), 0);
    effects.add(ASK);
  },
  async refused() {
    effects.delete(ASK);
    // The note counts in the journal: the next request, or the undo of the move, replaces a mark that stays.
    const unmark = () => mark(context, vmId, move, false).catch(unless(isAway));
    await step.undoDurably(ASK, unmark).catch(unless(({ reason }) => reason === "AGENT_STOPPING"));
  },
});

const unless =
  (isTolerated: (error: SocleError) => boolean) =>
  (thrown: unknown): void => {
    if (!isTolerated(toSocleError(thrown))) throw thrown;
  };

/** Other operations keep a volume in doubt, also once a person has settled the move. */
export async function mark(
  context: WorkContext,
  vmId: string,
  { to }: Move,
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
 * "done": the spec, or the definition of a VM that is off, names the copy. "goes on": the move can only be completed, since the
 * guest uses the copy, or QEMU may have been asked for that and still copies. "gone": there is no domain. Throws `outcome_unknown`,
 * with the reason MOVE_IN_DOUBT if libvirt cannot show any more what QEMU did.
 */
export async function moveState(
  context: WorkContext,
  run: WorkRun,
  move: Move,
  effects: ReadonlySet<string>,
): Promise<"open" | "goes on" | "done" | "gone"> {
  const { domains, volumes } = context;
  const { disk, to } = move;
  const { vmId } = run;
  try {
    const now = await domains.state(vmId);
    if (now === undefined) return "gone";
    if (await isInSpec(context, vmId, move)) return "done";
    const switched = isActive(now) ? "goes on" : "done";
    const path = await volumes.pathOf(to);
    if (!effects.has(ASK)) {
      const isMoved = path !== undefined && (await domains.layers.isSwitched(vmId, [{ disk, path }]));
      return isMoved ? switched : "open";
    }
    const standing = path === undefined ? "neither" : await domains.layers.standing(vmId, disk, path);
    if (standing !== "neither") return standing === "switched" ? switched : "goes on";
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
  throw await inDoubt(context, run, move);
}

/** It is written last, so the move has happened, whatever is found of the volumes. */
async function isInSpec(context: WorkContext, vmId: string, { disk, to }: Move): Promise<boolean> {
  const stored = await ifPresent("SPEC_UNREADABLE", () => readSpec(context, vmId));
  return stored !== undefined && poolOf(stored.spec, disk) === to.pool;
}

/** Of a disk that was made for the VM. */
export const poolOf = ({ disks }: VmSpec, name: string): string | undefined => {
  const source = disks.find((disk) => disk.name === name)?.source;
  return source?.kind === "new" ? source.pool : undefined;
};

/** Of a copy that the guest may write to. Throws `outcome_unknown` MOVE_IN_DOUBT for one that is not there. */
export async function pathOfCopy(context: WorkContext, run: WorkRun, move: Move): Promise<string> {
  const path = await context.volumes.pathOf(move.to);
  if (path === undefined) throw await inDoubt(context, run, move);
  return path;
}

async function inDoubt(
  { domains, volumes }: WorkContext,
  { vmId, operationId }: WorkRun,
  { disk, from, to }: Move,
): Promise<SocleError> {
  const [old, copy] = [await volumes.pathOf(from), await volumes.pathOf(to)];
  const named = (path: string | undefined, { pool, volume }: VolumeRef): string =>
    path ?? `${volume} (not found in pool ${pool})`;
  const missing = [...(old === undefined ? [from.pool] : []), ...(copy === undefined ? [to.pool] : [])];
  const first =
    missing.length === 0
      ? ""
      : `First start what is missing (${missing.map((pool) => `virsh pool-start ${pool}`).join("; ")}): if libvirt shows the switch then, the move goes on by itself. `;
  const look = isActive(await domains.state(vmId))
    ? `While the guest runs, QEMU shows the file that it writes to: virsh qemu-monitor-command ${vmId} --hmp info block. Write that down before the guest stops. `
    : "Start the guest from neither. ";
  return new SocleError(
    "outcome_unknown",
    "MOVE_IN_DOUBT",
    `libvirt was lost while it switched disk ${disk} from ${named(old, from)} to its copy ${named(copy, to)}, and does not show which of them the guest wrote last; both stay. ${first}${look}` +
      "The copy is newer if QEMU had switched, and else the old volume. If both are the same (qemu-img compare), keep either; else keep the one with the guest's newest files " +
      "(guestfish --ro -a FILE -i, once the guest is off). " +
      `To keep the copy, name it as the disk's file (virsh edit ${vmId}): the operation goes on within a minute once the VM is off. ` +
      `To keep the old volume, socle operations settle ${operationId} --as not-done: the copy stays until the VM is deleted. ` +
      `Delete it (virsh vol-delete ${to.volume} ${to.pool}) before the disk moves into that pool again`,
    { details: { metadata: { disk, volumes: `${named(old, from)},${named(copy, to)}` } } },
  );
}

/** The domain is gone, so libvirt shows nothing. */
export const copyKept = (error: SocleError, { to }: Move): SocleError =>
  because(error, `the copy ${to.volume} in pool ${to.pool} stays: it may have what the guest wrote last`);
