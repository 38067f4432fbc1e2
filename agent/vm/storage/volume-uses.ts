import { Slice } from "../../kernel/concurrency/slice.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { Vm, VmDisk, VmImage } from "../model/vm.ts";
import { ownVolumes } from "../model/volume-names.ts";
import { volumeKey } from "./volume-users.ts";

/** How a VM uses a volume. `base`: its disk is an overlay of it. `kernel`: also its initial RAM disk. */
export interface VolumeUse {
  readonly vm: Vm;
  readonly role: "disk" | "base" | "kernel";
  readonly writes: boolean;
}

type UseAt = Omit<VolumeUse, "vm"> & { readonly at: string };

/** The known uses of storage, by `volumeKey` and by path: from the specs of VMs, and the disks that libvirt reported. */
export async function volumeUses(
  vms: readonly Vm[],
  slice: Slice = new Slice(),
): Promise<ReadonlyMap<string, readonly VolumeUse[]>> {
  const uses = new Map<string, VolumeUse[]>();
  for (const vm of vms) {
    for (const { at, ...use } of [
      ...(vm.spec === undefined ? [] : ofSpec(vm.spec)),
      ...vm.disks.flatMap(ofDisk),
    ]) {
      const known = uses.get(at);
      if (known === undefined) uses.set(at, [{ vm, ...use }]);
      else known.push({ vm, ...use });
    }
    if (slice.over) await slice.rest();
  }
  return uses;
}

function ofSpec(spec: VmSpec): UseAt[] {
  const { disks, kernelBoot } = spec;
  const kernels = [kernelBoot?.kernel, kernelBoot?.initrd].filter((volume) => volume !== undefined);
  return [
    ...ownVolumes(spec).map((volume): UseAt => ({ at: volumeKey(volume), role: "disk", writes: true })),
    ...disks.flatMap(({ source, readOnly }): UseAt[] => {
      if (source.kind === "volume")
        return [{ at: volumeKey(source.volume), role: "disk", writes: !readOnly }];
      if (source.baseVolume === undefined) return [];
      const at = volumeKey({ pool: source.pool, volume: source.baseVolume });
      return [{ at, role: "base", writes: false }];
    }),
    ...kernels.map((volume): UseAt => ({ at: volumeKey(volume), role: "kernel", writes: false })),
  ];
}

const ofDisk = ({ readOnly, backing = [], mirror, ...disk }: VmDisk): UseAt[] => [
  ...ofImage(disk, "disk", readOnly !== true),
  ...backing.flatMap((image) => ofImage(image, "base", false)),
  ...(mirror === undefined ? [] : ofImage(mirror, "disk", true)),
];

const ofImage = ({ path, volume }: VmImage, role: UseAt["role"], writes: boolean): UseAt[] =>
  [path, volume && volumeKey(volume)].flatMap((at) => (at === undefined ? [] : [{ at, role, writes }]));
