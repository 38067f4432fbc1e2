import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { formatOf } from "../../contract/spec-volume-name.ts";
import { diskOfVolume } from "../model/volume-names.ts";

export const volumeExists = ({ pool, volume }: VolumeRef, cause?: unknown): SocleError =>
  new SocleError(
    "already_exists",
    "VOLUME_EXISTS",
    `pool ${pool} already has a volume ${volume} that this creation did not make; name it as the disk's ` +
      "volume to use it, or delete it",
    { cause, details: { metadata: { pool, volume } } },
  );

export const poolBusy = ({ pool, volume }: VolumeRef, cause: SocleError): SocleError =>
  new SocleError(
    "unavailable",
    "POOL_BUSY",
    `storage pool ${pool} is too busy to check for volume ${volume}: ${cause.message}`,
    { cause, details: { retryAfterMs: 5000 } },
  );

export const poolFull = (pool: string, availableBytes: number): SocleError =>
  new SocleError(
    "exhausted",
    "POOL_FULL",
    `storage pool ${pool} is full: ${formatExactBytes(availableBytes)} are available`,
    { details: { metadata: { dimension: "storage", pool, availableBytes: String(availableBytes) } } },
  );

export const volumeUnreadable = ({ pool, volume }: VolumeRef, cause: SocleError): SocleError =>
  new SocleError(
    "unavailable",
    "VOLUME_UNREADABLE",
    `libvirt cannot read volume ${volume} of pool ${pool}, so its overlays are not known: ${cause.message}. ` +
      "Check its storage and try again; a deletion that keeps the disks (keep_disks) needs no check",
    { cause, details: { retryAfterMs: 5000, metadata: { pool, volume } } },
  );

/** Its first bytes mean another format than its name: a guest, or the author of the file, may have written them. */
export const volumeSuspicious = (
  { pool, name }: { readonly pool: string; readonly name: string },
  seen: string,
): SocleError =>
  new SocleError(
    "denied",
    "VOLUME_SUSPICIOUS",
    `volume ${name} of pool ${pool} begins as a ${seen} image, and its name means ${formatOf(name)}: nothing opens it; ` +
      "if its content is wanted, an operator reads it as the format of its name (qemu-img convert -f " +
      `${formatOf(name)} -O qcow2), and removes it`,
    { details: { metadata: { pool, volume: name } } },
  );

/**
 * A raw volume among files that a guest may write. `directory`: of its pool. `change`: to a volume that exists, with what
 * converts it.
 */
export function rawFileRefused(
  { pool, volume }: VolumeRef,
  directory: string,
  change: "make" | "use",
): SocleError {
  const why = "a guest could forge an image's header in it, which libvirt would follow";
  const message =
    change === "make"
      ? `pool ${pool} keeps volumes as files, and ${volume} would be a raw one: ${why}. Use the format qcow2; raw disks need a pool of block devices (LVM)`
      : `volume ${volume} of pool ${pool} is a raw file: ${why}. Convert it: ${conversionOf({ pool, volume }, directory)}`;
  return new SocleError("denied", "RAW_FILE_REFUSED", message, { details: { metadata: { pool, volume } } });
}

function conversionOf({ pool, volume }: VolumeRef, directory: string): string {
  const disk = diskOfVolume(volume);
  if (disk !== undefined) return `socle vm disk move ${disk.vmId} ${disk.disk} ${pool}`;
  const path = `${directory}/${volume}`;
  return `qemu-img convert -f raw -O qcow2 ${path} ${path.replace(/\.(raw|img)$/, "")}.qcow2`;
}

/** A volume that is being deleted, with its VM or its image, cannot be a base volume. */
export const beingDeleted = (named: VolumeRef): SocleError =>
  new SocleError(
    "conflict",
    "VOLUME_IN_USE",
    `volume ${named.volume} of pool ${named.pool} is being deleted; name another`,
  );

/** An import copies the volume at `at`. A new user would change its file, and the whole copy would be in vain. */
export const readByImport = (at: string): SocleError =>
  new SocleError(
    "conflict",
    "VOLUME_IN_USE",
    `the volume ${at} is in use, an import reads it: wait for its end, or cancel it`,
    { details: { metadata: { users: "" } } },
  );
