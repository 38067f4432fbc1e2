import * as z from "../kernel/zod.ts";
import type { Immutable } from "../kernel/immutable.ts";
import { diskLimits } from "./spec-disk-limits.ts";
import { specEnums } from "./spec-enums.ts";
import { bytes, deviceName, flag, help, resourceName, volumeRef } from "./spec-values.ts";

const newVolume = z.strictObject({
  kind: z.literal("new"),
  pool: resourceName.meta(help("The pool in which the volume is made.", "default")),
  capacityBytes: bytes.meta(help("Default: the base volume's capacity.", "20GiB")).exactOptional(),
  format: z.enum(specEnums.diskFormat.words).meta(help("Default: qcow2.", "qcow2")).default("qcow2"),
  baseVolume: resourceName
    .meta(help("A volume of the same pool; the new one is a copy-on-write overlay of it.", "debian-13.qcow2"))
    .exactOptional(),
  encryption: z
    .enum(specEnums.encryption.words)
    .meta(help("Encrypts the volume with a passphrase of its own; the host needs a volume key.", "luks"))
    .exactOptional(),
});

const cdromDrive = z.strictObject({
  kind: z.literal("cdrom"),
  volume: volumeRef
    .meta(help("Its medium, a raw volume: POOL/VOLUME. Default: none.", "isos/debian-13.iso"))
    .exactOptional(),
});

export const diskSpec = z.strictObject({
  name: deviceName.meta(help("Unique in the VM; the disk's serial number in the guest.", "root")),
  source: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("volume"),
      volume: volumeRef.meta(help("A volume that exists: POOL/VOLUME.", "default/data.raw")),
    }),
    newVolume.meta(help("A volume made for the VM, and deleted with it.")),
    cdromDrive.meta(help("A CD-ROM drive.")),
  ]),
  readOnly: flag("The guest cannot write to it. Always of a CD-ROM drive.", false),
  limits: diskLimits
    .meta(help("Limits of its input and output; not for a CD-ROM drive. Default: none."))
    .exactOptional(),
});
export type DiskSpec = Immutable<z.output<typeof diskSpec>>;

/** The rules of a CD-ROM drive. */
export function refuseDrive(
  { source, readOnly, limits }: DiskSpec,
  index: number,
  refuse: (path: (string | number)[], message: string) => void,
): void {
  if (!readOnly) refuse(["disks", index, "readOnly"], "must be true: a CD-ROM drive is read-only");
  if (limits !== undefined) refuse(["disks", index, "limits"], "must not be given for a CD-ROM drive");
  if (source.kind === "cdrom" && source.volume?.volume.endsWith(".qcow2") === true)
    refuse(["disks", index, "volume"], "must be a raw volume, such as an ISO image, not qcow2");
}
