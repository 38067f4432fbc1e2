import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { diskSpec, type DiskSpec, type VmSpec } from "../../contract/spec.ts";
import { buildDisk } from "../../libvirt/xml/index.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { pastTakenNodes } from "../hypervisor/taken-nodes.ts";
import { withImage } from "../images/image-disks.ts";
import { diskPart, isEncrypted } from "../model/sealed-keys.ts";
import { checkPart, checkRules } from "../model/spec-check.ts";
import { extraOf, withExtra, type ExtraVolume, type Snapshots } from "../model/snapshots.ts";
import { namedVolumes, ownDisk, ownVolumes, type DeviceSpec, type OwnDisk } from "../model/volume-names.ts";
import { diskAlias, diskTarget } from "../model/device-names.ts";
import { scsiController } from "../model/pcie-ports.ts";
import { diskDevice, type NoMedium } from "../observation/domain-document.ts";
import { lookAt } from "../storage/volume-look.ts";
import { requireNotAttached, requireUsable, usersNow, volumeKey, whereOf } from "../storage/volume-users.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { sizedDisk, volumeToMake } from "./own-volume.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll, type Undo } from "./undo.ts";
import { isUndecided, mayHaveBegun, type RunContext, type WorkContext, type WorkRun } from "./work.ts";
import { requireNotSaved } from "./vm-state.ts";

const SECTOR_BYTES = 512;
const CLAIM = "claim volume";
const SPEC = "write spec";
const VOLUME = "make volume";
const ATTACH = "attach";

const intent = z.object({
  disk: diskSpec,
  /** Restricts the caller to the VM's tenant. */
  tenantOnly: z.literal(true).exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface AttachRequest {
  /** Unvalidated. */
  readonly disk: Readonly<Record<string, unknown>>;
  readonly etag?: string | undefined;
}

interface Image {
  readonly path: string;
  readonly format: string;
}

/** Adds a disk to a VM, also to a running guest. A failure undoes what was done. */
export const attachDisk = defineOperation({
  kind: "ATTACH_DISK",
  intent,
  lane: "heavy",
  mayLeaveHalf: true,
  endState: "unchanged",
  adds: ({ disk }) => ({ disks: [disk] }),
  grows({ disk }, vmId) {
    const own = ownOf(vmId, disk);
    if (own === undefined) return { volumes: [], diskBytes: 0 };
    const { capacityBytes = 0 } = own.source;
    return { volumes: [{ ...own.volume, capacityBytes }], diskBytes: capacityBytes };
  },
  async prepare({ disk, ...rest }: AttachRequest, vm, { volumes, keys, images }, requireFree) {
    const asked = checkPart(diskSpec, withImage(disk, "disk", vm.tenant, images.store), "disk");
    requireFree(newDevices(vm, asked));
    if (isEncrypted(asked)) await keys.check();
    return { ...rest, disk: await sizedDisk(asked, volumes) };
  },
  /** Throws `invalid` SPEC_INVALID, `conflict` DISK_EXISTS, VM_HAS_SAVED_STATE and ETAG_MISMATCH. */
  admit({ disk: asked, etag }: AttachRequest, vm, { byTenant }) {
    const disk = checkPart(diskSpec, asked, "disk");
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    requireDriveOff(vm, disk, vm);
    if (vm.spec !== undefined) requireFits(vm.spec, disk);
    return defined<Intent>({ disk, tenantOnly: byTenant ? true : undefined, etag });
  },
  async plan(context, { disk, tenantOnly }, vm) {
    await requireUsableNow(context, vm, disk, { tenantOnly });
    const own = ownOf(vm.id, disk);
    if (own !== undefined) await context.volumes.requireAbsent([own.volume]);
    return { disk: disk.name, applies: appliesTo(vm) };
  },
  async run(context, intent, run) {
    const { disk } = intent;
    const { domains } = context;
    const { vmId, step } = run;
    const effects = new Set([SPEC, VOLUME, ATTACH].filter((name) => mayHaveBegun(run, name)));
    try {
      const { spec } = await beginChange(context, run, {
        etag: intent.etag,
        of: "devices",
        hasBegun: effects.has(ATTACH),
      });
      if (!effects.has(SPEC)) requireFits(spec, disk);
      if (disk.source.kind === "cdrom") requireDriveOff(spec, disk, await domains.state(vmId));
      // The guest may have written to a disk that an earlier run attached.
      const before = await domains.devices.disk(vmId, diskAlias(disk.name));
      const image = before === undefined ? await provide(context, spec, intent, run, effects) : undefined;
      const device =
        before ?? diskDevice(vmId, disk, image ?? unresolved(disk), await freeTarget(context, spec, disk));
      if (disk.source.kind === "cdrom") await requireController(context, vmId);
      effects.add(ATTACH);
      const attach = () => domains.devices.attach(vmId, diskAlias(disk.name), buildDisk(device));
      await step(ATTACH, () => pastTakenNodes(attach), 0.5);
      const state = await domains.state(vmId);
      await stampComplete(context, run, isActive(state));
      await seenWith(context, withDisk(spec, disk));
      return { disk: disk.name, device: device.target.device, applies: appliesTo(state) };
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      throw await undoAll(context, run, undoes(context, run, disk, effects), error);
    }
  },
});

/** Writes the spec, then makes the volume: at no time is there a volume without an owner. Returns the disk's image. */
async function provide(
  context: RunContext,
  spec: VmSpec,
  { disk, tenantOnly }: Intent,
  run: WorkRun,
  effects: Set<string>,
): Promise<Image | NoMedium> {
  const { volumes } = context;
  const { step, done } = run;
  const found = await requireUsableNow(context, spec, disk, { tenantOnly, isNew: !effects.has(SPEC) });
  const own = ownOf(spec.id, disk);
  const isClaimed = done.has(CLAIM);
  // Journaled before any volume is made: a volume of this name that exists later was made by this operation.
  if (own !== undefined && !isClaimed)
    await step.durable(CLAIM, () => volumes.requireAbsent([own.volume]), 0);
  effects.add(SPEC);
  await step(SPEC, () => addToSpec(context, spec.id, disk));
  if (disk.source.kind === "cdrom" && disk.source.volume === undefined) return "no medium";
  if (own === undefined) return found ?? unresolved(disk);
  // Only a volume that libvirt reports as made for this operation may be undone.
  const make = () => volumes.make(volumeToMake(spec.id, own), isClaimed, () => effects.add(VOLUME));
  return await step(VOLUME, make, 0.3);
}

/** An encrypted disk's passphrase goes into the domain with the spec, before its volume is made with it. */
async function addToSpec(context: WorkContext, vmId: string, disk: DiskSpec): Promise<void> {
  const { keys } = context;
  const part = diskPart(disk.name);
  const sealed = isEncrypted(disk) ? (await readSpec(context, vmId)).socle.keys?.[part] : undefined;
  if (sealed !== undefined) await keys.restore(vmId, { [part]: sealed });
  const made = isEncrypted(disk) ? { [part]: sealed ?? (await keys.make(vmId, part)) } : {};
  await rewriteSpec(context, vmId, (spec) => withDisk(spec, disk), {
    keys: (before) => ({ ...before, ...made }),
  });
}

function undoes(
  context: WorkContext,
  { vmId }: WorkRun,
  disk: DiskSpec,
  effects: ReadonlySet<string>,
): Undo[] {
  const { domains, keys, volumes } = context;
  const own = ownOf(vmId, disk);
  const part = diskPart(disk.name);
  const all: Undo[] = [
    {
      step: SPEC,
      async remove() {
        await removeFromSpec(context, vmId, disk.name);
        if (isEncrypted(disk)) await keys.forget(vmId, part);
      },
    },
    {
      step: VOLUME,
      async remove() {
        if (own !== undefined) await volumes.remove(own.volume);
      },
    },
    {
      step: ATTACH,
      remove: () => domains.devices.takeBack(vmId, diskAlias(disk.name)),
    },
  ];
  return all.filter(({ step }) => effects.has(step));
}

/** Removes the disk, and its sealed passphrase, from the spec. Also succeeds without the domain. */
export async function removeFromSpec(
  context: WorkContext,
  vmId: string,
  name: string,
): Promise<VmSpec | undefined> {
  if ((await context.domains.state(vmId)) === undefined) return undefined;
  return await rewriteSpec(
    context,
    vmId,
    (spec) => ({ ...spec, disks: spec.disks.filter((disk) => disk.name !== name) }),
    {
      keys: ({ [diskPart(name)]: _, ...others }) => others,
      snapshots: (snapshots, { disks }) =>
        withoutDisk(
          snapshots,
          disks.find((disk) => disk.name === name),
        ),
    },
  );
}

/** Volumes that wait for their deletion outlive their disk: without its spec, only the note has their pool. */
export function withoutDisk(snapshots: Snapshots, disk: DiskSpec | undefined): Snapshots {
  if (disk?.source.kind !== "new") return snapshots;
  const { pool, capacityBytes = 0 } = disk.source;
  const left = snapshots.loose.filter((each) => each.disk === disk.name);
  const loose = snapshots.loose.filter((each) => each.disk !== disk.name);
  const more = left.map(({ volume, inDoubt }) =>
    defined<ExtraVolume>({ disk: disk.name, pool, volume, capacityBytes, inDoubt }),
  );
  return withExtra({ ...snapshots, loose }, [...extraOf(snapshots), ...more]);
}

/** A VM's new disk, for the checks of its volumes. */
export const newDevices = (
  { id, name, tenant }: Pick<DeviceSpec, "id" | "name" | "tenant">,
  disk: DiskSpec,
): DeviceSpec => ({ id, name, tenant, disks: [disk], nics: [] });

/**
 * Throws as `requireUsable`, on libvirt's present state. Returns the image of a volume that the disk names. `isNew`: the VM
 * does not have the disk yet.
 */
export async function requireUsableNow(
  context: RunContext,
  vm: Pick<DeviceSpec, "id" | "name" | "tenant">,
  disk: DiskSpec,
  {
    tenantOnly = false,
    isNew = true,
  }: { readonly tenantOnly?: boolean | undefined; readonly isNew?: boolean },
): Promise<Image | undefined> {
  const devices = newDevices(vm, disk);
  const looked = await lookAt(context.volumes, devices);
  const users = await usersNow(context, context.creations, whereOf(devices, looked));
  requireUsable(devices, users, tenantOnly, looked);
  if (isNew) requireNotAttached(devices, users, looked);
  const { source } = disk;
  return source.kind === "new" || source.volume === undefined
    ? undefined
    : looked.found.get(volumeKey(source.volume));
}

/** A name that neither the definition nor the running guest uses. */
async function freeTarget(
  { domains }: WorkContext,
  { id, disks }: VmSpec,
  { source: { kind } }: DiskSpec,
): Promise<string> {
  const taken = await domains.devices.diskTargets(id);
  const names = Array.from({ length: taken.size + disks.length + 1 }, (_, index) => diskTarget(index, kind));
  return names.find((name) => !taken.has(name)) ?? diskTarget(taken.size, kind);
}

/** Of CD-ROM drives, in the definition: VMs are made without it if they have none. */
async function requireController({ domains }: WorkContext, vmId: string): Promise<void> {
  const controllers = (await domains.document(vmId))?.devices.controllers ?? [];
  if (controllers.some(({ type }) => type === "scsi")) return;
  await domains.devices.addControllers(vmId, [scsiController]);
}

const withDisk = (spec: VmSpec, disk: DiskSpec): VmSpec =>
  spec.disks.some(({ name }) => name === disk.name) ? spec : { ...spec, disks: [...spec.disks, disk] };

function requireFits(spec: VmSpec, disk: DiskSpec): void {
  const { name } = disk;
  if (spec.disks.some((other) => other.name === name)) {
    const message = `VM ${spec.name} has a disk ${name} already; choose another name`;
    throw new SocleError("already_exists", "DISK_EXISTS", message, {
      details: { fields: { "disk.name": message } },
    });
  }
  requireNotOwn(spec, disk);
  requireWholeSectors(disk);
  checkRules(withDisk(spec, disk), { part: ["disks", spec.disks.length], root: "disk" });
}

/** Throws `conflict` VM_STATE_CONFLICT: libvirt adds no CD-ROM drive to a running guest, and takes none from it. */
export function requireDriveOff(
  { name: vm }: Pick<VmSpec, "name">,
  { name, source }: DiskSpec,
  now: Parameters<typeof isActive>[0],
): void {
  if (source.kind !== "cdrom" || !isActive(now)) return;
  const message = `drive ${name} can be attached and detached only while VM ${vm} is off; its medium can be changed at any time (ChangeMedia)`;
  throw new SocleError("conflict", "VM_STATE_CONFLICT", message, { details: { fields: { disk: message } } });
}

/** QEMU opens no raw image with a part of a sector, and libvirt rounds up those of other formats. */
function requireWholeSectors({ source }: DiskSpec): void {
  if (source.kind !== "new" || (source.capacityBytes ?? 0) % SECTOR_BYTES === 0) return;
  const message = `must be a multiple of ${SECTOR_BYTES} bytes`;
  const fields = { "disk.capacityBytes": message };
  throw new SocleError("invalid", "SPEC_INVALID", `disk.capacityBytes ${message}`, { details: { fields } });
}

/** Throws `invalid` SPEC_INVALID for a volume that was made for this VM: its disk or its seed has it already. */
function requireNotOwn(spec: VmSpec, disk: DiskSpec): void {
  const own = new Set(ownVolumes(spec).map(volumeKey));
  const named = namedVolumes({ disks: [disk] }).map(volumeKey);
  const twice = named.find((key) => own.has(key));
  if (twice === undefined) return;
  const message = `the volume ${twice} is used by another disk of VM ${spec.name}; name another volume`;
  throw new SocleError("invalid", "SPEC_INVALID", message, {
    details: { fields: { "disk.volume": message } },
  });
}

const ownOf = (vmId: string, disk: DiskSpec): OwnDisk | undefined =>
  disk.source.kind === "new" ? ownDisk(vmId, disk, disk.source) : undefined;

function unresolved({ name }: DiskSpec): never {
  throw new Error(`the volume of disk ${name} was not looked at`);
}
