import { SocleError } from "../../kernel/errors.ts";
import type { Disk } from "../../gen/socle/v1/Disk.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import { isOfHost } from "./host-requests.ts";
import type { Manifest, StoredBackup, StoredDisk } from "./manifest.ts";

export interface RestoreOptions {
  readonly name?: string;
  readonly id?: "keep" | "new";
  readonly pool?: string;
  readonly keepMacs?: boolean;
}

export interface RestoredSpec {
  readonly spec: VmSpec;
  /** The newest file of the chain of each disk to restore. */
  readonly disks: readonly StoredDisk[];
  /** What the VM will not have, for people. */
  readonly notes: readonly string[];
}

/** The spec of a VM with plain new volumes for the disks of a backup. `newId`: for `--id new`. */
export function restoredSpec(
  { vm }: Pick<Manifest, "vm">,
  backup: Pick<StoredBackup, "disks"> & { readonly spec: VmSpec },
  newId: string,
  { name = vm.name, id = "new", pool, keepMacs = false }: RestoreOptions,
): RestoredSpec {
  // The agent checks it again.
  const given = backup.spec;
  const notes: string[] = [];
  const toRestore: StoredDisk[] = [];
  const disks = (given.disks ?? []).flatMap((disk): Disk[] => {
    const { newVolume, cdrom } = disk;
    if (cdrom != null) {
      if (cdrom.volume != null) notes.push(`its drive ${disk.name ?? ""} is empty`);
      return [{ ...disk, cdrom: {} }];
    }
    const stored = backup.disks.find((each) => each.disk === disk.name);
    if (stored === undefined) {
      if (isOfHost(disk, backup)) return [disk];
      notes.push(`disk ${disk.name ?? ""} is not in the backup, and the VM will not have it`);
      return [];
    }
    const wanted = pool ?? newVolume?.pool ?? disk.volume?.pool ?? "";
    toRestore.push(stored);
    const { capacityBytes } = stored;
    const encryption = newVolume?.encryption == null ? {} : { encryption: newVolume.encryption };
    if (stored.encryption !== undefined && newVolume?.encryption !== "VOLUME_ENCRYPTION_LUKS")
      notes.push(`its disk ${stored.disk} is not encrypted on the host`);
    // A raw disk, too: its bytes are the guest's, and must not be those of a file.
    const made = { pool: wanted, capacityBytes, format: "DISK_FORMAT_QCOW2", ...encryption } as const;
    return [{ ...disk, volume: null, newVolume: made }];
  });
  if (toRestore.length !== backup.disks.length)
    throw new SocleError("invalid", "BACKUP_DAMAGED", "the manifest has disks that its VM's spec has not");
  const nics = (given.nics ?? []).map((nic) => (keepMacs ? nic : { ...nic, mac: "" }));
  const left = new Set([...disks, ...nics].map((device) => device.name));
  if (given.cloudInit != null) notes.push("it gets no cloud-init seed: its disk has booted before");
  if (given.tpm === true) notes.push("its TPM is empty");
  const spec = {
    ...given,
    name,
    vmId: id === "keep" ? vm.id : newId,
    disks,
    nics,
    bootOrder: (given.bootOrder ?? []).filter((device) => left.has(device)),
    cloudInit: null,
  };
  return { spec, disks: toRestore, notes };
}
