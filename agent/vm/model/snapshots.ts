import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { deviceName, printable, resourceName } from "../../contract/spec-values.ts";

// A VM's snapshots, in the metadata of its domain. libvirt's own snapshot objects are not used: they forbid migration, and
// an interrupted deletion of one is refused for ever. A snapshot keeps, of each disk, the volume that the guest wrote to; from
// then on the guest writes to an overlay of it. So the volumes of a disk are a tree, and the snapshots are the same tree.

/** As many layers as a disk may have above its base, with a reserve below the 32 that the volume guard follows. */
export const MOST_SNAPSHOTS = 16;

export const snapshotName = resourceName.max(64, "must be at most 64 characters");
export const snapshotDescription = printable(256);
export const snapshotId = z.string().regex(/^[0-9a-f]{8}$/);

/** Volumes by disk, in the pool of the disk. */
const volumes = z.record(deviceName, resourceName);

/** The memory of a snapshot, in a directory of the host (DumpDirectory). */
export const memoryFile = z.object({ directory: z.string().startsWith("/"), file: z.string() });
export type MemoryFile = Readonly<z.output<typeof memoryFile>>;

const snapshot = z.object({
  id: snapshotId,
  name: snapshotName,
  description: snapshotDescription.exactOptional(),
  /** The snapshot that the disks were based on when it was made. */
  parent: snapshotId.exactOptional(),
  createdAtMs: z.number(),
  /** The guest's filesystems were frozen. */
  quiesced: z.literal(true).exactOptional(),
  /** Each disk as it was: no guest writes to these. */
  volumes,
  /** The guest's memory and devices at the same moment, as libvirt saved them. */
  memory: z.object({ ...memoryFile.shape, bytes: z.number() }).exactOptional(),
  /** Its deletion has begun: a part of its bytes may be newer, so it is no state of the guest any more. */
  deleting: z.literal(true).exactOptional(),
});
export type Snapshot = Immutable<z.output<typeof snapshot>>;

const schema = z.object({
  snapshots: z.array(snapshot).max(MOST_SNAPSHOTS),
  /** The snapshot that the present disks are based on. */
  current: snapshotId.exactOptional(),
  /** The volumes that the guest writes to; absent for a disk's first volume. */
  active: volumes,
  /** Volumes that are being made or deleted, and the scratch volumes of a backup. */
  loose: z.array(
    z.object({
      disk: deviceName,
      volume: resourceName,
      /** The guest may write to it, although libvirt does not show that: it is deleted with the VM alone. */
      inDoubt: z.literal(true).exactOptional(),
      /** Of a scratch volume; absent: it may grow to the capacity of its disk. */
      mostBytes: z.number().exactOptional(),
    }),
  ),
  /** Volumes in a pool that is not their disk's: the copy of a disk that is being moved, and what a detached disk has left. */
  extra: z
    .array(
      z.object({
        disk: deviceName,
        pool: resourceName,
        volume: resourceName,
        capacityBytes: z.number(),
        /** Below it, in the same pool. */
        baseVolume: resourceName.exactOptional(),
        /** As of a loose volume. */
        inDoubt: z.literal(true).exactOptional(),
      }),
    )
    .exactOptional(),
  /** Files of memory that are being written or deleted. */
  looseMemory: z.array(memoryFile).exactOptional(),
});
export type Snapshots = Immutable<z.output<typeof schema>>;

export type ExtraVolume = NonNullable<Snapshots["extra"]>[number];

export const noSnapshots: Snapshots = { snapshots: [], active: {}, loose: [] };

/** Throws if the text is not what snapshotsText() returned for this VM: no other VM's volumes are named. */
export function snapshotsOf(vmId: string, text: string): Snapshots {
  const value = schema.parse(parseJson(text));
  const { snapshots, active, loose, extra = [] } = value;
  const named = [...snapshots.map((each) => each.volumes), active].flatMap(Object.entries<string>);
  const noted = [...loose, ...extra].map((each) => [each.disk, each.volume] as const);
  for (const [disk, volume] of [...named, ...noted])
    if (!isOwn(vmId, disk, volume)) throw new Error(`${volume} is no layer of disk ${disk}`);
  for (const { file } of memoryFilesOf(value))
    if (!isOwnMemory(vmId, file)) throw new Error(`${file} is no memory of this VM`);
  return value;
}

/** A name of the disk's first volume, or as layerName() makes it. */
const isOwn = (vmId: string, disk: string, volume: string): boolean =>
  volume.startsWith(`socle-${vmId}-${disk}.`);

/** As memoryName() makes it. */
const isOwnMemory = (vmId: string, file: string): boolean =>
  file.startsWith(`socle-${vmId}.`) && /^[0-9a-f]{8}\.memory$/.test(file.slice(`socle-${vmId}.`.length));

/** Undefined if there is nothing to store. */
export function snapshotsText(value: Snapshots): string | undefined {
  const { snapshots, loose, active } = value;
  const noted = [snapshots, loose, Object.keys(active), extraOf(value), looseMemoryOf(value)];
  return noted.every(({ length }) => length === 0) ? undefined : JSON.stringify(value);
}

export const extraOf = (value: Snapshots | undefined): readonly ExtraVolume[] => value?.extra ?? [];

/** With these extra volumes alone. */
export const withExtra = ({ extra: _, ...same }: Snapshots, extra: readonly ExtraVolume[]): Snapshots =>
  extra.length === 0 ? same : { ...same, extra };

export const looseMemoryOf = (value: Snapshots | undefined): readonly MemoryFile[] =>
  value?.looseMemory ?? [];

/** With these files of memory alone to be deleted. */
export const withLooseMemory = (
  { looseMemory: _, ...same }: Snapshots,
  looseMemory: readonly MemoryFile[],
): Snapshots => (looseMemory.length === 0 ? same : { ...same, looseMemory });

/** All files that hold memory of the VM, or may. */
export const memoryFilesOf = (value: Snapshots | undefined): readonly MemoryFile[] => [
  ...(value?.snapshots ?? []).flatMap(({ memory }) =>
    memory === undefined ? [] : [{ directory: memory.directory, file: memory.file }],
  ),
  ...looseMemoryOf(value),
];

/** The id of the VM keeps it apart from the files of others, also of another host's. */
export const memoryName = (vmId: string, id: string): string => `socle-${vmId}.${id}.memory`;

/** Disk names have no dot, so that no disk's first volume has this name. */
export const layerName = (vmId: string, disk: string, id: string): string =>
  `socle-${vmId}-${disk}.${id}.qcow2`;

/** The volumes of a disk by their role. */
interface DiskLayers {
  /** The guest writes to it. */
  readonly active: string;
  /** All but the active one. */
  readonly others: readonly string[];
}

/** `first`: the volume that was made with the disk. */
export function layersOf(
  disk: string,
  first: string,
  { snapshots, active, loose }: Snapshots = noSnapshots,
): DiskLayers {
  const top = active[disk] ?? first;
  const kept = snapshots.flatMap((each) => each.volumes[disk] ?? []);
  const leftover = loose.flatMap((each) => (each.disk === disk ? each.volume : []));
  const all = new Set([first, ...kept, ...leftover]);
  // The first volume stays below all others, also after a revert.
  all.delete(top);
  return { active: top, others: [...all] };
}

export const hasSnapshots = (value: Snapshots | undefined): boolean => (value?.snapshots.length ?? 0) > 0;

/** By name or id. */
export const findSnapshot = (value: Snapshots | undefined, nameOrId: string): Snapshot | undefined =>
  value?.snapshots.find(({ id, name }) => name === nameOrId || id === nameOrId);

/** The snapshots from the one that the present disks are based on to its oldest ancestor. */
export function ancestry({ snapshots, current }: Snapshots): Snapshot[] {
  const path: Snapshot[] = [];
  let at = snapshots.find(({ id }) => id === current);
  while (at !== undefined && !path.includes(at)) {
    path.push(at);
    const { parent } = at;
    at = snapshots.find(({ id }) => id === parent);
  }
  return path;
}
