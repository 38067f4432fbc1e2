import { SocleError } from "../kernel/errors.ts";
import type { Disk, DiskSource } from "../libvirt/xml/index.ts";
import { imageOf } from "./vm-from-domain.ts";
import { requireIdentified, volumeKey } from "./volume-users.ts";
import type { Erasure, WorkContext } from "./work.ts";

/**
 * The guest writes to the volumes of its spec alone, so erasing those erases its data. Throws `conflict` DISKS_REPLACED, as
 * after an external snapshot, and `unavailable` STORAGE_UNIDENTIFIED where the storage does not answer.
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
    // An attached volume stays, and what it is an overlay of with it.
    const [source] = imagesOf(disk);
    const mayBeBelow = source !== undefined && isIn(ownNames, source) ? imagesOf(disk) : sourcesOf(disk);
    const elsewhere = mayBeBelow.find((image) => !isIn(allNames, image));
    if (elsewhere === undefined) continue;
    const places = named.map((at) => ({ at }));
    requireIdentified(vmId, places, { vms: [], creations: [], same });
    throw replaced(name, disk, placeOf(elsewhere));
  }
}

/** What the guest writes to. */
const sourcesOf = ({ source, mirror }: Disk): DiskSource[] =>
  [source, mirror].filter((image) => image !== undefined);

/** And the image right below it: what is below that one is also below the base volume of the spec. */
const imagesOf = (disk: Disk): DiskSource[] => [
  ...sourcesOf(disk),
  ...(disk.backingChain ?? []).slice(0, 1).flatMap(({ source }) => source ?? []),
];

/** Storage on the network has no other names. */
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
