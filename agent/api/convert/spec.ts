import { defined, withoutUndefined } from "../../kernel/defined.ts";
import { invalidField } from "../../kernel/errors.ts";
import type { DiskSpec, NicSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import type { DiskLimits } from "../../contract/spec-disk-limits.ts";
import type { CloudInit__Output } from "../../gen/socle/v1/CloudInit.ts";
import type { CdromDrive__Output } from "../../gen/socle/v1/CdromDrive.ts";
import type { DiskLimits__Output } from "../../gen/socle/v1/DiskLimits.ts";
import type { Disk, Disk__Output } from "../../gen/socle/v1/Disk.ts";
import type { Nic, Nic__Output } from "../../gen/socle/v1/Nic.ts";
import type { NicLimits__Output } from "../../gen/socle/v1/NicLimits.ts";
import type { VmSpec as ProtoSpec, VmSpec__Output } from "../../gen/socle/v1/VmSpec.ts";
import { machineFromProto, machineToProto } from "./spec-machine.ts";
import { placementRequestFromProto, placementRequestToProto } from "./placement.ts";

const { accelerator: accelerators, firmware: firmwares, launchSecurity: launchSecurities } = specEnums;
const { cpuMode: cpuModes, diskFormat: formats, encryption: encryptions, crashPolicy } = specEnums;

/** A spec without the fields that the caller left out. vm/ validates it; here only its shape changes. */
type SpecInput = Readonly<Record<string, unknown>>;

export function specFromProto(spec: VmSpec__Output | null): SpecInput {
  if (spec === null) throw invalidField("SPEC_INVALID", "spec", "must be given");
  return withoutUndefined({
    name: spec.name,
    id: nonEmpty(spec.vmId),
    vcpus: spec.vcpus,
    maxVcpus: spec.maxVcpus === 0 ? undefined : spec.maxVcpus,
    cpuTopology: spec.cpuTopology ?? undefined,
    cpuMode: cpuModes.fromProto("spec.cpuMode", spec.cpuMode),
    cpuModel: nonEmpty(spec.cpuModel),
    memoryBytes: spec.memoryBytes,
    maxMemoryBytes: spec.maxMemoryBytes === 0 ? undefined : spec.maxMemoryBytes,
    accelerator: accelerators.fromProto("spec.accelerator", spec.accelerator),
    firmware: firmwares.fromProto("spec.firmware", spec.firmware),
    disks: spec.disks.map((disk, index) => diskFromProto(disk, `spec.disks[${index}]`)),
    nics: spec.nics.map((nic, index) => nicFromProto(nic, `spec.nics[${index}]`)),
    bootOrder: spec.bootOrder.length === 0 ? undefined : spec.bootOrder,
    kernelBoot:
      spec.kernelBoot === null
        ? undefined
        : withoutUndefined({
            kernel: spec.kernelBoot.kernel ?? undefined,
            initrd: spec.kernelBoot.initrd ?? undefined,
            commandLine: spec.kernelBoot.commandLine,
          }),
    tpm: spec.tpm || undefined,
    launchSecurity: launchSecurities.fromProto("spec.launchSecurity", spec.launchSecurity),
    guestAgent: spec.guestAgent,
    ...machineFromProto(spec),
    tenant: spec.tenant,
    labels: spec.labels,
    autostart: spec.autostart,
    startPriority: spec.startPriority || undefined,
    startDelaySeconds: spec.startDelaySeconds || undefined,
    crashPolicy: crashPolicy.fromProto("spec.crashPolicy", spec.crashPolicy),
    placement:
      spec.placement === null ? undefined : placementRequestFromProto("spec.placement", spec.placement),
    cloudInit: spec.cloudInit === null ? undefined : shownSeed(spec.cloudInit),
  });
}

const shownSeed = ({ hostname, sshKeys, pool }: CloudInit__Output): SpecInput =>
  withoutUndefined({ hostname: nonEmpty(hostname), sshKeys, pool: nonEmpty(pool) });

const secretSeed = ({ userData, networkConfig }: CloudInit__Output): SpecInput =>
  withoutUndefined({ userData: nonEmpty(userData), networkConfig: nonEmpty(networkConfig) });

/** All parts of a seed. */
export const seedPartsFromProto = (cloudInit: CloudInit__Output | null): SpecInput =>
  cloudInit === null ? {} : { ...shownSeed(cloudInit), ...secretSeed(cloudInit) };

/** The secret parts of its `cloud_init`; undefined without any. */
export function seedFromProto(spec: VmSpec__Output | null): SpecInput | undefined {
  const secrets = spec?.cloudInit == null ? {} : secretSeed(spec.cloudInit);
  return Object.keys(secrets).length === 0 ? undefined : secrets;
}

/** `field`: the request's name for it. */
export function diskFromProto(disk: Disk__Output | null, field: string): SpecInput {
  if (disk === null) throw invalidField("SPEC_INVALID", field, "must be given");
  const { name, readOnly, volume, newVolume, cdrom } = disk;
  const limits = diskLimitsFromProto(disk.limits);
  const same = { name, readOnly, ...(limits === undefined ? {} : { limits }) };
  if (volume != null) return { ...same, source: { kind: "volume", volume } };
  if (cdrom != null) return { ...same, readOnly: true, source: { kind: "cdrom", ...mediumFromProto(cdrom) } };
  if (newVolume == null)
    throw invalidField("SPEC_INVALID", field, "must have a volume, a new volume or a CD-ROM drive");
  const source = withoutUndefined({
    kind: "new",
    pool: newVolume.pool,
    capacityBytes: newVolume.capacityBytes === 0 ? undefined : newVolume.capacityBytes,
    format: formats.fromProto(`${field}.format`, newVolume.format),
    baseVolume: nonEmpty(newVolume.baseVolume),
    image: nonEmpty(newVolume.image),
    encryption: encryptions.fromProto(`${field}.encryption`, newVolume.encryption),
  });
  return { ...same, source };
}

/** The medium of a CD-ROM drive: a volume, the name of an image, or neither. */
export const mediumFromProto = ({
  volume,
  image = "",
}: Pick<CdromDrive__Output, "volume" | "image">): { volume?: VolumeRef; image?: string } =>
  withoutUndefined({ volume: volume ?? undefined, image: nonEmpty(image) });

/** Its fields as given; undefined without the message. */
export const diskLimitsFromProto = (limits: DiskLimits__Output | null): DiskLimits | undefined =>
  limits === null
    ? undefined
    : withoutUndefined({
        totalBytesPerSecond: limits.totalBytesPerSecond,
        readBytesPerSecond: limits.readBytesPerSecond,
        writeBytesPerSecond: limits.writeBytesPerSecond,
        totalIops: limits.totalIops,
        readIops: limits.readIops,
        writeIops: limits.writeIops,
        totalBurstBytesPerSecond: limits.totalBurstBytesPerSecond,
        readBurstBytesPerSecond: limits.readBurstBytesPerSecond,
        writeBurstBytesPerSecond: limits.writeBurstBytesPerSecond,
        totalBurstIops: limits.totalBurstIops,
        readBurstIops: limits.readBurstIops,
        writeBurstIops: limits.writeBurstIops,
        burstSeconds: limits.burstSeconds,
      });

/** As `diskFromProto`. */
export function nicFromProto(nic: Nic__Output | null, field: string): SpecInput {
  if (nic === null) throw invalidField("SPEC_INVALID", field, "must be given");
  const { name, network, bridge, allowSpoofing, allowedAddresses } = nic;
  const source =
    nic.source === "network"
      ? { kind: "network", network }
      : nic.source === "bridge"
        ? { kind: "bridge", bridge }
        : undefined;
  if (source === undefined) throw invalidField("SPEC_INVALID", field, "must have a network or a bridge");
  const limits = nic.limits === null ? undefined : limitsFromProto(nic.limits);
  const optional = { mac: nonEmpty(nic.mac), linkDown: nic.linkDown || undefined, limits };
  return withoutUndefined({ name, source, allowSpoofing, allowedAddresses, ...optional });
}

export const limitsFromProto = (limits: NicLimits__Output): NonNullable<NicSpec["limits"]> => {
  const { inboundBytesPerSecond, outboundBytesPerSecond, inboundBurstBytes, outboundBurstBytes } = limits;
  return withoutUndefined({
    inboundBytesPerSecond,
    outboundBytesPerSecond,
    inboundBurstBytes,
    outboundBurstBytes,
  });
};

export function specToProto(spec: VmSpec): ProtoSpec {
  const { id, cpuMode, accelerator, firmware, disks, nics, kernelBoot, placement, launchSecurity, ...rest } =
    spec;
  const { cloudInit, crashPolicy: onCrash, bootOrder = [], graphics, watchdog, ...same } = rest;
  return defined({
    ...same,
    vmId: id,
    cpuMode: cpuMode && cpuModes.toProto(cpuMode),
    accelerator: accelerator && accelerators.toProto(accelerator),
    firmware: firmwares.toProto(firmware),
    launchSecurity: launchSecurity && launchSecurities.toProto(launchSecurity),
    disks: disks.map(diskToProto),
    nics: nics.map(nicToProto),
    crashPolicy: onCrash && crashPolicy.toProto(onCrash),
    bootOrder: [...bootOrder],
    ...machineToProto({ graphics, watchdog }),
    kernelBoot: kernelBoot ?? null,
    placement: placement === undefined ? null : placementRequestToProto(placement),
    cloudInit: cloudInit === undefined ? null : { ...cloudInit, sshKeys: [...cloudInit.sshKeys] },
  });
}

function diskToProto({ source, ...rest }: DiskSpec): Disk {
  if (source.kind === "volume") return { ...rest, volume: source.volume };
  if (source.kind === "cdrom") return { ...rest, cdrom: { volume: source.volume ?? null } };
  const { kind: _, format, encryption, ...same } = source;
  const newVolume = withoutUndefined({
    ...same,
    format: formats.toProto(format),
    encryption: encryption && encryptions.toProto(encryption),
  });
  return { ...rest, newVolume };
}

function nicToProto({ source, allowedAddresses, ...same }: NicSpec): Nic {
  const where = source.kind === "network" ? { network: source.network } : { bridge: source.bridge };
  return { ...same, ...where, allowedAddresses: [...allowedAddresses] };
}

/** In proto3 an empty string means absent. */
export const nonEmpty = (text: string): string | undefined => (text === "" ? undefined : text);
