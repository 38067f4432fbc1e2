import { ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import { encryptedBytes, encryptedImage } from "../../kernel/qcow2/encrypted-image.ts";
import { imageBytes, qcow2Image } from "../../kernel/qcow2/qcow2-image.ts";
import { diskAlias } from "../model/device-names.ts";
import type { OwnDisk } from "../model/volume-names.ts";
import type { VolumeToMake } from "../storage/volumes.ts";
import { unsupported } from "./backup-request.ts";
import { luksOf } from "./disk-luks.ts";
import { secretOf } from "./own-volume.ts";
import type { WorkContext } from "./work.ts";

/** A disk, and the file that takes what the guest overwrites. */
export interface Source extends OwnDisk {
  readonly pool: string;
  readonly scratch: string;
}

export interface SizedSource extends Source {
  readonly device: string;
  readonly path: string;
  readonly secretUuid: string | undefined;
  readonly capacityBytes: number;
}

interface ScratchRun {
  /** The backup's. */
  readonly id: string;
  /** An earlier run has perhaps made them. */
  readonly mayBeThere: boolean;
  readonly signal: AbortSignal;
}

/** Makes the scratch volumes; that of an encrypted disk is encrypted with its passphrase. */
export async function makeScratch(
  context: WorkContext,
  vmId: string,
  own: readonly Source[],
  { id, mayBeThere, signal }: ScratchRun,
): Promise<readonly SizedSource[]> {
  const { domains, volumes } = context;
  const sized: SizedSource[] = [];
  const hasSealed = own.some((source) => secretOf(vmId, source) !== undefined);
  // An encrypted volume would be replaced under the QEMU that writes to it.
  const isUsed = hasSealed && mayBeThere && (await domains.backups.hasBegun(vmId, id));
  for (const source of own) {
    const { pool, scratch: name } = source;
    const device = await deviceOf(domains, vmId, source.disk);
    const capacityBytes = await domains.backups.capacityBytes(vmId, device);
    const secretUuid = secretOf(vmId, source);
    const volume = { pool, name, format: "qcow2", capacityBytes } as const;
    const made = secretUuid === undefined ? await volumes.make(volume, mayBeThere) : undefined;
    if (secretUuid !== undefined && !isUsed) {
      // Of an earlier run, perhaps in part.
      if (mayBeThere) await volumes.remove({ pool, volume: name });
      await fillSealed(context, { vmId, disk: source.disk }, volume, signal);
    }
    const { path } = made ?? (await volumes.resolve({ pool, volume: name }));
    sized.push({ ...source, device, path, secretUuid, capacityBytes });
  }
  return sized;
}

/** libvirt would have it made with as many iterations as take two seconds, in which QEMU's guest then stands still. */
async function fillSealed(
  context: WorkContext,
  { vmId, disk }: { readonly vmId: string; readonly disk: string },
  { pool, name: volume, capacityBytes }: VolumeToMake & { readonly capacityBytes: number },
  signal: AbortSignal,
): Promise<void> {
  const { volumes } = context.images;
  const empty = new ClusterMap(capacityBytes, false);
  const bytes = imageBytes(empty);
  const none = () => Promise.reject(new Error("an empty image has no clusters"));
  const image = encryptedImage(bytes, qcow2Image(empty, none), await luksOf(context, vmId, disk));
  await volumes.requireRoom(pool, encryptedBytes(bytes), "backups");
  await volumes.fill({ pool, volume }, encryptedBytes(bytes), image, { signal });
}

/** Throws `conflict` BACKUP_UNSUPPORTED for a disk that is no file. */
async function deviceOf(domains: WorkContext["domains"], vmId: string, disk: string): Promise<string> {
  const found = await domains.devices.disk(vmId, diskAlias(disk));
  if (found?.source?.type === "file") return found.target.device;
  throw unsupported(disk, `disk ${disk} is no file, so it cannot be in a backup: name the other disks`);
}
