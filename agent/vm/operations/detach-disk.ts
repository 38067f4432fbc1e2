import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { DiskSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { diskPart, isEncrypted } from "../model/sealed-keys.ts";
import { requireDisksGo } from "../model/tenant-policy.ts";
import { ownDisks } from "../model/volume-names.ts";
import type { Vm } from "../model/vm.ts";
import { diskAlias } from "../model/device-names.ts";
import { requireUnused, usersNow, volumeKey } from "../storage/volume-users.ts";
import { removeFromSpec, requireDriveOff } from "./attach-disk.ts";
import { defineOperation } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, seenWith } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import { mayHaveBegun, type RunContext } from "./work.ts";

const RELEASE = "ask guest";

const intent = z.object({
  disk: z.string(),
  /** The volume that was made for the disk, and is deleted with it. */
  volume: volumeSchema.exactOptional(),
  /** The disk has a passphrase. */
  encrypted: z.literal(true).exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface DetachRequest {
  readonly disk: string;
  readonly deleteVolume: boolean;
  readonly etag?: string | undefined;
}

/** Takes a disk from a VM, also from a running guest, which has to release it. */
export const detachDisk = defineOperation({
  kind: "DETACH_DISK",
  intent,
  lane: "command",
  notDuringBackup: ({ disk }) => ({ disk }),
  mayLeaveHalf: true,
  endState: "unchanged",
  removes: ({ volume }) => (volume === undefined ? [] : [volume]),
  /**
   * Throws `not_found` DISK_NOT_FOUND, `conflict` BOOT_DISK, DISK_BUSY, DISK_HAS_SNAPSHOTS, VOLUME_IN_USE and ETAG_MISMATCH, `invalid`
   * VOLUME_NOT_OWN and ENCRYPTED_DISKS_KEPT, `denied` DISKS_NOT_KEPT.
   */
  admit({ disk: name, deleteVolume, etag }: DetachRequest, vm, { byTenant, policy, table, creations }) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const disk = requireDisk(vm, name);
    requireDriveOff(vm, disk, vm);
    requireNotBoot(vm, name);
    requireIdle(vm, name);
    requireInNoSnapshot(vm, name);
    const own = ownDisks({ id: vm.id, disks: [disk] })[0];
    if (deleteVolume && own === undefined) throw notOwn(name);
    if (own !== undefined && !deleteVolume)
      requireKeepable(vm, disk, byTenant ? policy.permissionsOf(vm.tenant) : undefined);
    const volume = deleteVolume ? own?.volume : undefined;
    // The run looks for overlays that no spec names.
    if (volume !== undefined)
      requireUnused(
        vm.id,
        [volume],
        { vms: table.all(), creations: creations() },
        { paths: [], overlays: [] },
      );
    return defined<Intent>({ disk: name, volume, encrypted: isEncrypted(disk) ? true : undefined, etag });
  },
  async plan(context, { disk, volume }, vm) {
    await requireNoUsers(context, vm.id, volume);
    return { disk, applies: appliesTo(vm), volume: volume === undefined ? "kept" : "deleted" };
  },
  async run(context, { disk, volume, encrypted, etag }, run) {
    const { domains, keys, volumes } = context;
    const { vmId, step, resumed, done } = run;
    // The guest has lost the disk: the rest must follow.
    if (done.has(RELEASE)) step.goOn();
    const { spec: before, snapshots } = await beginChange(context, run, {
      etag,
      of: "devices",
      hasBegun: done.has(RELEASE),
    });
    // An operation before this one may have detached it, kept it in a snapshot, or set the boot order.
    const present = resumed ? undefined : requireDisk({ name: before.name, spec: before }, disk);
    if (present?.source.kind === "cdrom") requireDriveOff(before, present, await domains.state(vmId));
    if (!mayHaveBegun(run, RELEASE)) {
      requireSameVolume(before, disk, volume);
      requireNotBoot({ name: before.name, spec: before }, disk);
      requireInNoSnapshot({ name: before.name, snapshots }, disk);
    }
    await step("look for users", () => requireNoUsers(context, vmId, volume));
    const mayBeAsked = mayHaveBegun(run, RELEASE);
    await step(RELEASE, () => domains.devices.release(vmId, diskAlias(disk), mayBeAsked), 0.6);
    step.commit();
    await step("change definition", () => domains.devices.undefine(vmId, diskAlias(disk)));
    if (volume !== undefined) await step("delete volume", () => volumes.remove(volume));
    const spec = await step("write spec", () => removeFromSpec(context, vmId, disk));
    if (encrypted === true) await step("forget key", () => keys.forget(vmId, diskPart(disk)));
    const state = await domains.state(vmId);
    await stampComplete(context, run, isActive(state));
    if (spec !== undefined) await seenWith(context, spec);
    return { disk, applies: appliesTo(state), volume: volume === undefined ? "kept" : "deleted" };
  },
});

/** An operation before this one may have moved the disk. Throws `conflict` VM_CHANGED. */
function requireSameVolume(
  { id, name: vm, disks }: Pick<VmSpec, "id" | "name" | "disks">,
  disk: string,
  volume: VolumeRef | undefined,
): void {
  const now = ownDisks({ id, disks: disks.filter(({ name }) => name === disk) })[0]?.volume;
  if (volume === undefined || now === undefined || volumeKey(now) === volumeKey(volume)) return;
  const message = `disk ${disk} of VM ${vm} was moved to pool ${now.pool} since its detachment was requested, and nothing was done; detach it again`;
  throw new SocleError("conflict", "VM_CHANGED", message);
}

/** Throws `conflict` VOLUME_IN_USE if another VM, or an overlay, uses a volume that is to be deleted. */
export async function requireNoUsers(
  context: RunContext,
  vmId: string,
  volume: VolumeRef | undefined,
): Promise<void> {
  if (volume === undefined) return;
  const dependents = await context.volumes.dependents([volume]);
  const users = await usersNow(context, context.creations, [volumeKey(volume), ...dependents.paths]);
  requireUnused(vmId, [volume], users, dependents);
}

/** Throws `not_found` DISK_NOT_FOUND. */
export function requireDisk({ name: vm, spec }: Pick<Vm, "name" | "spec">, name: string): DiskSpec {
  const disk = spec?.disks.find((each) => each.name === name);
  if (disk !== undefined) return disk;
  const names = spec?.disks.map((each) => each.name).join(", ") ?? "";
  const message = `VM ${vm} has no disk ${name}; it has ${names === "" ? "none" : names}`;
  throw new SocleError("not_found", "DISK_NOT_FOUND", message, { details: { fields: { disk: message } } });
}

/** Throws `conflict` DISK_HAS_SNAPSHOTS. */
export function requireInNoSnapshot(
  { name: vm, snapshots }: Pick<Vm, "name" | "snapshots">,
  name: string,
): void {
  const found = snapshots?.snapshots.find(({ volumes }) => volumes[name] !== undefined);
  if (found === undefined) return;
  const message = `disk ${name} is in snapshot ${found.name} of VM ${vm}: delete that snapshot first (socle vm snapshot rm)`;
  throw new SocleError("conflict", "DISK_HAS_SNAPSHOTS", message, {
    details: { fields: { disk: message }, metadata: { snapshot: found.id } },
  });
}

function requireNotBoot({ name: vm, spec }: Pick<Vm, "name" | "spec">, name: string): void {
  if (spec === undefined) return;
  if (spec.bootOrder !== undefined) {
    requireNotInBootOrder(spec.bootOrder, `disk ${name} of VM ${vm}`, name, "disk");
    return;
  }
  if (spec.kernelBoot !== undefined || spec.disks[0]?.name !== name) return;
  const message = `disk ${name} is the boot disk of VM ${vm} and cannot be detached; set another boot order, or delete the VM, with keep_disks to keep its data`;
  throw new SocleError("conflict", "BOOT_DISK", message, { details: { fields: { disk: message } } });
}

/** Throws `conflict` BOOT_DISK or BOOT_NIC for a device that the boot order names. */
export function requireNotInBootOrder(
  order: readonly string[],
  device: string,
  name: string,
  kind: "disk" | "nic",
): void {
  if (!order.includes(name)) return;
  const message = `${device} is in the VM's boot order and cannot be detached; take it out first (UpdateVm with boot_order)`;
  const reason = kind === "disk" ? "BOOT_DISK" : "BOOT_NIC";
  throw new SocleError("conflict", reason, message, { details: { fields: { [kind]: message } } });
}

/** Throws `conflict` DISK_BUSY while a job of libvirt copies the disk. */
export function requireIdle({ name: vm, disks }: Pick<Vm, "name" | "disks">, name: string): void {
  if (disks.find((disk) => disk.name === name)?.mirror === undefined) return;
  const message = `disk ${name} of VM ${vm} is being copied by a block job: wait for its end, or abort it (virsh blockjob --abort); if libvirt has no job, it lost one, and a stop and start of the VM ends that`;
  throw new SocleError("conflict", "DISK_BUSY", message, { details: { fields: { disk: message } } });
}

/** As a deletion that keeps disks. `permissions`: of a caller of one tenant. */
function requireKeepable(
  { tenant }: Pick<Vm, "tenant">,
  disk: DiskSpec,
  permissions: Parameters<typeof requireDisksGo>[1] | undefined,
): void {
  if (permissions !== undefined) requireDisksGo(tenant, permissions);
  if (!isEncrypted(disk)) return;
  const message = `the encrypted disk ${disk.name} cannot be kept: its key goes with it; set delete_volume`;
  throw new SocleError("invalid", "ENCRYPTED_DISKS_KEPT", message, {
    details: { fields: { delete_volume: message } },
  });
}

function notOwn(name: string): SocleError {
  const message = `the volume of disk ${name} was not made for this VM, so it stays; leave delete_volume out`;
  return new SocleError("invalid", "VOLUME_NOT_OWN", message, {
    details: { fields: { delete_volume: message } },
  });
}
