import { randomUUID } from "node:crypto";
import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Overlay } from "../hypervisor/switch-xml.ts";
import { culpritOf } from "../hypervisor/start-fault.ts";
import { withoutWhole } from "../model/backups.ts";
import { findSnapshot, looseMemoryOf, type Snapshot, type Snapshots } from "../model/snapshots.ts";
import type { VmState } from "../model/vm.ts";
import type { OwnDisk } from "../model/volume-names.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { dropCheckpoints } from "./backup-end.ts";
import { forgetLooseMemory } from "./create-memory.ts";
import { endQemu } from "./end-qemu.ts";
import { forgetCheckpoints } from "./forget-checkpoints.ts";
import { defineOperation, type Result } from "./definition.ts";
import { hasMarkedRun, holdsRun, isInRun, stampComplete } from "./guest-run.ts";
import {
  effectsOf,
  existing,
  growthOfLayers,
  hasLeftovers,
  keepInDoubt,
  layeredDisks,
  layerSchema,
  layersKept,
  looseOf,
  newLayers,
  provideLayers,
  removeLoose,
  requireAsNoted,
  requireExisting,
  requireSameLayers,
  requireSnapshot,
  undoLayers,
  withLoose,
  withoutLoose,
  type Layer,
} from "./layers.ts";
import { hasOwnQemu } from "./paused-qemu.ts";
import { requireSpecOf } from "./request.ts";
import {
  hasContinued,
  hasMemory,
  hasRun,
  mayHaveContinued,
  requireRestorable,
  restoreMemory,
} from "./restore-memory.ts";
import { DISCARD, requireKeepable } from "./snapshot-memory.ts";
import { beginChange, changeIntent, readSpec, rewriteKept, seenWithSnapshots } from "./spec-change.ts";
import { checkVolumes, restoreKeys } from "./start.ts";
import { undoAll, type Undo } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import {
  isUndecided,
  outcomeUnknown,
  seen,
  type RunContext,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

const STOP = "pull plug";
const SWITCH = "switch disks";

const intent = z.object({
  id: z.string(),
  name: z.string(),
  force: z.boolean(),
  /** The guest continues from the snapshot's memory. */
  memory: z.literal(true).exactOptional(),
  layers: z.array(layerSchema),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface RevertSnapshotRequest {
  /** Its name or id. */
  readonly snapshot: string;
  /** A running guest is stopped, as by a power cut, and boots from the snapshot. */
  readonly force: boolean;
  /** Of a snapshot with memory too only the disks. */
  readonly discardMemory?: boolean;
  readonly etag?: string | undefined;
}

/**
 * Gives a VM the disks of a snapshot: new overlays of the snapshot's volumes. What the guest wrote since the newest snapshot
 * is lost; all snapshots stay. With its memory, the guest runs on from the snapshot's moment, also of a VM that was off.
 */
export const revertSnapshot = defineOperation({
  kind: "REVERT_SNAPSHOT",
  intent,
  lane: "heavy",
  notDuringBackup: "any",
  mayLeaveHalf: true,
  grows: ({ layers }) => growthOfLayers(layers),
  startsUnder: ({ memory }, vm) => (memory === true ? vm?.accelerator : undefined),
  /**
   * Throws `not_found` SNAPSHOT_NOT_FOUND, `conflict` VM_RUNNING without `force`, SNAPSHOT_BEING_DELETED,
   * SNAPSHOT_DISKS_DIFFER, SNAPSHOT_UNSUPPORTED, DISK_BUSY, VM_HAS_SAVED_STATE, ETAG_MISMATCH, and for
   * memory as `requireKeepable`.
   */
  admit({ snapshot, force, discardMemory = false, etag }: RevertSnapshotRequest, vm) {
    requireSpecOf(etag, vm);
    const found = requireSnapshot(vm, snapshot);
    requireUsable(vm.name, found, layeredDisks(vm));
    requireNotSaved(vm);
    requireOff(vm.name, vm.state, force);
    const memory = hasMemory(found) && !discardMemory ? true : undefined;
    if (memory === true) requireKeepable(vm, DISCARD);
    const layers = newLayers(vm, randomUUID().slice(0, 8));
    return defined<Intent>({ id: found.id, name: found.name, force, memory, layers, etag });
  },
  async plan(context, { id, name, layers, memory }, vm) {
    await context.volumes.requireAbsent(layers);
    const found = findSnapshot(vm.snapshots, id);
    if (memory === true && vm.spec !== undefined && hasMemory(found))
      await requireRestorable(context, vm.spec, found);
    return defined<Result>({
      snapshot: name,
      disks: layers.map(({ disk }) => disk).join(","),
      memory: memory && "restored",
      restarts: String(isActive(vm)),
      applies: "now",
    });
  },
  async run(context, asked, run) {
    const effects = effectsOf(run, [STOP, SWITCH]);
    // The begin of a step is recorded lazily, the mark on the run that is ended durably.
    if (run.resumed && hasMarkedRun(run)) effects.add(STOP);
    if (mayHaveContinued(run, effects)) {
      effects.add(SWITCH);
      run.step.goOn();
    }
    try {
      return await revert(context, asked, run, effects);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      const how = effects.has(SWITCH) ? await howFar(context, run.vmId, asked) : "not switched";
      // The start of the guest has failed, or a deletion.
      if (how === "recorded") throw error;
      if (how === "switched") throw outcomeUnknown(error);
      // A guest that has ended since may have written to the layers.
      if (mayHaveContinued(run, effects)) {
        await keepLayers(context, run.vmId, asked).catch((cause: unknown) => {
          throw outcomeUnknown(toSocleError(cause));
        });
        throw layersKept(error, asked.layers);
      }
      throw await undoAll(context, run, undoes(context, run, asked, effects), error);
    }
  },
});

async function revert(
  context: RunContext,
  { id, name, force, memory, layers, etag }: Intent,
  run: WorkRun,
  effects: Set<string>,
): Promise<Result> {
  const { domains } = context;
  const { vmId, step } = run;
  const { spec } = await beginChange(context, run, { etag, of: "devices", hasBegun: effects.size > 0 });
  let { snapshots } = await readSpec(context, vmId);
  // An earlier run may have left its QEMU, which ran no guest.
  const hasAsked = mayHaveContinued(run, effects);
  if (hasOwnQemu(run) && !effects.has(STOP) && !hasAsked)
    await step("stop paused", () => endQemu(context, vmId), 0.05);
  const wasOn = effects.has(STOP) || (!hasAsked && isActive(await domains.state(vmId)));
  let continues = hasContinued(run);
  if (!isReverted(snapshots, layers)) {
    const own = requireSameLayers(spec, snapshots, layers);
    const found = requireSnapshot({ name: spec.name, snapshots }, id);
    requireUsable(spec.name, found, own);
    if (memory === true && !hasAsked) {
      await requireRestorable(context, spec, withMemory(found));
      await requireAsNoted(context, vmId, own);
    }
    if (!effects.has(STOP) && !hasAsked)
      requireOff(spec.name, (await domains.state(vmId))?.state ?? "stopped", force);
    const below = ({ disk, volume }: OwnDisk): string => found.volumes[disk] ?? volume.volume;
    // A layer that a guest may have written to is not made anew.
    const overlays = hasAsked
      ? await requireExisting(context, layers).catch((thrown: unknown) => {
          throw outcomeUnknown(toSocleError(thrown));
        })
      : await provideLayers(context, run, { layers, effects }, { own, below, part: 0.3 });
    if (!hasAsked) await forgetCheckpoints(context, run, spec);
    if (wasOn && !hasAsked) {
      step.commit();
      await stop(context, run, effects);
    }
    effects.add(SWITCH);
    if (memory === true) {
      step.commit();
      const asked = { spec, snapshot: withMemory(found), snapshots, layers, overlays, effects };
      continues = await step("start", () => restoreMemory(context, run, asked), 0.2);
    } else await step(SWITCH, () => switchOff(context, { id: vmId, name: spec.name }, own, overlays), 0.2);
    step.commit();
    snapshots = await step("write snapshot", () =>
      // What has changed since a backup is not known any more.
      rewriteKept(context, vmId, (now) => ({
        snapshots: reverted(now.snapshots, id, own, layers),
        backups: withoutWhole(now.backups),
      })).then((kept) => kept.snapshots),
    );
  }
  // First the guest: a pool that refuses a deletion must not keep it off.
  const now = snapshots;
  const failure =
    memory === true
      ? continues
        ? undefined
        : hasRun()
      : wasOn
        ? await step("start", () => startAgain(context, spec, now), 0.2).then(
            () => undefined,
            (thrown: unknown) => toSocleError(thrown),
          )
        : undefined;
  if (failure !== undefined && isUndecided(failure, run)) throw failure;
  const { loose } = snapshots;
  if (hasLeftovers(snapshots))
    snapshots = await step("delete volumes", () => removeLoose(context, spec, loose)).catch(
      (thrown: unknown) => {
        throw failure === undefined ? thrown : notStarted(spec.name, name, failure, memory);
      },
    );
  if (looseMemoryOf(snapshots).length > 0) {
    await forgetLooseMemory(context, vmId);
    ({ snapshots } = await readSpec(context, vmId));
  }
  const state = (await domains.state(vmId))?.state ?? "stopped";
  await stampComplete(context, run, isActive({ state }));
  await seenWithSnapshots(context, vmId, snapshots);
  await seen(context, vmId, (vm) => isActive(vm) === isActive({ state }));
  // A guest that another client has started has the disks that were asked for.
  if (failure !== undefined && memory === true && isActive({ state }))
    throw notRestored(spec.name, name, failure);
  if (failure !== undefined && !isActive({ state })) throw notStarted(spec.name, name, failure, memory);
  return defined<Result>({
    snapshot_id: id,
    snapshot: name,
    restarted: String(wasOn),
    memory: memory && "restored",
  });
}

function withMemory(found: Snapshot): Parameters<typeof requireRestorable>[2] {
  if (hasMemory(found)) return found;
  const message = `snapshot ${found.name} has no memory any more: ${DISCARD}`;
  throw new SocleError("conflict", "SNAPSHOT_MEMORY_LOST", message);
}

function notStarted(vm: string, snapshot: string, cause: SocleError, memory?: true): SocleError {
  const orElse = memory === true ? ", or revert again, to its memory" : "";
  const message = `VM ${vm} has the disks of snapshot ${snapshot}, but did not start: ${cause.message}: start it (socle vm start ${vm}), which boots it from them${orElse}`;
  return new SocleError("conflict", "VM_NOT_STARTED", message, { cause });
}

function notRestored(vm: string, snapshot: string, cause: SocleError): SocleError {
  const message = `VM ${vm} runs with the disks of snapshot ${snapshot}, and may have booted from them: ${cause.message}: revert again for its memory`;
  return new SocleError("conflict", "VM_NOT_STARTED", message, { cause });
}

/** Of a guest that runs, libvirt would put the overlays above its present files. */
async function switchOff(
  context: RunContext,
  { id, name }: Pick<VmSpec, "id" | "name">,
  own: readonly OwnDisk[],
  overlays: readonly Overlay[],
): Promise<void> {
  const { domains } = context;
  if (await domains.layers.isSwitched(id, overlays)) return;
  await requireAsNoted(context, id, own);
  requireOff(name, (await domains.state(id))?.state ?? "stopped", false);
  await dropCheckpoints(context, id);
  await domains.layers.switchTo(id, overlays);
}

/** Ends the run of the guest that the operation found. */
async function stop(context: RunContext, run: WorkRun, effects: Set<string>): Promise<void> {
  const { domains } = context;
  const { vmId, step } = run;
  if (!isActive(await domains.state(vmId))) return;
  const guestRun = await holdsRun(context, run, "revert again");
  if (guestRun === undefined) return;
  effects.add(STOP);
  const isOver = async (): Promise<boolean> => !(await isInRun(context, run, guestRun));
  await step.durable(STOP, () => domains.destroy(vmId, { isOver }), 0.1);
}

export async function startAgain(context: RunContext, spec: VmSpec, snapshots: Snapshots): Promise<void> {
  const { domains, table, volumes } = context;
  if (isActive(await domains.state(spec.id))) return;
  const vm = table.get(spec.id);
  if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
  await checkVolumes(context, spec, snapshots);
  await restoreKeys(context, spec);
  await domains.start(spec.id, culpritOf(spec));
}

const isReverted = ({ active }: Snapshots, layers: readonly Layer[]): boolean =>
  layers.every(({ disk, volume }) => active[disk] === volume);

/** The volumes that the guest wrote to are of no snapshot. */
function reverted(now: Snapshots, id: string, own: readonly OwnDisk[], layers: readonly Layer[]): Snapshots {
  const left = own.map(({ disk, volume: { volume } }) => ({ disk, volume }));
  const active = Object.fromEntries(layers.map(({ disk, volume }) => [disk, volume]));
  return {
    ...withLoose(withoutLoose(now, looseOf(layers)), left),
    current: id,
    active: { ...now.active, ...active },
  };
}

async function howFar(
  context: WorkContext,
  vmId: string,
  { layers }: Intent,
): Promise<"recorded" | "switched" | "not switched"> {
  const { domains } = context;
  try {
    if ((await domains.state(vmId)) === undefined) return "not switched";
    if (isReverted((await readSpec(context, vmId)).snapshots, layers)) return "recorded";
    const overlays = await existing(context, layers);
    if (overlays === undefined) return "not switched";
    return (await domains.layers.isSwitched(vmId, overlays)) ? "switched" : "not switched";
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
}

/** Without its domain, nothing notes them. */
async function keepLayers(context: WorkContext, vmId: string, { layers }: Intent): Promise<void> {
  if ((await context.domains.state(vmId)) !== undefined) await keepInDoubt(context, vmId, layers);
}

function undoes(context: RunContext, { vmId }: WorkRun, { layers }: Intent, effects: Set<string>): Undo[] {
  const start: Undo = {
    step: STOP,
    async remove() {
      if ((await context.domains.state(vmId)) === undefined) return;
      const { spec, snapshots } = await readSpec(context, vmId);
      await startAgain(context, spec, snapshots);
    },
  };
  // First the guest: a pool that refuses a deletion must not keep it off.
  return [...undoLayers(context, vmId, { layers, effects }), ...(effects.has(STOP) ? [start] : [])];
}

/** Throws `conflict` SNAPSHOT_BEING_DELETED, SNAPSHOT_DISKS_DIFFER. */
function requireUsable(vm: string, { name, deleting, volumes }: Snapshot, own: readonly OwnDisk[]): void {
  if (deleting === true) {
    const message = `the deletion of snapshot ${name} of VM ${vm} has begun, so its disks may be newer in part: complete it (socle vm snapshot rm), and revert to another`;
    throw new SocleError("conflict", "SNAPSHOT_BEING_DELETED", message, {
      details: { fields: { snapshot: message } },
    });
  }
  const other = own.find(({ disk }) => volumes[disk] === undefined);
  if (other === undefined) return;
  const message = `disk ${other.disk} of VM ${vm} is not in snapshot ${name}, since it was attached later: detach it first, then attach it again`;
  throw new SocleError("conflict", "SNAPSHOT_DISKS_DIFFER", message, {
    details: { fields: { snapshot: message }, metadata: { disk: other.disk } },
  });
}

function requireOff(vm: string, state: VmState, force: boolean): void {
  if (force || !isActive({ state })) return;
  const message = `VM ${vm} is ${state}: stop it first, or revert with force, which stops it as a power cut does and starts it again`;
  throw new SocleError("conflict", "VM_RUNNING", message, { details: { fields: { force: message } } });
}
