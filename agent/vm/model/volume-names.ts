import type { DiskSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";

/**
 * The volume made for a VM's disk. The VM's id makes the name unique; volume-users.ts keeps other VMs from using the
 * volume by its name.
 */
const volumeName = (vmId: string, diskName: string, format: string): string =>
  `socle-${vmId}-${diskName}.${format}`;

/** The devices of a VM, or some of them. */
export type DeviceSpec = Pick<VmSpec, "id" | "name" | "tenant" | "disks" | "nics" | "kernelBoot">;

export type NewDisk = Extract<DiskSpec["source"], { kind: "new" }>;

/** A disk whose volume is made for the VM and deleted with it. */
export interface OwnDisk {
  readonly disk: string;
  readonly volume: VolumeRef;
  readonly source: NewDisk;
  readonly readOnly: boolean;
}

/** `source`: the disk's. */
export const ownDisk = (vmId: string, { name, readOnly }: DiskSpec, source: NewDisk): OwnDisk => ({
  disk: name,
  volume: { pool: source.pool, volume: volumeName(vmId, name, source.format) },
  source,
  readOnly,
});

export const ownDisks = ({ id, disks }: Pick<VmSpec, "id" | "disks">): OwnDisk[] =>
  disks.flatMap((disk) => (disk.source.kind === "new" ? [ownDisk(id, disk, disk.source)] : []));

/** The volumes made for a VM and deleted with it. */
export const ownVolumes = (spec: Pick<VmSpec, "id" | "disks">): VolumeRef[] =>
  ownDisks(spec).map(({ volume }) => volume);

/** The volumes that a spec names: they must exist before. */
export const namedVolumes = ({ kernelBoot, disks }: Pick<VmSpec, "kernelBoot" | "disks">): VolumeRef[] => [
  ...(kernelBoot === undefined ? [] : [kernelBoot.kernel]),
  ...(kernelBoot?.initrd === undefined ? [] : [kernelBoot.initrd]),
  ...disks.flatMap(({ source }) => {
    if (source.kind === "volume") return [source.volume];
    return source.baseVolume === undefined ? [] : [{ pool: source.pool, volume: source.baseVolume }];
  }),
];

/** All volumes of a spec. `writes`: its guest may change it. `named`: the spec names it. */
export const volumesOf = (
  spec: Pick<VmSpec, "id" | "disks" | "kernelBoot">,
): (VolumeRef & { writes: boolean; named: boolean })[] => {
  const written = spec.disks.flatMap(({ source, readOnly }) =>
    source.kind === "volume" && !readOnly ? [source.volume] : [],
  );
  return [
    ...ownDisks(spec).map(({ volume, readOnly }) => ({ ...volume, writes: !readOnly, named: false })),
    ...namedVolumes(spec).map((volume) => ({ ...volume, writes: written.includes(volume), named: true })),
  ];
};

/** The id of the VM that a volume was made for; undefined for other volumes. */
export const vmOfVolume = (volume: string): string | undefined => /^socle-([0-9a-f-]{36})-/.exec(volume)?.[1];

/**
 * A volume's format follows from its name, never from its bytes: the guest writes those, and a raw disk that looks like
 * an overlay would make the host open any file for it.
 */
export const formatOf = (volume: string): "qcow2" | "raw" => (volume.endsWith(".qcow2") ? "qcow2" : "raw");

/** Capacity of the disks made for a VM. Specs from before capacities were filled in may lack one. */
export const newDiskBytes = ({ disks }: Pick<VmSpec, "disks">): number =>
  disks.reduce((bytes, { source }) => bytes + (source.kind === "new" ? (source.capacityBytes ?? 0) : 0), 0);
