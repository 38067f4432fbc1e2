import { SocleError } from "../../kernel/errors.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { Dependents } from "./overlay-search.ts";
import { subjectOf } from "../../state/operations/subject.ts";
import { LOOK_WITHIN_MS } from "./storage-looks.ts";
import { noOtherNames, type SameStorage, type StorageNames } from "./storage-names.ts";
import type { Vm, VmDisk, VmImage, SampledVms } from "../model/vm.ts";
import { tenantOfVolume } from "../../contract/spec-volume-name.ts";
import {
  vmOfVolume,
  volumesOf,
  type DeviceSpec,
  type Layered,
  type VolumeRole,
} from "../model/volume-names.ts";
import { readByImport } from "./volume-refusals.ts";
import type { ResolvedVolume, Volumes } from "./volumes.ts";

/** The possible users of a volume: the VMs of this host, and the specs of VMs that are being created or get devices. */
export interface Users {
  readonly vms: readonly Vm[];
  readonly creations: Iterable<DeviceSpec>;
  /** Absent: storage is compared by path and by pool and volume only, as at admission, which does not wait. */
  readonly same?: SameStorage;
}

/** Bytes that a VM uses: `at` is a volume's pool and name, or a path. Several VMs may share bytes that all only read. */
export interface Place {
  readonly at: string;
  readonly role: VolumeRole;
  readonly writes: boolean;
}

/** The volumes that a spec names, as now in their pools. */
export interface Looked {
  /** By `volumeKey`. */
  readonly found: ReadonlyMap<string, ResolvedVolume>;
  /** Their places, and those of their backing images. */
  readonly places: readonly Place[];
  /** Overlays of volumes that the VM writes to: a write would corrupt them. */
  readonly overlays: readonly VolumeRef[];
}

const MOST_NAMED = 5;
/** How long the table may take to be complete again after a reconnect. */
const SIGHT_WITHIN_MS = 30_000;

/** One string for a volume. */
export const volumeKey = ({ pool, volume }: VolumeRef): string => `${pool}/${volume}`;

/** A spec does not change, and every other creation reads it. By its rescue system, its seeds or its snapshots, which were read with it. */
const placesBySpec = new WeakMap<object, readonly Place[]>();

function placesOfSpec(spec: DeviceSpec, key: object): readonly Place[] {
  const known = placesBySpec.get(key);
  if (known !== undefined) return known;
  const places = volumesOf(spec).map(({ role, writes, ...volume }) => ({
    at: volumeKey(volume),
    role,
    writes,
  }));
  placesBySpec.set(key, places);
  return places;
}

/** From a VM's spec, and from the disks that libvirt reported. */
export function placesOf({
  spec,
  snapshots,
  rescue,
  seed,
  disks = [],
}: Layered & {
  readonly spec?: DeviceSpec | undefined;
  readonly disks?: readonly VmDisk[];
}): readonly Place[] {
  const more = rescue ?? seed ?? snapshots;
  const named =
    spec === undefined
      ? []
      : placesOfSpec(more === undefined ? spec : { ...spec, snapshots, rescue, seed }, more ?? spec);
  if (disks.length === 0) return named;
  return [...named, ...disks.flatMap(placesOfDisk)];
}

const placesOfDisk = ({ readOnly, backing = [], mirror, ...disk }: VmDisk): readonly Place[] => [
  ...placesOfImage(disk, "disk", readOnly !== true),
  ...backing.flatMap((image) => placesOfImage(image, "base", false)),
  ...(mirror === undefined ? [] : placesOfImage(mirror, "disk", true)),
];

const placesOfImage = ({ path, volume }: VmImage, role: VolumeRole, writes: boolean): readonly Place[] =>
  [path, volume && volumeKey(volume)].flatMap((at) => (at === undefined ? [] : [{ at, role, writes }]));

/**
 * `own`: the places of the storage in question. Throws `unavailable` LIBVIRT_UNAVAILABLE if the VM table is not
 * complete in time.
 */
export async function usersNow(
  {
    table,
    volumes,
  }: { readonly table: Pick<SampledVms, "all" | "untilComplete">; readonly volumes: Pick<Volumes, "names"> },
  creations: () => Iterable<DeviceSpec>,
  own: Iterable<string>,
): Promise<Users> {
  await table.untilComplete(AbortSignal.timeout(SIGHT_WITHIN_MS)).catch((cause: unknown) => {
    const message = "the VM list is unavailable, so the users of the disks are not known; retry";
    throw new SocleError("unavailable", "LIBVIRT_UNAVAILABLE", message, { cause });
  });
  const [vms, specs] = [table.all(), [...creations()]];
  const theirs = [...vms.flatMap(storageOf), ...specs.flatMap(namedIn)];
  return { vms, creations: specs, same: await volumes.names.of([...own, ...theirs]) };
}

/** The places of a VM's storage: from its spec, and from its disks, which include the volumes made for a managed VM. */
const storageOf = (vm: Vm): readonly string[] => {
  if (vm.disks.length === 0) return placesOf(vm).map(({ at }) => at);
  const ofDisks = placesOf({ disks: vm.disks }).map(({ at }) => at);
  return vm.spec === undefined ? ofDisks : [...ofDisks, ...namedIn(vm.spec)];
};

/** The volumes that a spec names. Volumes made for the VM have a name that no other VM has. */
const namedIn = (spec: DeviceSpec): readonly string[] =>
  volumesOf(spec).flatMap(({ named, ...volume }) => (named ? [volumeKey(volume)] : []));

/** The places of a spec's storage, if looked at. */
export const whereOf = (spec: DeviceSpec, looked?: Pick<Looked, "places">): readonly string[] =>
  [...placesOfSpec(spec, spec), ...(looked?.places ?? [])].map(({ at }) => at);

interface Conflict {
  readonly user: string;
  readonly id: string;
  readonly tenant: string | undefined;
  readonly at: string;
  readonly writes: boolean;
}

/** Users of the same bytes, without the VM `id`, if either writes them: one conflict for each user. */
function* conflictsOf(
  id: string | undefined,
  places: Iterable<Place>,
  { vms, creations, same = noOtherNames }: Users,
): Generator<Conflict> {
  const mine = new Map<string, boolean>();
  for (const { at, writes } of places)
    for (const name of [at, ...same(at)]) mine.set(name, writes || mine.get(name) === true);
  const clashes = (name: string, writes: boolean): boolean => {
    const writesToo = mine.get(name);
    return writesToo !== undefined && (writes || writesToo);
  };
  const clash = (has: Parameters<typeof placesOf>[0]): Place | undefined =>
    placesOf(has).find(
      ({ at, writes }) =>
        clashes(at, writes) || (same !== noOtherNames && same(at).some((name) => clashes(name, writes))),
    );
  for (const vm of vms) {
    const place = vm.id === id ? undefined : clash(vm);
    const tenant = vm.managed ? vm.tenant : undefined;
    if (place !== undefined) yield { ...place, id: vm.id, tenant, user: `VM ${vm.name}` };
  }
  for (const spec of creations) {
    const place = spec.id === id ? undefined : clash({ spec });
    if (place !== undefined)
      yield { ...place, id: spec.id, tenant: spec.tenant, user: pendingName(spec, vms) };
  }
}

const pendingName = ({ id, name }: DeviceSpec, vms: readonly Vm[]): string =>
  isImport(id) ? "an import, which reads it" : pendingVm(id, name, vms);

/** Whether a user of volumes is the import of an image, by its key (subject.ts). */
export const isImport = (id: string): boolean => subjectOf({ vmId: id }).imageId !== undefined;

const pendingVm = (id: string, name: string, vms: readonly Vm[]): string =>
  `VM ${name} (being ${vms.some((vm) => vm.id === id) ? "changed" : "created"})`;

/**
 * Throws `conflict` VOLUME_IN_USE if another VM uses a volume that a new VM's spec names and either writes to it: two
 * writers corrupt it, and a reader would see another VM's writes. Also if an import reads it. `looked`: once it is known.
 *
 * `tenantOnly`: the caller is restricted to its tenant. Throws `denied` VOLUME_DENIED for another tenant's volume. Also
 * for one not known to be the caller's: to write, any volume that no VM of its tenant has and that was not made for its
 * tenant; to read, one made for a VM. Every caller gets it for a volume made for another tenant than the VM's.
 */
export function requireUsable(
  spec: DeviceSpec,
  users: Users,
  tenantOnly = false,
  looked?: Pick<Looked, "places" | "overlays">,
): void {
  requireOwners(spec);
  // Before the users: whether a volume is in use shows that it exists.
  if (tenantOnly) requireOwn(spec, users.vms);
  const places = [...placesOf({ spec }), ...(looked?.places ?? [])];
  const all = [...conflictsOf(spec.id, places, users)];
  const conflicts = all.filter(({ id }) => !isImport(id));
  const foreign = conflicts.find(({ tenant }) => tenantOnly && tenant !== spec.tenant);
  if (foreign !== undefined) throw denied(namedIn(spec).join(" or "), "is in use by a VM that is not yours");
  const [conflict] = conflicts;
  // A kept disk has no owner: only callers without a tenant restriction can use it again.
  const orFree = tenantOnly ? "" : ", or stop and delete that VM and keep its disks (keep_disks)";
  if (conflict !== undefined)
    throw inUse(
      conflict,
      conflict.writes ? `which writes to it: name another volume, or a copy${orFree}` : `so ${READ_ONLY}`,
    );
  requireIdentified(spec.id, places, users);
  // Only to callers that may have the volume.
  const held = all.find(({ id }) => isImport(id));
  if (held !== undefined) throw readByImport(held.at);
  const [overlay] = looked?.overlays ?? [];
  if (overlay === undefined) return;
  throw inUse({ user: `volume ${overlay.volume}, an overlay of it`, id: overlay.volume }, `so ${READ_ONLY}`);
}

/**
 * Throws `conflict` VOLUME_IN_USE if the VM's present disks have the storage of a new one, possibly under another name,
 * and either writes to it. Throws as `requireIdentified`.
 */
export function requireNotAttached(added: DeviceSpec, users: Users, looked: Pick<Looked, "places">): void {
  const own = { ...users, vms: users.vms.filter(({ id }) => id === added.id), creations: [] };
  const places = [...placesOf({ spec: added }), ...looked.places];
  const [conflict] = conflictsOf(undefined, places, own);
  if (conflict !== undefined) throw inUse(conflict, "as another of its disks: name another volume");
  requireIdentified(undefined, places, own);
}

/**
 * Unidentified storage may be another VM's. Throws `unavailable` STORAGE_UNIDENTIFIED if a look at the VM's own storage
 * hangs, or at another VM's on the same filesystem, or libvirt does not report the place of the VM's own.
 */
export function requireIdentified(
  id: string | undefined,
  places: Iterable<Pick<Place, "at">>,
  { vms, creations, same = noOtherNames }: Users,
): void {
  const doubt = same.doubtOf(
    [...places].map(({ at }) => at),
    storageBeside(id, vms, creations),
  );
  if (doubt === undefined) return;
  throw new SocleError(
    "unavailable",
    "STORAGE_UNIDENTIFIED",
    `whether another VM uses ${doubt.at} is not known: ${
      doubt.silent === "libvirt"
        ? "libvirt did not report the path of its pool; retry"
        : `its filesystem did not answer within ${LOOK_WITHIN_MS / 1000} s. ` +
          "Check the mount (df) and its server, then retry"
    }`,
    { details: { retryAfterMs: 5000 } },
  );
}

function* storageBeside(
  id: string | undefined,
  vms: readonly Vm[],
  creations: Iterable<DeviceSpec>,
): Generator<string> {
  for (const vm of vms) if (vm.id !== id) yield* storageOf(vm);
  for (const spec of creations) if (spec.id !== id) yield* namedIn(spec);
}

/** The volumes made for a tenant are for its VMs, and for those of the provider. */
function requireOwners(spec: DeviceSpec): void {
  if (spec.tenant === "") return;
  for (const { named, ...volume } of volumesOf(spec)) {
    const owner = tenantOfVolume(volume.volume);
    if (!named || owner === undefined || owner === spec.tenant) continue;
    throw denied(volumeKey(volume), `was made for another tenant than ${spec.tenant}, that of the VM`);
  }
}

/** VMs in creation prove nothing: a volume of the requested name may exist without being theirs. */
function requireOwn(spec: DeviceSpec, vms: Users["vms"]): void {
  for (const { named, writes, ...volume } of volumesOf(spec)) {
    const key = volumeKey(volume);
    const isMadeForVm = vmOfVolume(volume.volume) !== undefined;
    if (!named || !(writes || isMadeForVm) || tenantOfVolume(volume.volume) === spec.tenant) continue;
    const has = (vm: Vm): boolean => placesOf(vm).some(({ at }) => at === key);
    if (vms.some((vm) => vm.managed && vm.tenant === spec.tenant && has(vm))) continue;
    if (isMadeForVm) throw denied(key, "was made for a VM that is not yours or no longer exists");
    throw denied(
      key,
      "is not known to be yours, so you may only read it: attach it read-only, or make a new disk over it (base_volume). Volumes of your own: CreateVolume",
    );
  }
}

/** Throws `conflict` VOLUME_IN_USE if a running guest has a disk of this VM open, and either writes. */
export async function requireDisksFree(
  vm: Vm,
  others: readonly Vm[],
  names: Pick<StorageNames, "of">,
): Promise<void> {
  const same = await names.of([vm, ...others].flatMap(storageOf));
  const [conflict] = conflictsOf(vm.id, placesOf(vm), { vms: others, creations: [], same });
  if (conflict !== undefined)
    throw inUse(conflict, `which ${conflict.writes ? "writes to" : "reads"} it: stop that one first`);
  requireIdentified(vm.id, placesOf(vm), { vms: others, creations: [], same });
}

const READ_ONLY = "no VM may write to it: attach it read-only, or make a new disk over it (base_volume)";

const denied = (at: string, why: string): SocleError =>
  new SocleError("denied", "VOLUME_DENIED", `the volume ${at} ${why}`);

function inUse(
  { user, id, at }: Pick<Conflict, "user" | "id"> & { at?: string },
  advice: string,
): SocleError {
  const message = `the volume${at === undefined ? "" : ` ${at}`} is in use by ${user}, ${advice}`;
  return new SocleError("conflict", "VOLUME_IN_USE", message, { details: { metadata: { users: id } } });
}

/**
 * Throws `conflict` VOLUME_IN_USE if a VM other than `vmId` has one of its volumes attached, or an overlay of one:
 * without the backing bytes a guest reads zeros or does not start.
 */
export function requireUnused(
  vmId: string,
  volumes: readonly VolumeRef[],
  users: Users,
  dependents: Pick<Dependents, "paths" | "overlays">,
): void {
  const found = usersOf(vmId, volumes, users, dependents);
  if (found.size > 0) throw usedBy(found);
}

/**
 * The names of the VMs other than `vmId` that have one of the volumes attached, and of overlays, by id or volume. Throws as
 * `requireIdentified` if none is found.
 */
export function usersOf(
  vmId: string,
  volumes: readonly VolumeRef[],
  { vms, creations, same = noOtherNames }: Users,
  { paths, overlays }: Pick<Dependents, "paths" | "overlays">,
): ReadonlyMap<string, string> {
  const own = new Set([...volumes.map(volumeKey), ...paths].flatMap((at) => [at, ...same(at)]));
  const isUsedBy = (has: Parameters<typeof placesOf>[0]): boolean =>
    placesOf(has).some(({ at }) => own.has(at) || same(at).some((name) => own.has(name)));
  const users = new Map<string, string>();
  for (const vm of vms) if (isUsedBy(vm)) users.set(vm.id, `VM ${vm.name}`);
  for (const spec of creations) if (isUsedBy({ spec })) users.set(spec.id, pendingName(spec, vms));
  users.delete(vmId);
  for (const { pool, volume } of overlays) {
    const owner = vmOfVolume(volume);
    if (owner === undefined || !users.has(owner))
      users.set(volume, `volume ${volume} of pool ${pool}, an overlay`);
  }
  const places = [...own].map((at) => ({ at }));
  if (users.size === 0) requireIdentified(vmId, places, { vms, creations, same });
  return users;
}

/** The first few users, for a message and for programs. */
export function listed(users: ReadonlyMap<string, string>): { readonly names: string; readonly ids: string } {
  const more = users.size > MOST_NAMED ? ` and ${users.size - MOST_NAMED} more` : "";
  return {
    names: `${[...users.values()].slice(0, MOST_NAMED).join("; ")}${more}`,
    // An import is named by its operation alone.
    ids: [...users.keys()]
      .filter((id) => !isImport(id))
      .slice(0, MOST_NAMED)
      .join(","),
  };
}

function usedBy(users: ReadonlyMap<string, string>): SocleError {
  const { names, ids } = listed(users);
  const message =
    `disks of the VM are in use by ${names}: ` +
    "delete those first, or delete the VM and keep its disks (keep_disks)";
  return new SocleError("conflict", "VOLUME_IN_USE", message, { details: { metadata: { users: ids } } });
}
