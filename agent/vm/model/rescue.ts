import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { resourceName } from "../../contract/spec-values.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { VmDomain } from "./vm-domain.ts";
import { diskTarget } from "./device-names.ts";

// A VM that boots another system beside its own disks. Its definition stays as it is: the rescue system runs from another
// document of the same domain. The note of it in the metadata names the volume that it writes to before that exists.

const schema = z.object({
  pool: resourceName,
  /** The overlay that the rescue system writes to, made for it and deleted afterwards. */
  volume: resourceName,
  /** What the overlay is over. */
  baseVolume: resourceName,
  capacityBytes: z.number(),
  /** The VM ran before, and is started at the end. */
  startsAfter: z.boolean(),
});
export type Rescue = Immutable<z.output<typeof schema>>;

/** No disk's volume has this name: a disk's name has no dot. */
export const rescueVolumeName = (vmId: string): string => `socle-${vmId}-.rescue.qcow2`;

/** Throws if the text is not what rescueText() returned for this VM: no other VM's volume is named. */
export function rescueOf(vmId: string, text: string): Rescue {
  const value = schema.parse(parseJson(text));
  if (value.volume !== rescueVolumeName(vmId)) throw new Error(`${value.volume} is of no rescue system`);
  return value;
}

export const rescueText = (value: Rescue): string => JSON.stringify(value);

export const overlayOf = ({ pool, volume }: Rescue): VolumeRef => ({ pool, volume });

const RESCUE_ALIAS = "ua-rescue";

/** Whether this is the document of a rescue system. */
export const isRescueSystem = ({ devices }: Pick<VmDomain, "devices">): boolean =>
  devices.disks.some(({ alias }) => alias === RESCUE_ALIAS);

/** The document of the rescue system, from the VM's definition: its disk is the first, and the only one to boot from. */
export function rescueDocument(document: VmDomain, path: string): VmDomain {
  const { os, devices, metadata = {} } = document;
  const { kernel: _kernel, initrd: _initrd, commandLine: _commandLine, bootDevices: _boot, ...machine } = os;
  const { socle, stamp } = metadata;
  const withoutBoot = <Device extends { readonly bootOrder?: number }>({
    bootOrder: _order,
    ...device
  }: Device) => device;
  let next = 1;
  const behind = devices.disks.map(withoutBoot).map((disk) => {
    // The seed stays behind all disks.
    if (disk.target.bus !== "virtio" || disk.serial === "cidata") return disk;
    const device = diskTarget(next);
    next += 1;
    return { ...disk, target: { ...disk.target, device } };
  });
  return {
    ...document,
    metadata: {
      ...(socle === undefined ? {} : { socle }),
      ...(stamp === undefined ? {} : { stamp }),
    },
    os: machine,
    devices: {
      ...devices,
      disks: [
        {
          device: "disk",
          source: { type: "file", path },
          format: "qcow2",
          cache: "none",
          io: "native",
          discard: "unmap",
          target: { device: diskTarget(0), bus: "virtio" },
          serial: "rescue",
          alias: RESCUE_ALIAS,
          bootOrder: 1,
        },
        ...behind,
      ],
      interfaces: devices.interfaces.map(withoutBoot),
    },
  };
}
