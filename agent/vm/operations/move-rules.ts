import { SocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isEncrypted } from "../model/sealed-keys.ts";
import type { Vm } from "../model/vm.ts";
import { ownDisk, type NewDisk, type OwnDisk } from "../model/volume-names.ts";
import { requireDisk, requireIdle, requireInNoSnapshot } from "./detach-disk.ts";
import type { WorkContext } from "./work.ts";

/**
 * libvirt records the switch only in a definition with the guest's file: with another one, a guest that stops before the record
 * would start from that. Throws `conflict` DISKS_REPLACED.
 */
export async function requireOwnFile(
  { domains, volumes }: WorkContext,
  { id, name: vm }: VmSpec,
  { disk, volume }: OwnDisk,
): Promise<void> {
  const path = await volumes.pathOf(volume);
  if (path !== undefined && (await domains.layers.isFile(id, disk, path))) return;
  const message = `disk ${disk} of VM ${vm} does not use ${path ?? volume.volume} in its definition and its running guest, as after a change by another client: nothing was moved; compare virsh dumpxml with and without --inactive`;
  throw new SocleError("conflict", "DISKS_REPLACED", message, {
    details: { fields: { disk: message }, metadata: { disk } },
  });
}

type Movable = Pick<Vm, "id" | "name" | "spec" | "snapshots" | "disks">;

export function requireMovable(vm: Movable, name: string): OwnDisk {
  const disk = requireDisk(vm, name);
  const refuse = (kind: "invalid" | "conflict", reason: string, why: string): SocleError =>
    new SocleError(kind, reason, `disk ${name} of VM ${vm.name} ${why}`, {
      details: { fields: { disk: why } },
    });
  const source: NewDisk | undefined = disk.source.kind === "new" ? disk.source : undefined;
  if (source === undefined)
    throw refuse("invalid", "VOLUME_NOT_OWN", "was not made for this VM, so its volume stays in its pool");
  if (disk.readOnly)
    throw refuse("invalid", "DISK_READ_ONLY", "is read-only; detach it, and attach a copy of its volume");
  if (isEncrypted(disk))
    throw refuse(
      "conflict",
      "DISK_ENCRYPTED",
      "is encrypted, and its copy would not be: attach a new encrypted disk in the other pool, and copy the data in the guest",
    );
  requireIdle(vm, name);
  requireInNoSnapshot(vm, name);
  const own = ownDisk(vm.id, disk, source, vm.snapshots);
  if (own.layers.length > 0 || own.volume.volume !== ownDisk(vm.id, disk, source).volume.volume)
    throw refuse(
      "conflict",
      "DISK_HAS_SNAPSHOTS",
      "has layers that a deleted snapshot left: make a snapshot and delete it, which removes them",
    );
  return own;
}

export const cutShort = (disk: string, cause: unknown): SocleError =>
  new SocleError(
    "conflict",
    "MOVE_CUT_SHORT",
    `a forced stop of the VM ended the move of disk ${disk}, which is where it was: move it again`,
    { cause },
  );

export const changed = (vm: string, disk: string): SocleError =>
  new SocleError(
    "conflict",
    "VM_CHANGED",
    `disk ${disk} of VM ${vm} was changed by another operation since the request, and nothing was done; look at the VM, then repeat the request`,
  );
