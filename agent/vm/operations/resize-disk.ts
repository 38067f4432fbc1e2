import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { defined } from "../../kernel/defined.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { bytes } from "../../contract/spec-values.ts";
import { tenantOfVolume } from "../../contract/spec-volume-name.ts";
import type { DiskSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { checkPart } from "../model/spec-check.ts";
import { ownDisk } from "../model/volume-names.ts";
import type { Vm, VmState } from "../model/vm.ts";
import { isEncrypted } from "../model/sealed-keys.ts";
import { diskAlias } from "../model/device-names.ts";
import { forgetBroken, mayHaveBitmap } from "./forget-checkpoints.ts";
import { defineOperation } from "./definition.ts";
import { requireRecorded } from "./recorded.ts";
import { requireDisk, requireIdle } from "./detach-disk.ts";
import { volumeSchema } from "./erasure.ts";
import { stampComplete } from "./guest-run.ts";
import { mayBeBelow } from "./own-volume.ts";
import { hasOwnQemu, withQemu } from "./paused-qemu.ts";
import { requireSpecOf } from "./request.ts";
import { beginChange, changeIntent, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import { mayHaveBegun, type WorkContext } from "./work.ts";

const RESIZE = "resize";

const SECTOR_BYTES = 512;
const capacity = bytes.multipleOf(SECTOR_BYTES, `must be a multiple of ${SECTOR_BYTES} bytes`);

const intent = z.object({
  disk: z.string(),
  volume: volumeSchema,
  /** The disks of VMs that may be below the volume. */
  below: z.array(z.string()).exactOptional(),
  /** The other layers of the disk, in its pool: each may grow as the disk, and counts so. */
  layers: z.array(z.string()).exactOptional(),
  capacityBytes: z.number(),
  /** Of the volume, at admission. */
  fromBytes: z.number(),
  /** In the spec, which quotas count, at admission; absent for a volume that was not made for the VM. */
  ownBytes: z.number().exactOptional(),
  encrypted: z.literal(true).exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface ResizeRequest {
  readonly disk: string;
  /** Unvalidated. */
  readonly capacityBytes: number;
  readonly etag?: string | undefined;
  /** The volume's present capacity. */
  readonly fromBytes?: number;
}

/** Enlarges a disk, also of a running guest. A disk that is as large already is left alone. */
export const resizeDisk = defineOperation({
  kind: "RESIZE_DISK",
  intent,
  lane: "command",
  notDuringBackup: ({ disk }) => ({ disk }),
  mayLeaveHalf: true,
  endState: "unchanged",
  grows: ({ volume, layers = [], capacityBytes, ownBytes = capacityBytes }) => ({
    volumes: [volume.volume, ...layers].map((name) => ({ pool: volume.pool, volume: name, capacityBytes })),
    diskBytes: Math.max(0, capacityBytes - ownBytes) * (1 + layers.length),
  }),
  async prepare(request: ResizeRequest, vm, { volumes }) {
    checkPart(z.object({ capacityBytes: capacity }), request);
    const disk = requireDisk(vm, request.disk);
    await volumes.rawFiles.refuse(volumeOf(vm, disk), "use");
    const { capacityBytes } = await volumes.resolve(volumeOf(vm, disk), belowOf(vm, disk));
    return { ...request, fromBytes: capacityBytes };
  },
  /**
   * Throws `not_found` DISK_NOT_FOUND, `invalid` DISK_READ_ONLY and CAPACITY_TOO_SMALL, `denied` VOLUME_DENIED and RAW_FILE_REFUSED, `conflict`
   * DISK_BUSY and ETAG_MISMATCH.
   */
  admit({ disk: name, capacityBytes, etag, fromBytes = 0 }: ResizeRequest, vm, { byTenant }) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const disk = requireDisk(vm, name);
    if (disk.readOnly) throw readOnly(name);
    if (capacityBytes < fromBytes) throw tooSmall(name, capacityBytes, fromBytes);
    requireIdle(vm, name);
    const ownBytes = disk.source.kind === "new" ? (disk.source.capacityBytes ?? fromBytes) : undefined;
    // A quota counts only the disks made for VMs, and the tenant's own volumes.
    const volumes = volumesOf(vm, disk);
    const isTenants = tenantOfVolume(volumes.volume.volume) === vm.tenant;
    if (ownBytes === undefined && byTenant && !isTenants) throw notYours(name);
    if (isEncrypted(disk) && !isActive(vm)) throw needsGuest(name, vm.state);
    return defined<Intent>({
      disk: name,
      ...volumes,
      capacityBytes,
      fromBytes,
      ownBytes,
      encrypted: isEncrypted(disk) ? true : undefined,
      etag,
    });
  },
  plan: (_context, { disk, capacityBytes, fromBytes }) =>
    Promise.resolve({
      disk,
      capacity_bytes: String(capacityBytes),
      before_bytes: String(fromBytes),
      applies: "now",
    }),
  async run(context, intent, run) {
    const { domains } = context;
    const { disk, capacityBytes, ownBytes } = intent;
    const { vmId, step } = run;
    // A disk cannot be made smaller again: the spec, which quotas count, must follow.
    if (mayHaveBegun(run, RESIZE)) step.goOn();
    const { spec: before } = await beginChange(context, run, {
      etag: intent.etag,
      of: "devices",
      hasBegun: mayHaveBegun(run, RESIZE),
    });
    // An operation before this one may have detached it.
    const present = requireDisk({ name: before.name, spec: before }, disk);
    // It may have made a snapshot as well: the guest writes to a new layer.
    const { snapshots, backups } = await readSpec(context, vmId);
    const layered = { id: vmId, snapshots };
    const now = { ...intent, ...volumesOf(layered, present) };
    if (!mayHaveBegun(run, RESIZE)) await requireRecorded(context, vmId);
    step.commit();
    const enlarge = (name: string) => step(name, () => grow(context, vmId, now), 0.8);
    // An earlier run may have left its QEMU.
    const first = hasOwnQemu(run) ? undefined : await refusalOf(enlarge(RESIZE));
    if (hasOwnQemu(run) || first !== undefined) {
      if (first !== undefined && (!isOfFile(first) || !mayHaveBitmap(backups, disk))) throw first;
      await withQemu(context, run, before, async () => {
        const isMended = await forgetBroken(context, vmId, disk);
        if (first !== undefined && !isMended) throw first;
        await enlarge("resize without bitmaps");
      });
    }
    const spec =
      ownBytes !== undefined
        ? await step("write spec", () =>
            rewriteSpec(context, vmId, (stored) => withCapacity(stored, disk, capacityBytes)),
          )
        : undefined;
    await stampComplete(context, run, isActive(await domains.state(vmId)));
    if (spec !== undefined) await seenWith(context, spec);
    return { disk, capacity_bytes: String(capacityBytes) };
  },
});

/** The error, if it is known that nothing was done. */
const refusalOf = (work: Promise<unknown>): Promise<SocleError | undefined> =>
  work.then(
    () => undefined,
    (thrown: unknown) => toSocleError(thrown),
  );

/** QEMU, or qemu-img, refused the file. */
const isOfFile = ({ kind, reason }: SocleError): boolean =>
  reason.startsWith("LIBVIRT_") && (kind === "internal" || kind === "conflict" || kind === "invalid");

/** QEMU has a running guest's disk open, so only QEMU may change it. */
async function grow(context: WorkContext, vmId: string, intent: Intent): Promise<void> {
  const { disk, volume, below, capacityBytes, encrypted } = intent;
  const { domains, volumes } = context;
  const { devices } = domains;
  const isRunning = isActive(await domains.state(vmId));
  try {
    if (!isRunning) {
      if (encrypted === true) throw needsGuest(disk, "stopped");
      const { path } = await volumes.resolve(volume, below);
      const source = (await devices.disk(vmId, diskAlias(disk)))?.source;
      if (source === undefined || !("path" in source) || source.path !== path) throw replaced(disk, path);
      await volumes.grow(volume, capacityBytes);
      return;
    }
    const target = (await devices.disk(vmId, diskAlias(disk)))?.target.device;
    if (target === undefined)
      throw new SocleError(
        "conflict",
        "DISK_NOT_ATTACHED",
        `the running guest has no disk ${disk}; detach it or restart the VM`,
      );
    if ((await devices.capacityOf(vmId, target)) < capacityBytes)
      await devices.resizeLive(vmId, target, capacityBytes);
  } catch (thrown) {
    // The guest has started or stopped meanwhile.
    if (toSocleError(thrown).kind !== "conflict" || isActive(await domains.state(vmId)) === isRunning)
      throw thrown;
    await grow(context, vmId, intent);
  }
}

const replaced = (disk: string, path: string): SocleError =>
  new SocleError(
    "conflict",
    "DISKS_REPLACED",
    `disk ${disk} does not use ${path} any more, as after an external snapshot, so enlarging that file would not enlarge the ` +
      "disk: commit the snapshot (virsh blockcommit --active --pivot), or enlarge the disk while the guest runs",
  );

type Layered = Pick<Vm, "id" | "snapshots">;

function volumeOf({ id, snapshots }: Layered, disk: DiskSpec): VolumeRef {
  const { source } = disk;
  if (source.kind === "cdrom") throw readOnly(disk.name);
  return source.kind === "new" ? ownDisk(id, disk, source, snapshots).volume : source.volume;
}

const belowOf = ({ id, snapshots }: Layered, disk: DiskSpec): string[] | undefined =>
  disk.source.kind === "new" && snapshots !== undefined
    ? [...mayBeBelow(ownDisk(id, disk, disk.source, snapshots))]
    : undefined;

const layersOf = ({ id, snapshots }: Layered, disk: DiskSpec): string[] =>
  disk.source.kind === "new"
    ? ownDisk(id, disk, disk.source, snapshots).layers.map(({ volume }) => volume)
    : [];

/** For an intent. */
function volumesOf(vm: Layered, disk: DiskSpec): Pick<Intent, "volume" | "below" | "layers"> {
  const layers = layersOf(vm, disk);
  return defined({
    volume: volumeOf(vm, disk),
    below: belowOf(vm, disk),
    layers: layers.length === 0 ? undefined : layers,
  });
}

const withCapacity = (spec: VmSpec, name: string, capacityBytes: number): VmSpec => ({
  ...spec,
  disks: spec.disks.map((disk) =>
    disk.name === name && disk.source.kind === "new"
      ? { ...disk, source: { ...disk.source, capacityBytes } }
      : disk,
  ),
});

const needsGuest = (name: string, state: VmState): SocleError =>
  new SocleError(
    "conflict",
    "VM_STATE_CONFLICT",
    `disk ${name} is encrypted, and libvirt has its passphrase only for a running guest, but the VM is ${state}: start it first`,
    { details: { metadata: { state } } },
  );

function readOnly(name: string): SocleError {
  const message = `disk ${name} is read-only, so its volume cannot be enlarged`;
  return new SocleError("invalid", "DISK_READ_ONLY", message, { details: { fields: { disk: message } } });
}

function tooSmall(name: string, wanted: number, now: number): SocleError {
  const message =
    `disk ${name} has ${formatExactBytes(now)} and cannot be made smaller (${formatExactBytes(wanted)}): the guest's data at ` +
    "its end would be lost; ask for the present size or more";
  return new SocleError("invalid", "CAPACITY_TOO_SMALL", message, {
    details: { fields: { capacity_bytes: message }, metadata: { capacity_bytes: String(now) } },
  });
}

function notYours(name: string): SocleError {
  const message = `the volume of disk ${name} was made neither for the VM nor for its tenant, so only the provider's callers may enlarge it`;
  return new SocleError("denied", "VOLUME_DENIED", message, { details: { fields: { disk: message } } });
}
