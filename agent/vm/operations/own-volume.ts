import { defined } from "../../kernel/defined.ts";
import { secretUuid } from "../keys/guest-keys.ts";
import { diskPart } from "../model/sealed-keys.ts";
import type { OwnDisk } from "../model/volume-names.ts";
import type { VolumeToMake } from "../storage/volumes.ts";

/** The volume to make for a VM's disk. */
export const volumeToMake = (
  vmId: string,
  { disk, volume: { pool, volume }, source }: OwnDisk,
): VolumeToMake =>
  defined({
    pool,
    name: volume,
    format: source.format,
    capacityBytes: source.capacityBytes,
    base: source.baseVolume,
    secretUuid: source.encryption === undefined ? undefined : secretUuid(vmId, diskPart(disk)),
  });
