import { SocleError } from "../../kernel/errors.ts";
import type { DiskSpec } from "../../contract/spec.ts";
import type { Backups } from "../model/backups.ts";
import { isEncrypted } from "../model/sealed-keys.ts";
import type { Vm } from "../model/vm.ts";
import { ownDisk, type OwnDisk } from "../model/volume-names.ts";
import { requireDisk, requireIdle } from "./detach-disk.ts";

const SHORTEST_LEASE_S = 60;
const LONGEST_LEASE_S = 86_400;
const USUAL_LEASE_S = 600;

/** Throws `invalid` LEASE_INVALID. */
export function leaseOf(seconds: number): number {
  if (seconds === 0) return USUAL_LEASE_S * 1000;
  if (seconds >= SHORTEST_LEASE_S && seconds <= LONGEST_LEASE_S) return seconds * 1000;
  const message = `must be ${SHORTEST_LEASE_S} to ${LONGEST_LEASE_S}, or 0 for ${USUAL_LEASE_S}`;
  throw new SocleError("invalid", "LEASE_INVALID", `lease_seconds ${message}`, {
    details: { fields: { lease_seconds: message } },
  });
}

/** Throws `conflict` BACKUP_BASE_UNKNOWN. */
export function requireBase(vm: string, { whole }: Backups, base: string | undefined): void {
  if (base === undefined || whole?.id === base) return;
  const newest = whole === undefined ? "it has none" : `its newest is ${whole.id}`;
  const message = `backup ${base} is not the newest whole backup of VM ${vm} (${newest}): begin a full one, without base_backup`;
  throw new SocleError("conflict", "BACKUP_BASE_UNKNOWN", message, {
    details: { fields: { base_backup: message } },
  });
}

/**
 * The disks of a backup. Throws `not_found` DISK_NOT_FOUND, `conflict` DISK_BUSY, BACKUP_UNSUPPORTED for one that cannot be
 * in it, and as `requireConsent`.
 */
export function sourcesOf(
  vm: Pick<Vm, "id" | "name" | "spec" | "snapshots" | "disks">,
  names: readonly string[],
  allowEncrypted: boolean,
): OwnDisk[] {
  const asked =
    names.length === 0
      ? (vm.spec?.disks ?? []).filter(({ readOnly, source: { kind } }) => !readOnly && kind !== "cdrom")
      : [...new Set(names)].map((name) => requireDisk(vm, name));
  const own = asked.map((disk) => {
    const other = "name the other disks of the VM";
    if (disk.source.kind === "volume")
      throw unsupported(
        disk.name,
        `disk ${disk.name} of VM ${vm.name} is the volume ${disk.source.volume.volume}, which was not made for the VM: ${other}`,
      );
    if (disk.source.kind === "cdrom")
      throw unsupported(disk.name, `disk ${disk.name} of VM ${vm.name} is a CD-ROM drive: ${other}`);
    requireConsent(vm.name, disk, allowEncrypted);
    requireIdle(vm, disk.name);
    return ownDisk(vm.id, disk, disk.source, vm.snapshots);
  });
  if (own.length > 0) return own;
  throw unsupported("disks", `VM ${vm.name} has no disk that was made for it and that it writes to`);
}

/** Throws `conflict` BACKUP_NOT_ENCRYPTED: the reader of an encrypted disk gets its data in clear. */
export function requireConsent(vm: string, disk: DiskSpec, allowEncrypted: boolean): void {
  if (allowEncrypted || !isEncrypted(disk)) return;
  const message = `disk ${disk.name} of VM ${vm} is encrypted, and who reads its backup gets its data in clear: socle vm backup create --passphrase-file encrypts what it writes; a program that encrypts too allows it (allow_encrypted, --allow-encrypted)`;
  throw new SocleError("conflict", "BACKUP_NOT_ENCRYPTED", message, {
    details: { fields: { allow_encrypted: message }, metadata: { disk: disk.name } },
  });
}

export const unsupported = (disk: string, message: string): SocleError =>
  new SocleError("conflict", "BACKUP_UNSUPPORTED", message, {
    details: { fields: { disks: message }, metadata: { disk } },
  });
