import { defined } from "../../kernel/defined.ts";
import { secretUuid } from "../keys/guest-keys.ts";
import { diskPart } from "../model/sealed-keys.ts";
import type { OwnDisk } from "../model/volume-names.ts";
import type { Volumes, VolumeToMake } from "../storage/volumes.ts";
import type { DiskSpec } from "../../contract/spec.ts";

/** The volume to make for a VM's disk. */
export const volumeToMake = (vmId: string, own: OwnDisk): VolumeToMake => {
  const {
    volume: { pool, volume },
    source,
  } = own;
  return defined({
    pool,
    name: volume,
    format: source.format,
    capacityBytes: source.capacityBytes,
    base: source.baseVolume,
    secretUuid: secretOf(vmId, own),
  });
};

/** The libvirt secret with the passphrase of an encrypted disk. */
export const secretOf = (
  vmId: string,
  { disk, source }: Pick<OwnDisk, "disk" | "source">,
): string | undefined => (source.encryption === undefined ? undefined : secretUuid(vmId, diskPart(disk)));

/**
 * Fills in the capacity of a new disk: by default the base volume's, as it is now. Throws as Volumes.resolve, and `denied`
 * RAW_FILE_REFUSED.
 */
export async function sizedDisk(
  disk: DiskSpec,
  volumes: Pick<Volumes, "resolve" | "rawFiles">,
): Promise<DiskSpec> {
  const { source } = disk;
  if (source.kind === "new" && source.format === "raw")
    await volumes.rawFiles.refuse({ pool: source.pool, volume: `${disk.name}.raw` }, "make");
  if (source.kind !== "new" || source.capacityBytes !== undefined || source.baseVolume === undefined)
    return disk;
  const { capacityBytes } = await volumes.resolve({ pool: source.pool, volume: source.baseVolume });
  return { ...disk, source: { ...source, capacityBytes } };
}

/** The names of the volumes that may be below a disk's: its base volume and its layers. */
export const mayBeBelow = ({ layers, source }: OwnDisk): readonly string[] => [
  ...layers.map(({ volume }) => volume),
  ...(source.baseVolume === undefined ? [] : [source.baseVolume]),
];

/** The volume that the guest uses. Throws as Volumes.resolve. */
export const resolveOwn = (volumes: Pick<Volumes, "resolve">, own: OwnDisk): ReturnType<Volumes["resolve"]> =>
  volumes.resolve(own.volume, mayBeBelow(own));
