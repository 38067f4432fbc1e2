import type { DiskSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";
import { overlayOf, type Rescue } from "./rescue.ts";
import { firstSeed, type SeedNote } from "./seed-note.ts";
import { extraOf, layersOf, type Snapshots } from "./snapshots.ts";

/**
 * The volume made for a VM's disk. The VM's id makes the name unique; volume-users.ts keeps other VMs from using the
 * volume by its name.
 */
const volumeName = (vmId: string, diskName: string, format: string): string =>
  `socle-${vmId}-${diskName}.${format}`;

/** The devices of a VM, or some of them. */
export type DeviceSpec = Pick<VmSpec, "id" | "name" | "tenant" | "disks" | "nics" | "kernelBoot"> & Layered;

/** What a VM has beside its spec, of which its own volumes follow. */
export interface Layered {
  readonly snapshots?: Snapshots | undefined;
  readonly rescue?: Rescue | undefined;
  readonly seed?: SeedNote | undefined;
}

const rescueVolumes = ({ rescue }: Layered): VolumeRef[] => (rescue === undefined ? [] : [overlayOf(rescue)]);

export type NewDisk = Extract<DiskSpec["source"], { kind: "new" }>;

/** A disk whose volumes are made for the VM and deleted with it. */
export interface OwnDisk {
  readonly disk: string;
  /** The one that the guest uses. */
  readonly volume: VolumeRef;
  /** Those below it, and those of other snapshots. */
  readonly layers: readonly VolumeRef[];
  readonly source: NewDisk;
  readonly readOnly: boolean;
}

/** `source`: the disk's. */
export function ownDisk(
  vmId: string,
  { name, readOnly }: Pick<DiskSpec, "name" | "readOnly">,
  source: NewDisk,
  snapshots?: Snapshots,
): OwnDisk {
  const { pool, format } = source;
  const { active, others } = layersOf(name, volumeName(vmId, name, format), snapshots);
  const layers = others.map((volume) => ({ pool, volume }));
  return { disk: name, volume: { pool, volume: active }, layers, source, readOnly };
}

export const ownDisks = ({ id, disks, snapshots }: Pick<VmSpec, "id" | "disks"> & Layered): OwnDisk[] =>
  disks.flatMap((disk) => (disk.source.kind === "new" ? [ownDisk(id, disk, disk.source, snapshots)] : []));

/**
 * The capacity of every seed volume: more than the largest seed takes. Thus it follows from the spec, which lacks the
 * seed's secret parts, and another seed fits in its place.
 */
export const SEED_BYTES = 256 * 1024;

interface Seeded {
  readonly id: string;
  readonly cloudInit?: VmSpec["cloudInit"] | undefined;
  readonly seed?: SeedNote | undefined;
}

/** The volumes with a VM's cloud-init seeds, the one of its next start first. */
export const seedVolumes = (spec: Seeded): VolumeRef[] => {
  const { id, cloudInit: { pool } = {}, seed } = spec;
  const next = pool === undefined ? [] : [{ pool, volume: seed?.active ?? firstSeed(id) }];
  return [...next, ...(seed?.others.map((volume) => ({ pool: seed.pool, volume })) ?? [])];
};

/** The one of its next start; undefined for a VM without a cloud-init seed. */
export const seedVolume = (spec: Seeded): VolumeRef | undefined =>
  spec.cloudInit?.pool === undefined ? undefined : seedVolumes(spec)[0];

type Owner = Pick<VmSpec, "id" | "disks" | "cloudInit"> & Layered;

const extraVolumes = ({ snapshots }: Layered): VolumeRef[] =>
  extraOf(snapshots).map(({ pool, volume }) => ({ pool, volume }));

/** The volumes made for a VM and deleted with it. */
export const ownVolumes = (spec: Owner): VolumeRef[] => [
  ...ownDisks(spec).flatMap(({ volume, layers }) => [volume, ...layers]),
  ...extraVolumes(spec),
  ...seedVolumes(spec),
  ...rescueVolumes(spec),
];

/**
 * `ownVolumes` with their capacities: a layer may grow to that of its disk. Specs from before capacities were filled in may
 * lack one, which counts as 0.
 */
export const ownCapacities = (spec: Owner): (VolumeRef & { readonly capacityBytes: number })[] => [
  ...ownDisks(spec).flatMap(({ volume, layers, source: { capacityBytes = 0 } }) =>
    [volume, ...layers].map((each) => ({
      ...each,
      capacityBytes: mostBytesOf(each.volume, spec.snapshots) ?? capacityBytes,
    })),
  ),
  ...extraOf(spec.snapshots).map(({ pool, volume, capacityBytes }) => ({ pool, volume, capacityBytes })),
  ...seedVolumes(spec).map((volume) => ({ ...volume, capacityBytes: SEED_BYTES })),
  ...rescueVolumes(spec).map((volume) => ({ ...volume, capacityBytes: spec.rescue?.capacityBytes ?? 0 })),
];

const mostBytesOf = (volume: string, snapshots: Snapshots | undefined): number | undefined =>
  snapshots?.loose.find((each) => each.volume === volume)?.mostBytes;

/** How a VM uses a volume. `base`: its disk is an overlay of it. `kernel`: also its initial RAM disk. */
export type VolumeRole = "disk" | "base" | "kernel";

/** `writes`: the guest may change it. `named`: the spec names it, so it must exist before. */
type SpecVolume = VolumeRef & {
  readonly role: VolumeRole;
  readonly writes: boolean;
  readonly named: boolean;
};

const ofKernel = ({ kernelBoot }: Pick<VmSpec, "kernelBoot">): SpecVolume[] =>
  [kernelBoot?.kernel, kernelBoot?.initrd].flatMap((volume) =>
    volume === undefined ? [] : [{ ...volume, role: "kernel", writes: false, named: true }],
  );

const ofSource = ({ source, readOnly }: DiskSpec): SpecVolume[] => {
  if (source.kind === "cdrom")
    return source.volume === undefined
      ? []
      : [{ ...source.volume, role: "disk", writes: false, named: true }];
  if (source.kind === "volume") return [{ ...source.volume, role: "disk", writes: !readOnly, named: true }];
  const { pool, baseVolume: volume } = source;
  return volume === undefined ? [] : [{ pool, volume, role: "base", writes: false, named: true }];
};

const ofRescue = ({ rescue }: Layered): SpecVolume[] =>
  rescue === undefined
    ? []
    : [
        { ...overlayOf(rescue), role: "disk", writes: true, named: false },
        { pool: rescue.pool, volume: rescue.baseVolume, role: "base", writes: false, named: true },
      ];

const namedBy = (spec: Pick<VmSpec, "kernelBoot" | "disks">): SpecVolume[] => [
  ...ofKernel(spec),
  ...spec.disks.flatMap(ofSource),
];

/** The volumes that a spec names: they must exist before. */
export const namedVolumes = (spec: Pick<VmSpec, "kernelBoot" | "disks">): VolumeRef[] =>
  namedBy(spec).map(({ pool, volume }) => ({ pool, volume }));

/** All volumes of a spec. Every look at the users of a volume reads all specs, each member once. */
export function volumesOf(spec: Owner & Pick<VmSpec, "kernelBoot">): SpecVolume[] {
  const { id, disks, snapshots, cloudInit, seed } = spec;
  const own = { id, disks, snapshots };
  const made = (volume: VolumeRef, writes: boolean): SpecVolume => ({
    ...volume,
    role: "disk",
    writes,
    named: false,
  });
  return [
    ...ownDisks(own).flatMap(({ volume, layers, readOnly }) =>
      // The deletion of a snapshot writes to layers as well.
      [volume, ...layers].map((each) => made(each, !readOnly)),
    ),
    ...extraVolumes(own).map((each) => made(each, true)),
    ...seedVolumes({ id, cloudInit, seed }).map((each) => made(each, false)),
    ...ofRescue(spec),
    ...ofKernel(spec),
    ...disks.flatMap(ofSource),
  ];
}

/** The id of the VM that a volume was made for; undefined for other volumes. */
export const vmOfVolume = (volume: string): string | undefined => /^socle-([0-9a-f-]{36})-/.exec(volume)?.[1];

/** The VM and its disk that a volume was first made for; undefined for other volumes. */
export function diskOfVolume(volume: string): { readonly vmId: string; readonly disk: string } | undefined {
  const [, vmId, disk] = /^socle-([0-9a-f-]{36})-([^.]+)\.(?:qcow2|raw)$/.exec(volume) ?? [];
  return vmId === undefined || disk === undefined ? undefined : { vmId, disk };
}

/** Capacity of the volumes made for a VM. */
export const newDiskBytes = (spec: Owner): number =>
  ownCapacities(spec).reduce((bytes, { capacityBytes }) => bytes + capacityBytes, 0);
