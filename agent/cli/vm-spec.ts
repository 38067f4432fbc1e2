import { withoutUndefined } from "../kernel/defined.ts";
import type { CdromDrive } from "../gen/socle/v1/CdromDrive.ts";
import type { Disk } from "../gen/socle/v1/Disk.ts";
import type { Nic } from "../gen/socle/v1/Nic.ts";
import type { VmSpec } from "../gen/socle/v1/VmSpec.ts";
import type { VolumeReference } from "../gen/socle/v1/VolumeReference.ts";
import { specEnums } from "../contract/spec-enums.ts";
import { usageError } from "./errors.ts";
import { parseBytes } from "./format.ts";
import { withPlacementFlags, type PlacementFlags } from "./placement.ts";
import { machineFields, type MachineFlags } from "./vm-machine-options.ts";
import { parseLabels } from "./labels.ts";
import { splitVolume } from "./spec-file.ts";

/** The spec flags of `socle vm create`. */
export interface SpecFlags extends PlacementFlags, MachineFlags {
  readonly name?: string;
  readonly id?: string;
  readonly vcpus?: number;
  readonly maxVcpus?: number;
  /** In bytes. */
  readonly memory?: number;
  readonly maxMemory?: number;
  readonly disk?: readonly string[];
  /** An image for the first disk, with its pool. */
  readonly image?: string;
  readonly imagePool?: string;
  /** The media of CD-ROM drives. */
  readonly cdrom?: readonly string[];
  /** In bytes; with an image. */
  readonly diskSize?: number;
  /** All new disks. */
  readonly encrypt?: boolean;
  readonly nic?: readonly string[];
  readonly kernel?: string;
  readonly initrd?: string;
  readonly cmdline?: string;
  readonly accelerator?: (typeof accelerator.words)[number];
  readonly firmware?: (typeof firmware.words)[number];
  readonly tpm?: boolean;
  readonly launchSecurity?: (typeof launchSecurity.words)[number];
  readonly guestAgent?: boolean;
  readonly autostart?: boolean;
  readonly startPriority?: number;
  /** In milliseconds. */
  readonly startDelay?: number;
  readonly crashPolicy?: (typeof crashPolicy.words)[number];
  readonly label?: readonly string[];
  readonly tenant?: string;
}

const { accelerator, crashPolicy, firmware, launchSecurity } = specEnums;

/** The spec with the flags in place of its own values. */
export function withFlags(spec: VmSpec, flags: SpecFlags): VmSpec {
  const boot = spec.kernelBoot ?? {};
  const kernelBoot = withoutUndefined({
    kernel: flags.kernel === undefined ? boot.kernel : parseVolume("--kernel", flags.kernel),
    initrd: flags.initrd === undefined ? boot.initrd : parseVolume("--initrd", flags.initrd),
    commandLine: flags.cmdline ?? boot.commandLine,
  });
  if (kernelBoot.kernel === undefined && Object.keys(kernelBoot).length > 0) {
    throw usageError("--initrd and --cmdline require --kernel");
  }
  return withoutUndefined({
    ...spec,
    name: flags.name ?? spec.name,
    vmId: flags.id ?? spec.vmId,
    vcpus: flags.vcpus ?? spec.vcpus,
    maxVcpus: flags.maxVcpus ?? spec.maxVcpus,
    memoryBytes: flags.memory ?? spec.memoryBytes,
    maxMemoryBytes: flags.maxMemory ?? spec.maxMemoryBytes,
    ...withDrives(
      withEncryption(disksOf(spec, flags), flags.encrypt === true),
      flags.cdrom,
      kernelBoot.kernel === undefined ? spec.bootOrder : [],
    ),
    nics: flags.nic?.map((text, index) => parseNic(text, `nic${index}`)) ?? spec.nics,
    kernelBoot: kernelBoot.kernel === undefined ? undefined : kernelBoot,
    accelerator: flags.accelerator === undefined ? spec.accelerator : accelerator.toProto(flags.accelerator),
    firmware: flags.firmware === undefined ? spec.firmware : firmware.toProto(flags.firmware),
    tpm: flags.tpm ?? spec.tpm,
    launchSecurity:
      flags.launchSecurity === undefined ? spec.launchSecurity : launchSecurity.toProto(flags.launchSecurity),
    guestAgent: flags.guestAgent ?? spec.guestAgent,
    autostart: flags.autostart ?? spec.autostart,
    ...withPowerFlags(spec, flags),
    ...machineFields(flags),
    tenant: flags.tenant ?? spec.tenant,
    placement: withPlacementFlags(spec.placement, flags),
    labels: { ...spec.labels, ...parseLabels(flags.label) },
  });
}

/** Behind the disks. A guest whose first disk is empty boots from the first medium, and from its disk once it is installed. */
function withDrives(
  disks: Disk[] | undefined,
  media: readonly string[] = [],
  bootOrder: string[] | undefined,
): Pick<VmSpec, "disks" | "bootOrder"> {
  if (media.length === 0) return withoutUndefined({ disks });
  const drives = media.map((text, index) => ({
    name: `cdrom${index}`,
    readOnly: true,
    cdrom: parseMedium(text),
  }));
  const boots = [disks?.[0], drives[0]].flatMap((disk) => disk?.name ?? []);
  return { disks: [...(disks ?? []), ...drives], bootOrder: bootOrder ?? boots };
}

export type PowerFlags = Pick<SpecFlags, "startPriority" | "startDelay" | "crashPolicy">;

/** The fields of a spec that these flags set. */
export const withPowerFlags = (
  spec: VmSpec,
  { startPriority, startDelay, crashPolicy: onCrash }: PowerFlags,
): Pick<VmSpec, "startPriority" | "startDelaySeconds" | "crashPolicy"> =>
  withoutUndefined({
    startPriority: startPriority ?? spec.startPriority,
    startDelaySeconds: startDelay === undefined ? spec.startDelaySeconds : Math.round(startDelay / 1000),
    crashPolicy: onCrash === undefined ? spec.crashPolicy : crashPolicy.toProto(onCrash),
  });

/** The disk over an image comes first: it boots. */
function disksOf({ disks }: VmSpec, flags: SpecFlags): Disk[] | undefined {
  const { image, imagePool = "", diskSize = 0 } = flags;
  const given = flags.disk?.map((text, index) => parseDisk(text, `disk${index}`));
  if (image === undefined) {
    if (diskSize !== 0) throw usageError("--disk-size is for the disk of --image");
    return given ?? disks;
  }
  const root = { name: "root", newVolume: { pool: imagePool, capacityBytes: diskSize, image } };
  return [root, ...(given ?? disks ?? [])];
}

/** `image:NAME`, `POOL/VOLUME`, or nothing. */
export function parseMedium(text: string): CdromDrive {
  if (text === "") return {};
  if (text.startsWith("image:")) return { image: text.slice("image:".length) };
  return { volume: parseVolume("MEDIUM", text) };
}

/** `POOL/VOLUME`, `cdrom[:MEDIUM]`, or `new:POOL:SIZE[:BASE]` where SIZE may be empty with a base. */
export function parseDisk(text: string, name: string): Disk {
  const drive = /^cdrom(?::(.*))?$/.exec(text);
  if (drive !== null) return { name, readOnly: true, cdrom: parseMedium(drive[1] ?? "") };
  if (!text.startsWith("new:")) return { name, volume: parseVolume("--disk", text) };
  const [pool = "", size = "", ...base] = text.slice("new:".length).split(":");
  const baseVolume = base.join(":");
  const capacityBytes = size === "" ? 0 : parseBytes(size);
  if (pool === "" || capacityBytes === undefined || (capacityBytes === 0 && baseVolume === "")) {
    throw usageError(
      `--disk takes POOL/VOLUME or new:POOL:SIZE[:BASE], for example new:default:10GiB, not '${text}'`,
    );
  }
  return { name, newVolume: { pool, capacityBytes, baseVolume } };
}

/** A new disk over an image, from `new:POOL[:SIZE]`; by default of the image's size. */
export function diskOver(image: string, text: string, name: string): Disk {
  const [kind, pool = "", size = "", ...more] = text.split(":");
  const capacityBytes = size === "" ? 0 : parseBytes(size);
  if (kind !== "new" || pool === "" || capacityBytes === undefined || more.length > 0)
    throw usageError(`--image takes new:POOL[:SIZE], for example new:default:40GiB, not '${text}'`);
  return { name, newVolume: { pool, capacityBytes, image } };
}

export function withEncryption(disks: Disk[] | undefined, isWanted: boolean): Disk[] | undefined {
  if (!isWanted) return disks;
  return disks?.map((disk) =>
    disk.newVolume == null
      ? disk
      : { ...disk, newVolume: { ...disk.newVolume, encryption: "VOLUME_ENCRYPTION_LUKS" } },
  );
}

/** A network of libvirt, or `bridge:BRIDGE`. */
export function parseNic(text: string, name: string): Nic {
  return text.startsWith("bridge:")
    ? { name, bridge: text.slice("bridge:".length) }
    : { name, network: text };
}

function parseVolume(option: string, text: string): VolumeReference {
  const reference = splitVolume(text);
  if (reference.pool === "" || reference.volume === "") {
    throw usageError(`${option} takes POOL/VOLUME, for example default/debian.qcow2, not '${text}'`);
  }
  return reference;
}
