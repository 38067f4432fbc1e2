import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import type { PivotNotes, Watch } from "../hypervisor/block-jobs.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import {
  ancestry,
  findSnapshot,
  looseMemoryOf,
  noSnapshots,
  type Snapshot,
  type Snapshots,
} from "../model/snapshots.ts";
import { formatOf } from "../../contract/spec-volume-name.ts";
import { ownDisk } from "../model/volume-names.ts";
import { defineOperation, type Result } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { hasLeftovers, layeredDisks, removeLoose, requireSnapshot, withLoose } from "./layers.ts";
import { hasLeftQemu, withQemu } from "./paused-qemu.ts";
import { isRecorded, requireRecorded } from "./recorded.ts";
import { requireSpecOf } from "./request.ts";
import { because } from "./undo.ts";
import { noteMemory, removeLooseMemory } from "./snapshot-memory.ts";
import { beginChange, changeIntent, readSpec, rewriteSnapshots, seenWithSnapshots } from "./spec-change.ts";
import type { Cut } from "./stop-escalation.ts";
import { pivotNotes, switchState, type Doubt } from "./switch-doubt.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, outcomeUnknown, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

const MARK = "mark snapshot";
/** Of a guest that is switched to the file below. */
const askOf = (disk: string): string => `note the switch of ${disk}`;

const intent = z.object({ id: z.string(), name: z.string(), ...changeIntent });
type Intent = z.output<typeof intent>;

interface DeleteSnapshotRequest {
  /** Its name or id. */
  readonly snapshot: string;
  readonly etag?: string | undefined;
}

/** One file of a disk that is merged into the one below it. */
interface Merge {
  readonly disk: string;
  readonly top: VolumeRef;
  readonly base: VolumeRef;
  /** Which snapshot the top belongs to; undefined: the guest writes to it. */
  readonly child: string | undefined;
}

/**
 * Deletes a snapshot. The bytes that were written since are merged down into its volumes, disk by disk, which keeps the
 * snapshots above as they are. Each merge is judged by the chain of files, so that it continues after any interruption. A layer
 * whose guest may have been switched to the file below is not merged again: it would be written over the guest's newest bytes.
 */
export const deleteSnapshot = defineOperation({
  kind: "DELETE_SNAPSHOT",
  intent,
  // A merge may take hours: it holds no place that a start needs.
  lane: "command",
  notDuringBackup: "any",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` SNAPSHOT_NOT_FOUND, `conflict` SNAPSHOT_HAS_BRANCHES, DISK_BUSY, VM_HAS_SAVED_STATE, ETAG_MISMATCH. */
  admit({ snapshot, etag }: DeleteSnapshotRequest, vm) {
    requireSpecOf(etag, vm);
    const { id, name } = requireSnapshot(vm, snapshot);
    const { snapshots = noSnapshots } = vm;
    requireNotSaved(vm);
    // A disk with a block job is refused.
    if (childOf(snapshots, id) !== "none") layeredDisks(vm);
    return defined<Intent>({ id, name, etag });
  },
  plan: (_context, { id, name }, { snapshots = noSnapshots }) => {
    const child = childOf(snapshots, id);
    return Promise.resolve({
      snapshot: name,
      merges: child === "none" ? "nothing" : child === undefined ? "the present disks" : child.name,
      applies: "now",
    });
  },
  // A forced stop does not wait for it.
  run: (context, asked, run) =>
    context.escalation.during(run.vmId, run.caller, async (cut) => {
      const effects = new Set(run.done);
      try {
        return await remove(context, asked, run, { cut, effects });
      } catch (thrown) {
        const error = toSocleError(thrown);
        if (isUndecided(error, run)) throw error;
        throw (await hasAsked(context, asked.id, run, effects)) ? outcomeUnknown(error) : error;
      }
    }),
});

async function remove(
  context: RunContext,
  { id, name, etag }: Intent,
  run: WorkRun,
  { cut, effects }: { readonly cut: Cut; readonly effects: Set<string> },
): Promise<Result> {
  const { domains } = context;
  const { vmId, step } = run;
  const asked = await askedMerges(context, id, run, effects);
  if (asked.length > 0) step.goOn();
  // A part of the snapshot may be merged: it is of no use any more.
  const isMarked = run.done.has(MARK);
  const begun = await beginChange(context, run, { etag, of: "devices", hasBegun: isMarked });
  const { spec } = begun;
  let { snapshots } = begun;
  if (findSnapshot(snapshots, id) !== undefined) {
    const child = childOf(snapshots, id);
    if (!isMarked) await requireRecorded(context, vmId);
    await step.durable(MARK, () => rewriteSnapshots(context, vmId, (now) => asDeleting(now, id)), 0);
    if (child !== "none") await mergeAll(context, run, { spec, id, cut, effects });
    step.commit();
    snapshots = await step("remove snapshot", () =>
      rewriteSnapshots(context, vmId, (now) => withoutSnapshot(now, id)),
    );
  }
  const { loose } = snapshots;
  let left: SocleError | undefined;
  const leave = (error: SocleError): Snapshots => {
    if (isUndecided(error, run)) throw error;
    left ??= error;
    return snapshots;
  };
  if (hasLeftovers(snapshots))
    snapshots = await step("delete volumes", () => removeLoose(context, spec, loose)).catch(
      async (thrown: unknown) => {
        const error = toSocleError(thrown);
        // libvirt shows a layer until the next start if it lost the switch from it. The next change of snapshots deletes it.
        const isShownLater = error.reason === "DISKS_REPLACED" && !(await isRecorded(context, vmId));
        return isShownLater ? snapshots : leave(error);
      },
    );
  if (looseMemoryOf(snapshots).length > 0)
    snapshots = await step("delete memory", () => removeLooseMemory(context, vmId)).catch((thrown: unknown) =>
      leave(toSocleError(thrown)),
    );
  await stampComplete(context, run, isActive(await domains.state(vmId)));
  await seenWithSnapshots(context, vmId, snapshots);
  if (left !== undefined)
    throw because(
      left,
      `snapshot ${name} is gone, and the next change of the VM's snapshots deletes what is left of it`,
    );
  return { snapshot_id: id, snapshot: name };
}

/**
 * What is based on a snapshot: undefined for the present disks, or the one snapshot, which the present disks are based on.
 * Throws `conflict` SNAPSHOT_HAS_BRANCHES if there are several, or one outside of the present disks' chain: only its guest's
 * QEMU can merge files, and has those of its chain alone.
 */
function childOf(snapshots: Snapshots, id: string): Snapshot | undefined | "none" {
  const children = snapshots.snapshots.filter(({ parent }) => parent === id);
  const isCurrent = snapshots.current === id;
  const [child] = children;
  if (child === undefined) return isCurrent ? undefined : "none";
  const isInChain = ancestry(snapshots).some((each) => each.id === child.id);
  const above = snapshots.snapshots.filter(({ parent }) => parent === child.id);
  const branches = above.length + (snapshots.current === child.id ? 1 : 0);
  if (children.length === 1 && !isCurrent && isInChain && branches === 1) return child;
  // The leaves among what is in the way.
  const others = isCurrent || !isInChain || children.length > 1 ? children : above;
  const names = others.filter((each) => !ancestry(snapshots).includes(each)).map(({ name }) => name);
  const message = `snapshot ${nameOf(snapshots, id)} cannot be deleted while it has branches: delete first ${names.join(", ")}`;
  throw new SocleError("conflict", "SNAPSHOT_HAS_BRANCHES", message, {
    details: { fields: { snapshot: message } },
  });
}

const nameOf = ({ snapshots }: Snapshots, id: string): string =>
  snapshots.find((each) => each.id === id)?.name ?? id;

const asDeleting = (now: Snapshots, id: string): Snapshots => ({
  ...now,
  snapshots: now.snapshots.map((each) => (each.id === id ? { ...each, deleting: true } : each)),
});

/** Its volumes that are left are only its own. */
function withoutSnapshot(now: Snapshots, id: string): Snapshots {
  const gone = findSnapshot(now, id);
  if (gone === undefined) return now;
  const { parent, memory } = gone;
  const loose = Object.entries(gone.volumes).map(([disk, volume]) => ({ disk, volume }));
  const noted = memory === undefined ? now : noteMemory(now, memory);
  const { current, ...rest } = withLoose(noted, loose);
  return defined<Snapshots>({
    ...rest,
    current: current === id ? parent : current,
    snapshots: now.snapshots
      .filter((each) => each.id !== id)
      .map(({ parent: over, ...each }) =>
        defined<Snapshot>({ ...each, parent: over === id ? parent : over }),
      ),
  });
}

/** Merges what is based on the snapshot into its volumes, which then belong to that. */
async function mergeAll(
  context: RunContext,
  run: WorkRun,
  {
    spec,
    id,
    cut,
    effects,
  }: { readonly spec: VmSpec; readonly id: string; readonly cut: Cut; readonly effects: Set<string> },
): Promise<void> {
  const { domains } = context;
  const { vmId, step, signal } = run;
  const left = async (): Promise<Merge[]> => mergesOf(spec, (await readSpec(context, vmId)).snapshots, id);
  const record = (merge: Merge) => rewriteSnapshots(context, vmId, (now) => merged(now, id, merge, spec));
  // A QEMU for them could be refused, as of a guest that crashed.
  const recordSwitched = async (): Promise<void> => {
    for (const { now, ...merge } of await askedMerges(context, id, run, effects)) {
      if (now !== "done") continue;
      const [path, format] = [await context.volumes.pathOf(merge.base), formatOf(merge.base.volume)];
      if (path !== undefined) await domains.layers.define(vmId, merge.disk, { path, format });
      await record(merge);
    }
  };
  await recordSwitched();
  const total = (await left()).length;
  // After the last merge.
  if (total === 0 && !(await hasLeftQemu(context, run))) return;
  const aborted = AbortSignal.any([signal, cut.signal]);
  const mergeLeft = async (isOurs: boolean): Promise<void> => {
    for (const merge of await left()) {
      const note = { name: askOf(merge.disk), effects };
      if (merge.child === undefined && !isOurs && !effects.has(note.name))
        await defineTop(context, vmId, merge);
      const notes = merge.child === undefined ? pivotNotes(context, run, isOurs, note) : undefined;
      await step(
        `merge ${merge.disk}`,
        (report) => mergeOne(context, vmId, merge, { report, aborted }, notes),
        0.8 / total,
      ).catch((thrown: unknown) => {
        throw cut.signal.aborted ? cutShort(thrown) : thrown;
      });
      await record(merge);
    }
  };
  await withQemu(context, run, spec, mergeLeft, recordSwitched);
}

/** A definition that another client has written without the layer would be taken for the merge's end once the guest is off. */
async function defineTop(
  { domains, volumes }: WorkContext,
  vmId: string,
  { disk, top }: Merge,
): Promise<void> {
  const path = await volumes.pathOf(top);
  if (path === undefined || !(await domains.layers.isSwitched(vmId, [{ disk, path }]))) return;
  await domains.layers.define(vmId, disk, { path, format: formatOf(top.volume) });
}

async function mergeOne(
  { domains, volumes }: RunContext,
  vmId: string,
  { disk, top, base }: Merge,
  watch: Watch,
  notes: PivotNotes | undefined,
): Promise<void> {
  const [topPath, basePath] = await Promise.all([volumes.pathOf(top), volumes.pathOf(base)]);
  if (topPath === undefined || basePath === undefined) {
    const missing = topPath === undefined ? top : base;
    throw new SocleError(
      "conflict",
      "DISKS_REPLACED",
      `volume ${missing.volume} of pool ${missing.pool}, a layer of disk ${disk}, is gone: restore it, or delete the VM`,
    );
  }
  await domains.layers.merge(vmId, disk, { top: topPath, base: basePath }, watch, notes);
}

/** Whether a merge is left that can only be completed. Throws as `askedMerges`. */
const hasAsked = async (...of: Parameters<typeof askedMerges>): Promise<boolean> =>
  (await askedMerges(...of)).length > 0;

/**
 * The merges that are left and whose switch libvirt may have been asked for. Throws `outcome_unknown`, with the reason
 * MERGE_IN_DOUBT if neither libvirt nor QEMU can show any more which file the guest wrote last.
 */
async function askedMerges(
  context: WorkContext,
  id: string,
  run: WorkRun,
  effects: ReadonlySet<string>,
): Promise<(Merge & { readonly now: "goes on" | "done" })[]> {
  const asked: (Merge & { readonly now: "goes on" | "done" })[] = [];
  for (const merge of await notedMerges(context, id, run, effects)) {
    const now = await switchState(
      context,
      run,
      { ...merge, from: merge.top, to: merge.base },
      doubtOf(run, merge),
    );
    if (now !== "gone") asked.push({ ...merge, now });
  }
  return asked;
}

async function notedMerges(
  context: WorkContext,
  id: string,
  { vmId }: WorkRun,
  effects: ReadonlySet<string>,
): Promise<Merge[]> {
  if (![...effects].some((name) => name.startsWith(askOf("")))) return [];
  try {
    const { spec, snapshots } = await readSpec(context, vmId);
    return mergesOf(spec, snapshots, id).filter(({ disk }) => effects.has(askOf(disk)));
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (error.reason === "VM_NOT_FOUND") return [];
    throw outcomeUnknown(error);
  }
}

/** Before the switch the file below may lack the newest writes; after it, the layer hides them. */
const doubtOf = ({ vmId, operationId }: WorkRun, { base }: Merge): Doubt => {
  const format = formatOf(base.volume);
  const formats = format === "qcow2" ? "" : "; the layer is qcow2, the file below is raw";
  return {
    reason: "MERGE_IN_DOUBT",
    change: "deletion",
    target: "the file below",
    toDo:
      `Once it is off: the file below is right if QEMU had switched, and else the layer. If both are the same (qemu-img compare -f qcow2 -F ${format}), keep the file below; else keep the one with the guest's newest files ` +
      `(guestfish --ro --format=FORMAT -a FILE -i${formats}). ` +
      `To keep the file below, name it as the disk's file (virsh edit ${vmId}): the operation goes on within a minute once the VM is off. ` +
      `To keep the layer, socle operations settle ${operationId} --as not-done: the next deletion of the snapshot writes it over the file below`,
  };
};

const cutShort = (cause: unknown): SocleError =>
  new SocleError(
    "conflict",
    "MERGE_CUT_SHORT",
    "a forced stop of the VM ended the merge of its layers, and the guest's data is whole: delete the snapshot again",
    { cause },
  );

/** The merges that are left. */
function mergesOf({ id: vmId, disks }: VmSpec, snapshots: Snapshots, id: string): Merge[] {
  const of = findSnapshot(snapshots, id);
  const child = childOf(snapshots, id);
  if (of === undefined || child === "none") return [];
  return disks.flatMap((disk) => {
    const base = of.volumes[disk.name];
    if (disk.source.kind !== "new" || base === undefined) return [];
    const { pool } = disk.source;
    const top =
      child === undefined
        ? ownDisk(vmId, disk, disk.source, snapshots).volume.volume
        : child.volumes[disk.name];
    if (top === undefined) return [];
    return [{ disk: disk.name, top: { pool, volume: top }, base: { pool, volume: base }, child: child?.id }];
  });
}

/** The base has the bytes of the top, which is no more in use. */
function merged(now: Snapshots, id: string, { disk, top, base, child }: Merge, spec: VmSpec): Snapshots {
  const { [disk]: _, ...active } = now.active;
  const isFirst = firstOf(spec, disk) === base.volume;
  return {
    ...withLoose(now, [{ disk, volume: top.volume }]),
    active: child !== undefined ? now.active : isFirst ? active : { ...active, [disk]: base.volume },
    snapshots: now.snapshots.map((each) => {
      if (each.id === id) {
        const { [disk]: __, ...volumes } = each.volumes;
        return { ...each, volumes };
      }
      return each.id === child ? { ...each, volumes: { ...each.volumes, [disk]: base.volume } } : each;
    }),
  };
}

/** The volume that was made with the disk. */
function firstOf({ id, disks }: VmSpec, name: string): string | undefined {
  const disk = disks.find((each) => each.name === name);
  return disk?.source.kind === "new" ? ownDisk(id, disk, disk.source).volume.volume : undefined;
}
