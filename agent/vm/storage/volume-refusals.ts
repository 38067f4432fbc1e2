import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { VolumeRef } from "../../contract/spec.ts";

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
