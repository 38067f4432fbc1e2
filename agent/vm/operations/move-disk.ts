import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { invalidField, toSocleError } from "../../kernel/errors.ts";
import type { DiskSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";
import { resourceName } from "../../contract/spec-values.ts";
import type { Watch } from "../hypervisor/block-jobs.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { extraOf, noSnapshots, withExtra, type ExtraVolume, type Snapshots } from "../model/snapshots.ts";
import { checkPart } from "../model/spec-check.ts";
import { formatOf } from "../../contract/spec-volume-name.ts";
import { ownDisk, type NewDisk, type OwnDisk } from "../model/volume-names.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { defineOperation, type Result } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { stampComplete } from "./guest-run.ts";
import { leftoversOf, removeUnused } from "./layers.ts";
import { ASK, copyKept, isAt, mark, moveState, pathOfCopy } from "./move-doubt.ts";
import { resolveOwn } from "./own-volume.ts";
import { withQemu } from "./paused-qemu.ts";
import { requireRecorded } from "./recorded.ts";
import { requireSpecOf } from "./request.ts";
import {
  beginChange,
  changeIntent,
  readSpec,
  rewriteKept,
  rewriteSnapshots,
  rewriteSpec,
  seenWith,
  seenWithSnapshots,
} from "./spec-change.ts";
import type { Cut } from "./stop-escalation.ts";
import { changed, cutShort, requireMovable, requireOwnFile } from "./move-rules.ts";
import { pivotNotes, type Switch } from "./switch-doubt.ts";
import { undoAll, type Undo } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import {
  isUndecided,
  mayHaveBegun,
  outcomeUnknown,
  type RunContext,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

const CLAIM = "claim volume";
const VOLUME = "make volume";
const COPY = "copy disk";

const intent = z.object({
  disk: z.string(),
  from: volumeSchema,
  to: volumeSchema,
  capacityBytes: z.number(),
  /** In the pool that the disk leaves, below its volume: the copy does not need it. */
  baseVolume: z.string().exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface MoveRequest {
  readonly disk: string;
  /** Unvalidated. */
  readonly pool: string;
  readonly etag?: string | undefined;
  /** The volume's present capacity. */
  readonly capacityBytes?: number;
  /** Of the new volume. */
  readonly format?: NewDisk["format"];
}

/**
 * Moves a disk that was made for the VM into another pool, also of a running guest, or gives it the format that its pool is
 * for: qcow2 among files, raw among block devices. QEMU copies it; the switch to the copy
 * decides: until then a failure removes the copy, and afterwards the old volume is removed. The file in libvirt's XML shows
 * whether it happened. While that is in doubt, neither volume is changed.
 */
export const moveDisk = defineOperation({
  kind: "MOVE_DISK",
  intent,
  // A copy may take hours: it holds no place that a start needs.
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  // A copy of hours would keep the backup from its end.
  notDuringBackup: "any",
  removes: ({ from }) => [from],
  grows: ({ to, capacityBytes }) => ({ volumes: [{ ...to, capacityBytes }], diskBytes: capacityBytes }),
  async prepare(request: MoveRequest, vm, { volumes }) {
    checkPart(z.object({ pool: resourceName }), { pool: request.pool });
    const own = requireMovable(vm, request.disk);
    await volumes.activePool(request.pool);
    const format = await volumes.rawFiles.formatIn(request.pool);
    return { ...request, capacityBytes: await sizeOf({ volumes }, own), format };
  },
  /**
   * Throws `not_found` DISK_NOT_FOUND, `invalid` VOLUME_NOT_OWN, DISK_READ_ONLY and UPDATE_EMPTY, `conflict` DISK_ENCRYPTED,
   * DISK_HAS_SNAPSHOTS, DISK_BUSY, VM_HAS_SAVED_STATE and ETAG_MISMATCH.
   */
  admit({ disk, pool, etag, capacityBytes = 0, format }: MoveRequest, vm) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const own = requireMovable(vm, disk);
    const { volume: from, source } = own;
    const to = ownDisk(
      vm.id,
      { ...own, name: disk },
      { ...source, pool, format: format ?? source.format },
    ).volume;
    if (volumeKey(from) === volumeKey(to))
      throw invalidField("UPDATE_EMPTY", "pool", `disk ${disk} of VM ${vm.name} is in pool ${pool} already`);
    return defined<Intent>({
      disk: own.disk,
      from,
      to,
      capacityBytes: Math.max(capacityBytes, source.capacityBytes ?? 0),
      baseVolume: source.baseVolume,
      etag,
    });
  },
  async plan({ volumes }, intent, { snapshots }) {
    const { disk, from, to, capacityBytes, baseVolume } = intent;
    const isLeftover = leftoversOf(snapshots ?? noSnapshots, disk).some(
      (extra) => volumeKey(extra) === volumeKey(to),
    );
    if (!isLeftover) await volumes.requireAbsent([to]);
    const flattened = String(baseVolume !== undefined);
    const copies_bytes = String(capacityBytes);
    return { disk, from: from.pool, pool: to.pool, flattened, copies_bytes, applies: "now" };
  },
  // A forced stop does not wait for it.
  run: (context, asked, run) =>
    context.escalation.during(run.vmId, run.caller, async (cut) => {
      const isAsked = run.done.has(ASK);
      const effects = new Set([VOLUME, COPY].filter((name) => isAsked || mayHaveBegun(run, name)));
      if (isAsked) effects.add(ASK);
      try {
        return await move(context, asked, run, { cut, effects });
      } catch (thrown) {
        const error = toSocleError(thrown);
        if (isUndecided(error, run)) throw error;
        // From the switch on, the move is completed.
        if (effects.has(COPY)) {
          const now = await moveState(context, run, asked, effects);
          if (now === "goes on" || now === "done") throw outcomeUnknown(error);
          if (now === "gone") throw copyKept(error, asked);
        }
        throw await undoAll(
          context,
          run,
          effects.has(VOLUME) ? [undoCopy(context, run, asked, effects)] : [],
          error,
        );
      }
    }),
});

async function move(
  context: RunContext,
  asked: Intent,
  run: WorkRun,
  { cut, effects }: { readonly cut: Cut; readonly effects: Set<string> },
): Promise<Result> {
  const { domains, log } = context;
  const { disk, from, to, baseVolume } = asked;
  const { vmId, step, done } = run;
  const now = effects.has(COPY) ? await moveState(context, run, asked, effects) : "open";
  if (now === "goes on" || now === "done") step.goOn();
  let { spec } = await beginChange(context, run, {
    etag: asked.etag,
    of: "devices",
    hasBegun: effects.has(COPY),
  });
  if (!isAt(spec, disk, to)) {
    const { snapshots } = await readSpec(context, vmId);
    const own = requireMovable({ id: vmId, name: spec.name, spec, snapshots, disks: [] }, disk);
    if (volumeKey(own.volume) !== volumeKey(from) || own.source.baseVolume !== baseVolume)
      throw changed(spec.name, disk);
    const isClaimed = done.has(CLAIM);
    if (!isClaimed) {
      // The room was claimed for the size at the admission.
      if ((await sizeOf(context, own)) > asked.capacityBytes) throw changed(spec.name, disk);
      await requireRecorded(context, vmId);
      await requireOwnFile(context, spec, own);
      // The old volume of an earlier move, whose deletion was refused, may be in the way of this one's.
      await removeExtra(context, vmId, disk);
      // Journaled before the volume is made: a volume of this name that exists later was made by this operation.
      await step.durable(CLAIM, () => context.volumes.requireAbsent([to]), 0);
    }
    // A QEMU for the copy could be refused, as of a guest that crashed, or whose old volume is gone.
    if (now !== "done") {
      effects.add(VOLUME);
      const path = effects.has(ASK)
        ? await pathOfCopy(context, run, asked)
        : await step(VOLUME, () => makeCopy(context, vmId, asked, isClaimed), 0.05);
      effects.add(COPY);
      await copy(context, run, { asked, spec, path, cut, effects });
    }
    step.commit();
    // The old volume is deleted next.
    await step("sync", () => context.volumes.sync(to.pool));
    spec = await step("write spec", () => writeMoved(context, vmId, asked));
  }
  await withoutBitmap(context, vmId, disk);
  // The disk is moved: a pool that refuses the deletion does not change that, and the note of the volume stays.
  const snapshots = await step("delete old volume", () => removeExtra(context, vmId, disk)).catch(
    (thrown: unknown) => {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw thrown;
      log.warn({ vm: vmId, disk, err: error }, "the old volume of a moved disk could not be deleted");
      return undefined;
    },
  );
  await stampComplete(context, run, isActive(await domains.state(vmId)));
  await seenWith(context, spec);
  if (snapshots !== undefined) await seenWithSnapshots(context, vmId, snapshots);
  const flattened = String(baseVolume !== undefined);
  return { disk, pool: to.pool, flattened, ...(snapshots === undefined ? { old_volume: "kept" } : {}) };
}

/** Notes the volume before it exists, so that it has an owner, and returns its path. */
async function makeCopy(
  context: WorkContext,
  vmId: string,
  { disk, to, capacityBytes }: Intent,
  mayBeThere: boolean,
): Promise<string> {
  const { volumes } = context;
  await rewriteSnapshots(context, vmId, (now) =>
    withExtra(now, [...othersOf(now, disk, to), { disk, ...to, capacityBytes }]),
  );
  const { pool, volume: name } = to;
  const { path } = await volumes.make({ pool, name, format: formatOf(name), capacityBytes }, mayBeThere);
  return path;
}

async function copy(
  context: RunContext,
  run: WorkRun,
  {
    asked,
    spec,
    path,
    cut,
    effects,
  }: {
    readonly asked: Intent;
    readonly spec: VmSpec;
    readonly path: string;
    readonly cut: Cut;
    readonly effects: Set<string>;
  },
): Promise<void> {
  const { disk, to } = asked;
  const { vmId, step, signal } = run;
  const { domains } = context;
  const aborted = AbortSignal.any([signal, cut.signal]);
  const target = { path, format: formatOf(to.volume) };
  const copyNow = async (isOurs: boolean): Promise<void> => {
    const marked = (isInDoubt: boolean): Promise<void> => mark(context, vmId, asked, isInDoubt);
    const notes = pivotNotes(context, run, isOurs, { name: ASK, effects, mark: marked });
    const copying = (report: Watch["report"]): Promise<void> =>
      domains.layers.copy(vmId, disk, target, { aborted, report }, notes);
    await step(COPY, copying, 0.85).catch((thrown: unknown) => {
      throw cut.signal.aborted ? cutShort(disk, thrown) : thrown;
    });
  };
  await withQemu(context, run, spec, copyNow, () => moveState(context, run, asked, effects));
}

/** The new pool and format in the spec, and the old volume as one to delete, in one write. */
const writeMoved = (
  context: WorkContext,
  vmId: string,
  { disk, from, to, capacityBytes, baseVolume }: Intent,
): Promise<VmSpec> =>
  rewriteSpec(
    context,
    vmId,
    (spec) => ({
      ...spec,
      disks: spec.disks.map((each) => (each.name === disk ? moved(each, to) : each)),
    }),
    {
      snapshots: (now) =>
        withExtra(now, [
          ...othersOf(now, disk, to),
          defined<ExtraVolume>({ disk, ...from, capacityBytes, baseVolume }),
        ]),
    },
  );

/** The next backup of the disk is full: its bitmap was of the volume that it was moved from. */
async function withoutBitmap(context: WorkContext, vmId: string, disk: string): Promise<void> {
  await rewriteKept(context, vmId, ({ snapshots, backups }) => {
    const { whole } = backups;
    const disks = whole?.disks.filter((each) => each.disk !== disk) ?? [];
    return { snapshots, backups: whole === undefined ? backups : { ...backups, whole: { ...whole, disks } } };
  });
}

function moved(disk: DiskSpec, { pool, volume }: VolumeRef): DiskSpec {
  if (disk.source.kind !== "new") return disk;
  const { baseVolume: _, ...source } = disk.source;
  return { ...disk, source: { ...source, pool, format: formatOf(volume) } };
}

/** `to`: the volume of the move, whose note is replaced. */
const othersOf = (snapshots: Snapshots, disk: string, to?: VolumeRef): ExtraVolume[] => {
  const left = leftoversOf(snapshots, disk);
  const isOfMove = (extra: ExtraVolume): boolean => to !== undefined && volumeKey(extra) === volumeKey(to);
  return extraOf(snapshots).filter((extra) => !left.includes(extra) && !isOfMove(extra));
};

/** libvirt rounds up, and the volume may have been enlarged beside the spec. */
const sizeOf = async ({ volumes }: Pick<WorkContext, "volumes">, own: OwnDisk): Promise<number> =>
  Math.max((await resolveOwn(volumes, own)).capacityBytes, own.source.capacityBytes ?? 0);

/** Deletes the extra volumes of a disk, and the notes. Throws `conflict` DISKS_REPLACED for one that the domain uses. */
async function removeExtra(context: WorkContext, vmId: string, disk: string): Promise<Snapshots> {
  const { snapshots } = await readSpec(context, vmId);
  for (const extra of leftoversOf(snapshots, disk)) await removeUnused(context, vmId, extra);
  return await rewriteSnapshots(context, vmId, (now) => withExtra(now, othersOf(now, disk)));
}

const undoCopy = (
  context: WorkContext,
  { vmId }: WorkRun,
  asked: Switch,
  effects: ReadonlySet<string>,
): Undo => ({
  step: VOLUME,
  async remove() {
    const { domains, volumes } = context;
    const { disk, to } = asked;
    if ((await domains.state(vmId)) === undefined) {
      if (!effects.has(COPY)) await volumes.remove(to);
      return;
    }
    const path = await volumes.pathOf(to);
    if (path !== undefined) await domains.layers.endCopy(vmId, disk, path);
    // As of a switch that libvirt was not asked for any more.
    await mark(context, vmId, asked, false);
    await removeExtra(context, vmId, disk);
  },
});
