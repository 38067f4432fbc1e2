import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { deviceName, resourceName } from "../../contract/spec-values.ts";

// A VM's backups, in the metadata of its domain: the one that can be read, and the newest that its reader has whole. The agent
// stores no backup. What has changed since the newest whole one is in bitmaps of the disks, which libvirt knows as a
// checkpoint with the backup's id. No id is used twice: a bitmap may outlive its checkpoint.

export const backupId = z.string().regex(/^[0-9a-f]{16}$/);

/** Why a disk of a backup over a base is full. */
export const fullReasons = ["NOT_IN_BASE", "BITMAP_LOST", "RAW"] as const;
export type FullReason = (typeof fullReasons)[number];

const backupDisk = z.object({
  disk: deviceName,
  capacityBytes: z.number(),
  /** Only what has changed since the base is read. */
  incremental: z.literal(true).exactOptional(),
  fullReason: z.enum(fullReasons).exactOptional(),
  /** Changes since this backup are recorded. */
  bitmap: z.literal(true).exactOptional(),
});
export type BackupDisk = Immutable<z.output<typeof backupDisk>>;

const shared = {
  id: backupId,
  createdAtMs: z.number(),
  /** The base that the reader named. */
  base: backupId.exactOptional(),
  quiesced: z.literal(true).exactOptional(),
};

const openDisk = backupDisk.extend({
  /** The guest's device. */
  device: z.string(),
  pool: z.string(),
  /** Takes what the guest overwrites meanwhile. */
  scratch: resourceName,
});

const nbdServer = z.object({ address: z.string(), port: z.number() });
export type NbdServer = Immutable<z.output<typeof nbdServer>>;

const open = z.object({
  ...shared,
  disks: z.array(openDisk),
  leaseMs: z.number(),
  /** Of the scratch volume of each disk; 0: the disk's capacity. */
  scratchBytes: z.number(),
  /** Where QEMU serves NBD over TLS; absent: at a socket of the host. */
  nbd: nbdServer.exactOptional(),
  /** libvirt was asked to begin it, and may have; then no other value than "open" is an end. */
  phase: z.enum(["beginning", "open", "ending"]),
  /** The VM was off: it has a QEMU for the backup alone. */
  off: z.literal(true).exactOptional(),
  /** The VM's definition was changed since its QEMU for the backup started. */
  outdated: z.literal(true).exactOptional(),
  /** An error of a disk had paused the guest before the backup began: its end leaves it so. */
  wasPaused: z.literal(true).exactOptional(),
});
export type OpenBackup = Immutable<z.output<typeof open>>;

const whole = z.object({ ...shared, disks: z.array(backupDisk) });
export type WholeBackup = Immutable<z.output<typeof whole>>;

const schema = z.object({
  open: open.exactOptional(),
  /** The base of the next one. */
  whole: whole.exactOptional(),
  /** Checkpoints that are to be deleted once the VM has a QEMU. */
  stale: z.array(backupId),
});
export type Backups = Immutable<z.output<typeof schema>>;

export const noBackups: Backups = { stale: [] };

/** Throws if the text is not what backupsText() returned for this VM. */
export function backupsOf(vmId: string, text: string): Backups {
  const value = schema.parse(parseJson(text));
  for (const { disk, scratch } of value.open?.disks ?? [])
    if (!scratch.startsWith(`socle-${vmId}-${disk}.backup-`))
      throw new Error(`${scratch} is no scratch volume of disk ${disk}`);
  return value;
}

/** Undefined if there is nothing to store. */
export const backupsText = (value: Backups): string | undefined =>
  value.open === undefined && value.whole === undefined && value.stale.length === 0
    ? undefined
    : JSON.stringify(value);

/** Disk names have no dot, and ids of snapshots no dash: no other volume has this name. */
export const scratchName = (vmId: string, disk: string, id: string): string =>
  `socle-${vmId}-${disk}.backup-${id}.qcow2`;

/**
 * The name of a disk's export at the NBD server. A port of TLS serves one backup after another: none has a name of the one before.
 */
export const exportNameOf = ({ id, nbd }: Pick<OpenBackup, "id" | "nbd">, device: string): string =>
  nbd === undefined ? device : `${id}-${device}`;

/** The name of the bitmap of changes at the NBD server. */
export const CHANGES = "changes";

/** The most bytes of a disk's scratch volume. */
export const mostScratchBytes = (
  { scratchBytes }: Pick<OpenBackup, "scratchBytes">,
  capacityBytes: number,
): number => (scratchBytes === 0 ? capacityBytes : Math.min(scratchBytes, capacityBytes));

/** The backup with this id, and whether it can be read. */
export const findBackup = (value: Backups | undefined, id: string): OpenBackup | WholeBackup | undefined =>
  [value?.whole, value?.open].find((each) => each?.id === id);

/** No next backup has the newest whole one as its base. */
export function withoutWhole(value: Backups): Backups {
  const { whole, ...rest } = value;
  return whole === undefined ? value : withStale(rest, whole.id);
}

/** The checkpoint of a backup that is not to be a base goes with it. */
export const withStale = (value: Backups, id: string): Backups => ({
  ...value,
  stale: [...value.stale.filter((each) => each !== id), id],
});
