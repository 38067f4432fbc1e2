import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import type { Overlay } from "../hypervisor/switch-xml.ts";
import { isEncrypted } from "../model/sealed-keys.ts";
import {
  extraOf,
  findSnapshot,
  layerName,
  withExtra,
  type ExtraVolume,
  type Snapshot,
  type Snapshots,
} from "../model/snapshots.ts";
import type { Vm } from "../model/vm.ts";
import { ownDisk, type OwnDisk } from "../model/volume-names.ts";
import { mayBeBelow } from "./own-volume.ts";
import { requireIdle } from "./detach-disk.ts";
import { readSpec, rewriteSnapshots } from "./spec-change.ts";
import { because, type Undo } from "./undo.ts";
import { mayHaveBegun, type WorkContext, type WorkRun } from "./work.ts";

/** An overlay that an operation makes, and the volume below it. */
export const layerSchema = z.object({
  disk: z.string(),
  pool: z.string(),
  volume: z.string(),
  capacityBytes: z.number(),
});
export type Layer = z.output<typeof layerSchema>;

/** The overlays for the disks that the guest writes to. Throws as `requireLayerable`. */
export const newLayers = (vm: Vm, id: string): Layer[] =>
  layeredDisks(vm).map(({ disk, volume: { pool }, source: { capacityBytes = 0 } }) => ({
    disk,
    pool,
    volume: layerName(vm.id, disk, id),
    capacityBytes,
  }));

/** A layer may grow to the capacity of its disk. */
export const growthOfLayers = (layers: readonly Layer[]) => ({
  volumes: layers.map(({ pool, volume, capacityBytes }) => ({ pool, volume, capacityBytes })),
  diskBytes: layers.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0),
});

/**
 * The disks that a snapshot covers: all that the guest writes to. Throws `conflict` SNAPSHOT_UNSUPPORTED for a VM with a
 * writable disk that cannot have layers, or without one that can, and DISK_BUSY.
 */
export function layeredDisks(vm: Pick<Vm, "id" | "name" | "spec" | "snapshots" | "disks">): OwnDisk[] {
  const own = (vm.spec?.disks ?? []).flatMap((disk, index) => {
    if (disk.readOnly || disk.source.kind === "cdrom") return [];
    if (disk.source.kind === "volume")
      throw unsupported(
        index,
        `disk ${disk.name} of VM ${vm.name} is the volume ${disk.source.volume.volume}, which was not made for the VM: detach it first, or attach it read-only`,
      );
    if (isEncrypted(disk))
      throw unsupported(
        index,
        `disk ${disk.name} of VM ${vm.name} is encrypted, and its layers would not be: copy its data in the guest, or detach it first`,
      );
    requireIdle(vm, disk.name);
    return [ownDisk(vm.id, disk, disk.source, vm.snapshots)];
  });
  if (own.length > 0) return own;
  const message = `VM ${vm.name} has no disk that was made for it and that it writes to: there is nothing to keep in a snapshot`;
  throw new SocleError("conflict", "SNAPSHOT_UNSUPPORTED", message, { details: { fields: { vm: message } } });
}

/** Throws `conflict` VM_CHANGED if the VM has not the disks any more that it had at the admission. */
export function requireSameLayers(spec: VmSpec, snapshots: Snapshots, layers: readonly Layer[]): OwnDisk[] {
  const own = layeredDisks({ id: spec.id, name: spec.name, spec, snapshots, disks: [] });
  const isSame = own.length === layers.length && own.every(({ disk }) => layerOf(layers, disk) !== undefined);
  if (isSame) return own;
  const message = `the disks of VM ${spec.name} were changed by another operation since the request, and nothing was done; look at the VM, then repeat the request`;
  throw new SocleError("conflict", "VM_CHANGED", message);
}

const layerOf = (layers: readonly Layer[], disk: string): Layer | undefined =>
  layers.find((each) => each.disk === disk);

const CLAIM = "claim volumes";
const LAYERS = "make layers";

/** The effects of an operation that switches disks to new layers, as its runs know them. */
export interface Layering {
  readonly layers: readonly Layer[];
  /** The names of the steps that may have had effects. */
  readonly effects: Set<string>;
}

/** The steps, beside that of the layers, that may have had effects in an earlier run. */
export const effectsOf = (run: WorkRun, steps: readonly string[]): Set<string> =>
  new Set([LAYERS, ...steps].filter((name) => mayHaveBegun(run, name)));

/** Makes the layers of an operation, or adopts those of its earlier run. `below`: the volume under the layer of a disk. */
export async function provideLayers(
  context: WorkContext,
  run: WorkRun,
  { layers, effects }: Layering,
  { own, below, part }: { own: readonly OwnDisk[]; below: (disk: OwnDisk) => string; part: number },
): Promise<Overlay[]> {
  const { vmId, step, done } = run;
  const mayBeThere = done.has(CLAIM);
  // Journaled before any volume is made: a volume of this name that exists later was made by this operation.
  if (!mayBeThere) await step.durable(CLAIM, () => context.volumes.requireAbsent(layers), 0);
  effects.add(LAYERS);
  return await step(
    LAYERS,
    async () => {
      // Noted before they exist: at no time is there a volume without an owner.
      await rewriteSnapshots(context, vmId, (now) => withLoose(now, looseOf(layers)));
      return await makeLayers(context, layers, own, { below, mayBeThere });
    },
    part,
  );
}

/** The undo of `provideLayers`. */
export const undoLayers = (context: WorkContext, vmId: string, { layers, effects }: Layering): Undo[] =>
  effects.has(LAYERS)
    ? [
        {
          step: LAYERS,
          async remove() {
            if ((await context.domains.state(vmId)) === undefined) {
              for (const layer of layers) await context.volumes.remove(layer);
              return;
            }
            const { spec } = await readSpec(context, vmId);
            await removeLoose(context, spec, looseOf(layers));
          },
        },
      ]
    : [];

/** Makes the overlays, or adopts those of an earlier run. `below`: the volume under the overlay of a disk. */
async function makeLayers(
  { volumes }: WorkContext,
  layers: readonly Layer[],
  disks: readonly OwnDisk[],
  { below, mayBeThere }: { below: (disk: OwnDisk) => string; mayBeThere: boolean },
): Promise<Overlay[]> {
  const overlays: Overlay[] = [];
  for (const disk of disks) {
    const layer = layerOf(layers, disk.disk);
    if (layer === undefined) continue;
    const { pool, volume: name, capacityBytes: asked } = layer;
    const [base, own] = [below(disk), [disk.volume.volume, ...mayBeBelow(disk)]];
    // The disk may have been enlarged since the snapshot or the admission, and libvirt rounds up.
    const capacityBytes = Math.max(asked, disk.source.capacityBytes ?? 0);
    const { path } = await volumes.make(
      { pool, name, format: "qcow2", capacityBytes, base, orAsBase: true, own },
      mayBeThere,
    );
    overlays.push({ disk: disk.disk, path });
  }
  return overlays;
}

/** The overlays, if all exist. */
export async function existing(
  { volumes }: WorkContext,
  layers: readonly Layer[],
): Promise<Overlay[] | undefined> {
  const overlays: Overlay[] = [];
  for (const layer of layers) {
    const path = await volumes.pathOf(layer);
    if (path === undefined) return undefined;
    overlays.push({ disk: layer.disk, path });
  }
  return overlays;
}

/** Throws `conflict` SWITCH_IN_DOUBT. */
export async function requireExisting(context: WorkContext, layers: readonly Layer[]): Promise<Overlay[]> {
  const overlays = await existing(context, layers);
  if (overlays !== undefined) return overlays;
  const message = `the guest may have written to layers that are not found now: ${namesOf(layers)}. Restore their pools or files`;
  throw new SocleError("conflict", "SWITCH_IN_DOUBT", message);
}

const namesOf = (layers: readonly Layer[]): string =>
  layers.map(({ pool, volume }) => `${volume} in pool ${pool}`).join(", ");

export const layersKept = (error: SocleError, layers: readonly Layer[]): SocleError =>
  because(error, `the layers ${namesOf(layers)} stay: they may have what the guest wrote last`);

export const looseOf = (layers: readonly Layer[]) => layers.map(({ disk, volume }) => ({ disk, volume }));

export const withLoose = (snapshots: Snapshots, loose: Snapshots["loose"]): Snapshots => ({
  ...snapshots,
  loose: [...withoutLoose(snapshots, loose).loose, ...loose],
});

export const withoutLoose = (snapshots: Snapshots, gone: Snapshots["loose"]): Snapshots => ({
  ...snapshots,
  loose: snapshots.loose.filter(({ volume }) => !gone.some((each) => each.volume === volume)),
});

/**
 * Throws `conflict` DISKS_REPLACED if the domain does not use the volumes that its snapshots name, as after a snapshot by
 * another client. `overlays`: of some disks it may use these.
 */
export async function requireAsNoted(
  { domains, volumes }: WorkContext,
  vmId: string,
  own: readonly OwnDisk[],
  overlays: readonly Overlay[] = [],
): Promise<void> {
  const uses = (disk: string, path: string): Promise<boolean> =>
    domains.layers.isSwitched(vmId, [{ disk, path }]);
  for (const { disk, volume } of own) {
    const path = await volumes.pathOf(volume);
    if (path !== undefined && (await uses(disk, path))) continue;
    const overlay = overlays.find((each) => each.disk === disk);
    if (overlay !== undefined && (await uses(disk, overlay.path))) continue;
    const message = `disk ${disk} of the VM does not use volume ${volume.volume}, as after a snapshot by another client: remove that one (virsh blockcommit --active --pivot)`;
    throw new SocleError("conflict", "DISKS_REPLACED", message, {
      details: { fields: { vm: message }, metadata: { disk } },
    });
  }
}

/** Whether volumes wait for their deletion. */
export const hasLeftovers = (snapshots: Snapshots): boolean =>
  snapshots.loose.length + extraOf(snapshots).length > 0;

/** The extra volumes of a disk, or of all, that may be deleted: a guest may still write to those in doubt. */
export const leftoversOf = (snapshots: Snapshots, disk?: string): ExtraVolume[] =>
  extraOf(snapshots).filter((extra) => extra.inDoubt !== true && (disk === undefined || extra.disk === disk));

/**
 * Deletes volumes that are noted as loose, and the extra ones, then the notes; those in doubt stay. Throws `conflict`
 * DISKS_REPLACED for one that the domain uses.
 */
export async function removeLoose(
  context: WorkContext,
  spec: VmSpec,
  noted: Snapshots["loose"],
): Promise<Snapshots> {
  // Without the disk in the spec, the pool of a volume is not known.
  const loose = noted.flatMap(({ disk, volume, inDoubt }) => {
    const source = spec.disks.find(({ name }) => name === disk)?.source;
    return source?.kind === "new" && inDoubt !== true ? [{ disk, pool: source.pool, volume }] : [];
  });
  const extra = leftoversOf((await readSpec(context, spec.id)).snapshots);
  for (const each of [...loose, ...extra]) await removeUnused(context, spec.id, each);
  const isLeft = ({ pool, volume }: VolumeRef): boolean =>
    !extra.some((gone) => gone.pool === pool && gone.volume === volume);
  return await rewriteSnapshots(context, spec.id, (snapshots) =>
    withExtra(withoutLoose(snapshots, loose), extraOf(snapshots).filter(isLeft)),
  );
}

/** Throws `conflict` DISKS_REPLACED for a volume that the domain uses. */
export async function removeUnused(
  { domains, volumes }: WorkContext,
  vmId: string,
  { disk, pool, volume }: VolumeRef & { readonly disk: string },
): Promise<void> {
  const path = await volumes.pathOf({ pool, volume });
  if (path === undefined) return;
  if ((await domains.layers.inUse(vmId)).has(path)) {
    const message = `disk ${disk} of the VM uses volume ${volume} of pool ${pool}, which is noted as not in use: nothing was deleted; look at the VM (virsh dumpxml)`;
    throw new SocleError("conflict", "DISKS_REPLACED", message, { details: { metadata: { disk } } });
  }
  await volumes.remove({ pool, volume });
}

/** Keeps overlays that the guest may write to, although libvirt does not show that. */
export async function keepInDoubt(
  context: WorkContext,
  vmId: string,
  layers: readonly Layer[],
): Promise<void> {
  const loose = looseOf(layers).map((each) => ({ ...each, inDoubt: true as const }));
  await rewriteSnapshots(context, vmId, (now) => withLoose(now, loose));
}

/** By name or id. Throws `not_found` SNAPSHOT_NOT_FOUND. */
export function requireSnapshot(
  { name: vm, snapshots }: Pick<Vm, "name" | "snapshots">,
  nameOrId: string,
): Snapshot {
  const found = findSnapshot(snapshots, nameOrId);
  if (found !== undefined) return found;
  const names = snapshots?.snapshots.map(({ name }) => name).join(", ") ?? "";
  const message = `VM ${vm} has no snapshot ${nameOrId}; it has ${names === "" ? "none" : names}`;
  throw new SocleError("not_found", "SNAPSHOT_NOT_FOUND", message, {
    details: { fields: { snapshot: message } },
  });
}

const unsupported = (disk: number, message: string): SocleError =>
  new SocleError("conflict", "SNAPSHOT_UNSUPPORTED", message, {
    details: { fields: { [`spec.disks[${disk}]`]: message } },
  });
