import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { invalidField, SocleError, toSocleError } from "../../kernel/errors.ts";
import { diskSpec, type DiskSpec, type VolumeRef } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { culpritOf } from "../hypervisor/start-fault.ts";
import { dataVolume } from "../images/image.ts";
import { overlayOf, rescueDocument, rescueVolumeName, type Rescue } from "../model/rescue.ts";
import { checkPart } from "../model/spec-check.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { newDevices, requireUsableNow } from "./attach-disk.ts";
import { defineOperation, type Result } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { sizedDisk } from "./own-volume.ts";
import { requireSpecOf } from "./request.ts";
import { noteStart } from "./note-start.ts";
import { isRescued, noteRescue } from "./rescue-note.ts";
import { startAgain } from "./revert-snapshot.ts";
import { changeIntent, readSpec } from "./spec-change.ts";
import { checkVolumes, restoreKeys } from "./start.ts";
import { graceOf, stopVm } from "./stop.ts";
import { undoAll, type Undo } from "./undo.ts";
import { requireNotRescued, requireNotSaved, requireNotSavedNow, settled } from "./vm-state.ts";
import { isUndecided, mayHaveBegun, seen, type RunContext, type WorkRun } from "./work.ts";

const RAN = "note that it runs";
const CLAIM = "claim volume";
const NOTE = "note rescue system";
const VOLUME = "make volume";
const START = "start rescue system";

const intent = z.object({
  /** A disk over the image, for the checks of its base volume. */
  disk: diskSpec,
  force: z.boolean(),
  gracefulTimeoutMs: z.number(),
  /** Restricts the caller to the VM's tenant. */
  tenantOnly: z.literal(true).exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface RescueRequest {
  /** The image's name or id; excludes `volume`. */
  readonly image?: string | undefined;
  readonly volume?: VolumeRef | undefined;
  /** A running guest is stopped first. */
  readonly force: boolean;
  readonly gracefulTimeoutMs?: number | undefined;
  readonly etag?: string | undefined;
  /** Set by `prepare`. */
  readonly disk?: DiskSpec;
}

/**
 * Boots a VM from another system, with its own disks behind. The VM's definition stays as it is: the rescue system runs from
 * another document, and is gone with its run. A failure undoes what was done.
 */
export const rescueVm = defineOperation({
  kind: "RESCUE_VM",
  intent,
  // A graceful stop may take long: it holds no place that a start needs.
  lane: "command",
  mayLeaveHalf: true,
  acceptsRescued: true,
  notDuringBackup: "any",
  startsUnder: (_intent, vm) => vm?.accelerator,
  adds: ({ disk }) => ({ disks: [disk] }),
  grows: ({ disk }, vmId) => {
    const { pool, capacityBytes } = rescueFrom(vmId, disk, false);
    return {
      volumes: [{ pool, volume: rescueVolumeName(vmId), capacityBytes }],
      diskBytes: capacityBytes,
    };
  },
  /** Throws as ImageStore.require, and `invalid` SPEC_INVALID. */
  async prepare({ image, volume, ...rest }: RescueRequest, vm, { images, volumes }, requireFree) {
    if ((image === undefined) === (volume === undefined))
      throw invalidField("SPEC_INVALID", "image", "must be given, or a volume, and not both");
    const { pool, volume: baseVolume } =
      image === undefined
        ? (volume ?? { pool: "", volume: "" })
        : dataVolume(images.store.require(image, vm.tenant));
    const source = { kind: "new", pool, baseVolume, format: "qcow2" };
    const disk = checkPart(diskSpec, { name: "rescue", source }, "volume");
    requireFree(newDevices(vm, disk));
    return { ...rest, disk: await sizedDisk(disk, volumes) };
  },
  /** Throws `conflict` VM_RESCUED, VM_RUNNING without `force`, VM_HAS_SAVED_STATE and ETAG_MISMATCH. */
  admit(
    { disk, force, gracefulTimeoutMs, etag }: RescueRequest,
    vm,
    { byTenant, policy: { gracefulStopMs } },
  ) {
    requireSpecOf(etag, vm);
    requireNotRescued(vm);
    requireNotSaved(vm);
    requireOff(vm.name, vm, force);
    if (disk === undefined) throw invalidField("SPEC_INVALID", "image", "must be given");
    return defined<Intent>({
      disk,
      force,
      gracefulTimeoutMs: gracefulTimeoutMs ?? graceOf(vm, gracefulStopMs),
      tenantOnly: byTenant ? true : undefined,
      etag,
    });
  },
  async plan(context, { disk, tenantOnly }, vm) {
    const { volumes } = context;
    await requireUsableNow(context, vm, disk, { tenantOnly });
    await volumes.requireAbsent([overlayOf(rescueFrom(vm.id, disk, false))]);
    return { base_volume: baseOf(disk), stops: String(isActive(vm)), applies: "now" };
  },
  async run(context, asked, run) {
    const effects = new Set([RAN, NOTE, VOLUME, START].filter((name) => mayHaveBegun(run, name)));
    try {
      return await rescue(context, asked, run, effects);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      throw await undoAll(context, run, undoes(context, run, asked, effects), error);
    }
  },
});

async function rescue(
  context: RunContext,
  { disk, force, gracefulTimeoutMs, tenantOnly, etag }: Intent,
  run: WorkRun,
  effects: Set<string>,
): Promise<Result> {
  const { domains, volumes, table } = context;
  const { vmId, operationId, step, done, resumed } = run;
  const before = await settled(context, vmId);
  const { spec, snapshots, rescue: noted } = await readSpec(context, vmId);
  const vm = table.get(vmId);
  if (!resumed && vm !== undefined) requireSpecOf(etag, vm);
  const isClaimed = done.has(CLAIM);
  // Before its claim this operation has noted nothing: the rescue system is that of an earlier one.
  if (!isClaimed) requireNotRescued({ name: spec.name, rescue: noted });
  const isRunning = noted !== undefined && (await isRescued(context, vmId));
  const mustStop = isActive(before) && !isRunning;
  if (mustStop) requireOff(spec.name, before, force);
  const system = noted ?? rescueFrom(vmId, disk, mustStop);
  if (!isRunning) {
    // The saved memory would not fit the disks that the rescue system has changed.
    await requireNotSavedNow(context, vmId);
    // What may be refused comes before the stop. Another VM may have begun to write to the base volume since the request.
    await requireUsableNow(context, spec, disk, { tenantOnly, isNew: !isClaimed });
    if (!isClaimed) await step.durable(CLAIM, () => volumes.requireAbsent([overlayOf(system)]), 0);
    effects.add(NOTE);
    await step(NOTE, () => noteRescue(context, vmId, system));
    const { pool, volume: name, baseVolume: base, capacityBytes } = system;
    const made = await step(
      VOLUME,
      () =>
        volumes.make({ pool, name, format: "qcow2", capacityBytes, base }, isClaimed, () =>
          effects.add(VOLUME),
        ),
      0.3,
    );
    if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
    await step("check volumes", () => checkVolumes(context, spec, snapshots));
    await restoreKeys(context, spec);
    if (mustStop) {
      // Durable before the stop: at the end the VM runs again.
      effects.add(RAN);
      await step.durable(RAN, () => Promise.resolve(), 0);
      await stopVm.run(context, { gracefulTimeoutMs, force }, run);
      await requireNotSavedNow(context, vmId);
    }
    await noteStart(context, vmId);
    await domains.stamps.begin(vmId, operationId);
    const document = await domains.document(vmId);
    if (document === undefined) throw new SocleError("not_found", "VM_NOT_FOUND", `VM ${spec.name} is gone`);
    effects.add(START);
    const from = rescueDocument(document, made.path);
    await step(START, () => domains.start(vmId, culpritOf(spec), { from }), 0.5);
    // libvirt accepts the start of a domain that another client has started meanwhile.
    if (!(await isRescued(context, vmId))) requireOff(spec.name, await settled(context, vmId), false);
  }
  step.commit();
  await stampComplete(context, run, true);
  await seen(context, vmId, (now) => now?.isRescued === true);
  return { base_volume: baseOf(disk), stopped: String(effects.has(RAN)) };
}

function undoes(
  context: RunContext,
  { vmId }: WorkRun,
  { disk }: Intent,
  effects: ReadonlySet<string>,
): Undo[] {
  const { domains, volumes } = context;
  const all: Undo[] = [
    {
      step: NOTE,
      async remove() {
        if ((await domains.state(vmId)) === undefined) return;
        await noteRescue(context, vmId, undefined);
      },
    },
    {
      step: VOLUME,
      async remove() {
        await volumes.remove(overlayOf(rescueFrom(vmId, disk, false)));
      },
    },
    // A pool that refuses a deletion must not keep the guest off.
    {
      step: RAN,
      async remove() {
        if ((await domains.state(vmId)) === undefined) return;
        const { spec, snapshots } = await readSpec(context, vmId);
        await startAgain(context, spec, snapshots);
      },
    },
    {
      step: START,
      async remove() {
        if (await isRescued(context, vmId)) await domains.destroy(vmId);
      },
    },
  ];
  return all.filter(({ step }) => effects.has(step));
}

const baseOf = ({ source }: DiskSpec): string => (source.kind === "new" ? (source.baseVolume ?? "") : "");

function rescueFrom(vmId: string, disk: DiskSpec, startsAfter: boolean): Rescue {
  const { source } = disk;
  if (source.kind !== "new") throw new Error("a rescue system has a new disk");
  const { pool, capacityBytes = 0 } = source;
  return { pool, volume: rescueVolumeName(vmId), baseVolume: baseOf(disk), capacityBytes, startsAfter };
}

function requireOff(name: string, vm: Parameters<typeof isActive>[0], force: boolean): void {
  if (!isActive(vm) || force) return;
  const message = `VM ${name} runs: stop it first, or rescue it with force, which stops it`;
  throw new SocleError("conflict", "VM_RUNNING", message);
}
