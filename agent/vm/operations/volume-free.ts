import { SocleError } from "../../kernel/errors.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { imageOfVolume, tenantOfVolume } from "../../contract/spec-volume-name.ts";
import { vmOfVolume } from "../model/volume-names.ts";
import type { BusyWait, Dependents } from "../storage/overlay-search.ts";
import { isImport, listed, usersNow, usersOf, volumeKey, type Users } from "../storage/volume-users.ts";
import { readByImport } from "../storage/volume-refusals.ts";
import type { RunContext } from "./work.ts";

export interface VolumeChange {
  readonly volume: VolumeRef;
  readonly change: "resize" | "delete" | "import";
  /** Restricts the caller to this tenant. */
  readonly onlyTenant?: string | undefined;
  /** The id of this operation's own claim. */
  readonly own?: string;
  /** How long the volume's pool may be busy; absent: shortly. */
  readonly wait?: BusyWait | undefined;
}

/**
 * Throws `conflict` VOLUME_IN_USE if a VM of this host names the volume, an import reads it or an overlay needs it,
 * `unavailable` VOLUME_UNREADABLE and LIBVIRT_UNAVAILABLE if that cannot be known now, and `not_found` VOLUME_NOT_FOUND.
 */
export async function requireVolumeFree(
  context: Pick<RunContext, "volumes" | "table" | "creations">,
  change: VolumeChange,
): Promise<void> {
  const { volume, wait } = change;
  if (!(await context.volumes.isThere(volume))) throw volumeNotFound(volume);
  const dependents = await context.volumes.dependents([volume], wait);
  const users = await usersNow(context, context.creations, [volumeKey(volume), ...dependents.paths]);
  requireNoUsers(change, users, dependents);
  // Overlays are in the pool of their base, also those of other hosts.
  if (dependents.unsearched?.includes(volume.pool) !== true) return;
  const message =
    `whether volume ${volumeKey(volume)} has overlays is not known: libvirt cannot read each file of its pool now; ` +
    "retry, and if it persists repair or remove the files that libvirt reports (virsh pool-refresh, vol-list)";
  throw new SocleError("unavailable", "VOLUME_UNREADABLE", message, { details: { retryAfterMs: 5000 } });
}

const advice: Readonly<Record<VolumeChange["change"], string>> = {
  delete: "detach it (DetachDisk) or delete those first",
  resize: "enlarge it as a disk of its VM (ResizeDisk), or detach it first",
  import: "detach it (DetachDisk) or delete those first",
};

/** As `requireVolumeFree`, as far as the users are given. A caller of one tenant sees the names of its own VMs alone. */
export function requireNoUsers(
  { volume, change, onlyTenant, own = "" }: VolumeChange,
  users: Users,
  dependents: Pick<Dependents, "paths" | "overlays"> = { paths: [], overlays: [] },
): void {
  const found = usersOf(own, [volume], users, dependents);
  if (found.size === 0) return;
  const isSeen = (id: string): boolean =>
    onlyTenant === undefined ||
    [...users.vms, ...users.creations].some((vm) => vm.id === id && vm.tenant === onlyTenant);
  const seen = new Map([...found].filter(([id]) => isSeen(id)));
  if (seen.size > 0 && [...seen.keys()].every(isImport)) throw readByImport(volumeKey(volume));
  const { names, ids } = seen.size > 0 ? listed(seen) : { names: "the provider", ids: "" };
  const message = `volume ${volumeKey(volume)} is in use by ${names}: ${advice[change]}`;
  throw new SocleError("conflict", "VOLUME_IN_USE", message, { details: { metadata: { users: ids } } });
}

/**
 * The tenant that a volume was made for, by its name. `advice`: what to do about a part of an image, and about a volume
 * that was made for a VM. Throws `denied` VOLUME_DENIED for those, and `not_found` VOLUME_NOT_FOUND for one that is not
 * the caller's tenant's, whether it exists or not.
 */
export function requireStandsAlone(
  volume: VolumeRef,
  onlyTenant: string | undefined,
  { ofImage, ofVm }: { readonly ofImage: string; readonly ofVm: string },
): string | undefined {
  const { volume: name } = volume;
  const tenant = tenantOfVolume(name);
  if (onlyTenant !== undefined && tenant !== onlyTenant) throw volumeNotFound(volume);
  if (tenant !== undefined || !name.startsWith("socle-")) return tenant;
  throw volumeDenied(
    volume,
    imageOfVolume(name) !== undefined
      ? `is part of an image: ${ofImage}`
      : vmOfVolume(name) !== undefined
        ? `was made for a VM, which may be on another host: ${ofVm}`
        : "belongs to the agent",
  );
}

export const volumeDenied = (volume: VolumeRef, why: string): SocleError =>
  new SocleError("denied", "VOLUME_DENIED", `volume ${volumeKey(volume)} ${why}`);

export const volumeNotFound = ({ pool, volume }: VolumeRef): SocleError =>
  new SocleError(
    "not_found",
    "VOLUME_NOT_FOUND",
    `there is no volume ${volume} in pool ${pool}; ListVolumes has their names`,
  );
