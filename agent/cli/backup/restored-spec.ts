import { SocleError } from "../../kernel/errors.ts";
import type { Disk } from "../../gen/socle/v1/Disk.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import type { Manifest, StoredBackup, StoredDisk } from "./manifest.ts";

export interface RestoreOptions {
  readonly name?: string;
  readonly id?: "keep" | "new";
  readonly pool?: string;
  readonly keepMacs?: boolean;
  /** Keeps what the spec names of the host, such as volumes that the VM reads; else that is refused. */
  readonly keepVolumes?: boolean;
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
  backup: StoredBackup,
  newId: string,
  { name = vm.name, id = "new", pool, keepMacs = false, keepVolumes = false }: RestoreOptions,
): RestoredSpec {
  // As the agent showed it; the agent checks it again.
  const given = backup.spec as VmSpec;
  if (!keepVolumes) requireNothingOfHost(given, backup);
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
      if (isOfHost(disk)) return [disk];
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

/** A disk that the VM only reads, and that is no part of a backup: the VM gets it as it is on the host. */
const isOfHost = ({ newVolume, cdrom, readOnly }: Disk): boolean =>
  newVolume == null && cdrom == null && readOnly === true;

/** An archive may come from anywhere, and what has these names on this host may be anything. */
function requireNothingOfHost(
  { disks, kernelBoot, nics, placement }: VmSpec,
  { disks: stored }: StoredBackup,
): void {
  const isStored = ({ name }: Disk): boolean => stored.some(({ disk }) => disk === name);
  const volumes = [
    ...(disks ?? []).flatMap((disk) =>
      isOfHost(disk) && !isStored(disk) ? [[`disk ${disk.name ?? ""}`, disk.volume] as const] : [],
    ),
    ["the kernel", kernelBoot?.kernel] as const,
    ["the initial RAM disk", kernelBoot?.initrd] as const,
  ].flatMap(([what, volume]) =>
    volume == null ? [] : [`${what} is ${volume.volume ?? ""} of pool ${volume.pool ?? ""}`],
  );
  const networks = (nics ?? []).flatMap(({ name = "", bridge, allowSpoofing }) => [
    ...(bridge == null || bridge === "" ? [] : [`NIC ${name} is on bridge ${bridge}`]),
    ...(allowSpoofing === true ? [`NIC ${name} may spoof addresses`] : []),
  ]);
  const devices = (placement?.devices ?? []).map((device) => `it has the host's device ${device}`);
  const named = [...volumes, ...networks, ...devices];
  if (named.length === 0) return;
  const message = `the VM would use what its archive names of this host: ${named.join("; ")}. If that is what is meant, repeat with --keep-volumes`;
  throw new SocleError("invalid", "ARCHIVE_NAMES_VOLUMES", message);
}
