import { SocleError } from "../kernel/errors.ts";
import type { VmSpec, VolumeRef } from "./spec.ts";
import type { Vm } from "./vm.ts";
import { vmOfVolume } from "./volume-names.ts";
import type { Dependents } from "./volumes.ts";
import { volumesNamedBy } from "./work.ts";

/** Who may use a volume: the VMs of this host, and the specs of those that are being made. */
export interface Users {
  readonly vms: readonly Vm[];
  readonly creations: Iterable<VmSpec>;
}

const MOST_NAMED = 5;

/** One text for a volume. */
export const volumeKey = ({ pool, volume }: VolumeRef): string => `${pool}/${volume}`;

/**
 * Throws `conflict` VOLUME_IN_USE where another than `vmId` has one of its volumes attached, or an overlay of it: without
 * the bytes under it a guest reads zeros or does not start any more.
 */
export function requireUnused(
  vmId: string,
  volumes: readonly VolumeRef[],
  { vms, creations }: Users,
  { paths, overlays }: Dependents,
): void {
  const own = new Set(volumes.map(volumeKey));
  const isNamedBy = (spec: VmSpec): boolean =>
    volumesNamedBy(spec).some((named) => own.has(volumeKey(named)));
  const users = new Map<string, string>();
  for (const { id, name, spec, disks } of vms) {
    const isAttached = disks.some(({ path }) => path !== undefined && paths.includes(path));
    if (isAttached || (spec !== undefined && isNamedBy(spec))) users.set(id, `VM ${name}`);
  }
  for (const spec of creations) if (isNamedBy(spec)) users.set(spec.id, `VM ${spec.name}, in the making`);
  users.delete(vmId);
  for (const { volume } of overlays) {
    const owner = vmOfVolume(volume);
    if (owner === undefined || !users.has(owner)) users.set(volume, `volume ${volume}, an overlay`);
  }
  if (users.size === 0) return;
  const names = [...users.values()];
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "";
  const message =
    `disks of the VM are in use by ${names.slice(0, MOST_NAMED).join("; ")}${more}: ` +
    "delete those first, or delete the VM and keep its disks (keep_disks)";
  throw new SocleError("conflict", "VOLUME_IN_USE", message, {
    details: { metadata: { users: [...users.keys()].slice(0, MOST_NAMED).join(",") } },
  });
}

/** A volume that goes with its VM is nobody's to build on. */
export const going = (named: VolumeRef): SocleError =>
  new SocleError(
    "conflict",
    "VOLUME_IN_USE",
    `volume ${named.volume} of pool ${named.pool} is being deleted with its VM; name another`,
  );
