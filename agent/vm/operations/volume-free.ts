import { SocleError } from "../../kernel/errors.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { Dependents } from "../storage/overlay-search.ts";
import { listed, usersNow, usersOf, volumeKey, type Users } from "../storage/volume-users.ts";
import type { RunContext } from "./work.ts";

export type VolumeChange = "resize" | "delete" | "import";

/**
 * `own`: the id of this operation's own claim. Throws `conflict` VOLUME_IN_USE if a VM of this host names the volume or an overlay needs it, `unavailable`
 * VOLUME_UNREADABLE and LIBVIRT_UNAVAILABLE if that cannot be known now, and `not_found` VOLUME_NOT_FOUND.
 */
export async function requireVolumeFree(
  context: Pick<RunContext, "volumes" | "table" | "creations">,
  volume: VolumeRef,
  change: VolumeChange,
  onlyTenant: string | undefined,
  own = "",
): Promise<void> {
  if (!(await context.volumes.isThere(volume))) throw volumeNotFound(volume);
  const dependents = await context.volumes.dependents([volume]);
  const users = await usersNow(context, context.creations, [volumeKey(volume), ...dependents.paths]);
  requireNoUsers({ volume, change, onlyTenant, own }, users, dependents);
  // Overlays are in the pool of their base, also those of other hosts.
  if (dependents.unsearched?.includes(volume.pool) !== true) return;
  const message =
    `whether volume ${volumeKey(volume)} has overlays is not known: libvirt cannot read each file of its pool now; ` +
    "retry, and if it persists repair or remove the files that libvirt reports (virsh pool-refresh, vol-list)";
  throw new SocleError("unavailable", "VOLUME_UNREADABLE", message, { details: { retryAfterMs: 5000 } });
}

const advice: Readonly<Record<VolumeChange, string>> = {
  delete: "detach it (DetachDisk) or delete those first",
  resize: "enlarge it as a disk of its VM (ResizeDisk), or detach it first",
  import: "detach it (DetachDisk) or delete those first",
};

/** As `requireVolumeFree`, as far as the users are given. A caller of one tenant sees the names of its own VMs alone. */
export function requireNoUsers(
  {
    volume,
    change,
    onlyTenant,
    own = "",
  }: {
    readonly volume: VolumeRef;
    readonly change: VolumeChange;
    readonly onlyTenant?: string | undefined;
    readonly own?: string;
  },
  users: Users,
  dependents: Pick<Dependents, "paths" | "overlays"> = { paths: [], overlays: [] },
): void {
  const found = usersOf(own, [volume], users, dependents);
  if (found.size === 0) return;
  const isSeen = (id: string): boolean =>
    onlyTenant === undefined ||
    [...users.vms, ...users.creations].some((vm) => vm.id === id && vm.tenant === onlyTenant);
  const seen = new Map([...found].filter(([id]) => isSeen(id)));
  const { names, ids } = seen.size > 0 ? listed(seen) : { names: "the provider", ids: "" };
  const message = `volume ${volumeKey(volume)} is in use by ${names}: ${advice[change]}`;
  throw new SocleError("conflict", "VOLUME_IN_USE", message, { details: { metadata: { users: ids } } });
}

export const volumeNotFound = ({ pool, volume }: VolumeRef): SocleError =>
  new SocleError(
    "not_found",
    "VOLUME_NOT_FOUND",
    `there is no volume ${volume} in pool ${pool}; ListVolumes has their names`,
  );
