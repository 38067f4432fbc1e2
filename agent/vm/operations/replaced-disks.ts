import { formatOf } from "../../contract/spec-volume-name.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Disk, DiskSource } from "../../libvirt/xml/index.ts";
import type { Backing } from "../storage/overlay-search.ts";
import { imageOf } from "../observation/vm-from-domain.ts";
import { requireIdentified, volumeKey } from "../storage/volume-users.ts";
import type { Erasure } from "./erasure.ts";
import type { WorkContext } from "./work.ts";

/**
 * The guest writes only to the volumes of its spec, so erasing those erases its data. Throws `conflict` DISKS_REPLACED,
 * as after an external snapshot, and `unavailable` STORAGE_UNIDENTIFIED if the storage does not answer.
 */
export async function requireDisksAsMade(
  { domains, volumes }: Pick<WorkContext, "domains" | "volumes">,
  vmId: string,
  { name, disks, kept }: Erasure,
): Promise<void> {
  if (disks.length === 0) return;
  const document = await domains.document(vmId, "running");
  const written = (document?.devices.disks ?? []).filter(({ readOnly }) => readOnly !== true);
  const own = disks.map(({ volume }) => volumeKey(volume));
  const named = [...own, ...kept.map(volumeKey)];
  const same = await volumes.names.of([...named, ...written.flatMap(imagesOf).map(placeOf)]);
  const namesOf = (ats: readonly string[]): string[] => ats.flatMap((at) => [at, ...same(at)]);
  const [ownNames, allNames] = [new Set(namesOf(own)), new Set(namesOf(named))];
  const isIn = (names: ReadonlySet<string>, source: DiskSource): boolean =>
    namesOf([placeOf(source)]).some((found) => names.has(found));
  for (const disk of written) {
    // An attached volume stays, with its backing images.
    const [source] = imagesOf(disk);
    const mayBeBelow = source !== undefined && isIn(ownNames, source) ? imagesOf(disk) : sourcesOf(disk);
    const elsewhere = mayBeBelow.find((image) => !isIn(allNames, image));
    if (elsewhere === undefined) continue;
    const places = named.map((at) => ({ at }));
    requireIdentified(vmId, places, { vms: [], creations: [], same });
    throw replaced(name, disk, placeOf(elsewhere));
  }
}

/**
 * libvirt reports the backing chain of a running VM only; volume headers show it for a stopped one, too. A disk made as
 * an overlay has its base beneath, and other disks nothing: any other backing file may hold the guest's data. Throws as
 * `requireDisksAsMade` does.
 */
export async function requireBackingAsMade(
  { volumes }: Pick<WorkContext, "volumes">,
  vmId: string,
  { name, disks }: Erasure,
  backings: readonly Backing[],
): Promise<void> {
  for (const { disk, volume, baseVolume, layered } of disks) {
    const key = volumeKey(volume);
    const backing = backings.find((found) => volumeKey(found) === key)?.backing;
    // The guest owns the bytes of a raw disk, and can make them look like an overlay.
    if (backing === undefined || formatOf(volume.volume) === "raw") continue;
    const below = [
      ...(baseVolume === undefined ? [] : [{ pool: volume.pool, volume: baseVolume }]),
      ...(layered === true ? disks.flatMap((each) => (each.disk === disk ? each.volume : [])) : []),
    ].map(volumeKey);
    if (below.length > 0) {
      const same = await volumes.names.of([...below, backing]);
      const names = new Set(below.flatMap((at) => [at, ...same(at)]));
      if ([backing, ...same(backing)].some((found) => names.has(found))) continue;
      const places = [...below, backing].map((at) => ({ at }));
      requireIdentified(vmId, places, { vms: [], creations: [], same });
    }
    throw laidOver(name, disk, volume.volume, backing);
  }
}

/** The images that the guest writes to. */
const sourcesOf = ({ source, mirror }: Disk): DiskSource[] =>
  [source, mirror].filter((image) => image !== undefined);

/** Adds the image right below: any image further down is also below the base volume of the spec. */
const imagesOf = (disk: Disk): DiskSource[] => [
  ...sourcesOf(disk),
  ...(disk.backingChain ?? []).slice(0, 1).flatMap(({ source }) => source ?? []),
];

/** Network storage has no aliases. */
function placeOf(source: DiskSource): string {
  const { path, volume } = imageOf(source) ?? {};
  return path ?? (volume === undefined ? `storage of type ${source.type}` : volumeKey(volume));
}

const replaced = (vm: string, { target: { device } }: Disk, at: string): SocleError =>
  new SocleError(
    "conflict",
    "DISKS_REPLACED",
    `disk ${device} of VM ${vm} has data in ${at}, which is no volume of its spec, so erasing would leave that data behind. ` +
      "Commit or remove the snapshot (virsh blockcommit --active --pivot), end the block job or detach the disk; or delete " +
      "the VM without erasing its disks",
    { details: { metadata: { device, at } } },
  );

const laidOver = (vm: string, disk: string, volume: string, at: string): SocleError =>
  new SocleError(
    "conflict",
    "DISKS_REPLACED",
    `volume ${volume} of disk ${disk} of VM ${vm} is an overlay of ${at} but was not made as one, so erasing would leave behind ` +
      "what the guest has written there. With the VM stopped, commit the overlay (qemu-img commit) and move that file back to " +
      "the volume's name; or delete the VM without erasing its disks",
    { details: { metadata: { disk, at } } },
  );
