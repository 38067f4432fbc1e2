import { createHash } from "node:crypto";
import { noDevices, type Disk, type DomainEdits, type Interface } from "../../libvirt/xml/index.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import { GUEST_AGENT_CHANNEL } from "../hypervisor/guest-agents.ts";
import { secretUuid } from "../keys/guest-keys.ts";
import { storedText } from "../model/stored-spec.ts";
import { diskPart, TPM_PART, type SealedKeys } from "../model/sealed-keys.ts";
import { KIB } from "../../contract/spec-values.ts";
import type { Accelerator, DiskSpec, LaunchSecurity, NicSpec, VmSpec } from "../../contract/spec.ts";
import { defined } from "../../kernel/defined.ts";
import { SEED_ALIAS, diskAlias, diskTarget, nicAlias } from "../model/device-names.ts";
import { ioTuneOf } from "../model/io-tune.ts";
import { memoryGrowthOf } from "../model/memory-growth.ts";
import { pcieControllers, scsiController } from "../model/pcie-ports.ts";
import { hostDevice } from "../model/host-devices.ts";
import { screenOf, watchdogsOf, type MachinePlace } from "../model/machine-devices.ts";
import { unstarted, unstartedText } from "../model/unstarted.ts";
import type { VmDomain, VmMetadata } from "../model/vm-domain.ts";

export interface DiskImage {
  readonly path: string;
  readonly format: string;
}
/** Of an empty CD-ROM drive. */
export type NoMedium = "no medium";

/** A spec with its resolved volumes and the decisions made at admission. */
export interface ResolvedSpec extends MachinePlace {
  readonly spec: VmSpec;
  readonly accelerator: Accelerator;
  /** In the order of spec.disks. */
  readonly disks: readonly (DiskImage | NoMedium)[];
  /** The sealed passphrases of the encrypted disks. */
  readonly keys?: SealedKeys;
  /** Of the cloud-init seed. */
  readonly seedPath?: string;
  readonly kernelPath?: string;
  readonly initrdPath?: string;
  readonly placement: Placement;
  readonly placementEpoch: number;
  readonly createdAtMs: number;
  readonly instance?: string;
  /** It is created to stay off. */
  readonly isLeftStopped?: boolean;
  /** The operation that creates the domain. */
  readonly operationId?: string;
  /** How much memory QEMU may take beyond the known need of the guest and QEMU; undefined: no limit. */
  readonly memoryHeadroomBytes?: number;
}

const MIB = 1024 * 1024;
const TCG_CACHE_BYTES = 32 * MIB;
/** The nwfilter that libvirt ships against MAC, ARP and IP spoofing. */
const ANTI_SPOOFING_FILTER = "clean-traffic";

/** The libvirt domain for a spec. Socle chooses all values that the spec leaves open here. */
export function domainDocument(resolved: ResolvedSpec): VmDomain {
  const { spec, accelerator, architecture } = resolved;
  const x86 = architecture === "x86_64";
  const disks = [
    ...disksOf(resolved),
    ...(resolved.seedPath === undefined ? [] : [seedDisk(resolved.seedPath)]),
  ];
  const uefi = spec.firmware !== "bios";
  const secure = spec.firmware === "uefi-secure-boot";
  return defined({
    type: accelerator === "kvm" ? "kvm" : "qemu",
    name: spec.name,
    uuid: spec.id,
    metadata: defined({
      socle: defined<VmMetadata>({
        tenant: spec.tenant,
        labels: spec.labels,
        ...storedText(spec),
        placementEpoch: resolved.placementEpoch,
        createdAt: new Date(resolved.createdAtMs).toISOString(),
        instance: resolved.instance,
        accelerator,
        placement: JSON.stringify(resolved.placement),
        keys: resolved.keys,
        unstarted: resolved.isLeftStopped === true ? unstartedText(unstarted) : undefined,
      }),
      stamp:
        resolved.operationId === undefined ? undefined : { operation: resolved.operationId, phase: "begun" },
    }),
    memoryBytes: spec.memoryBytes,
    maxMemory: memoryGrowthOf(spec)?.maxMemory,
    memoryHardLimitBytes:
      resolved.memoryHeadroomBytes === undefined ? undefined : hardLimit(spec, resolved.memoryHeadroomBytes),
    launchSecurity:
      spec.launchSecurity === undefined
        ? undefined
        : { type: spec.launchSecurity, policy: launchPolicies[spec.launchSecurity] },
    ...whereOnHost(spec, resolved.placement),
    ...cpu(spec, accelerator),
    os: defined({
      type: "hvm",
      arch: architecture,
      machine: x86 ? "q35" : "virt",
      ...(uefi && { firmware: "efi", secureBoot: secure, enrolledKeys: secure }),
      kernel: resolved.kernelPath,
      initrd: resolved.initrdPath,
      commandLine: spec.kernelBoot?.commandLine || undefined,
    }),
    features: defined({
      acpi: true,
      apic: x86 ? true : undefined,
      smm: secure ? true : undefined,
      // The translator's cache is host memory on top of the guest's: bounded, so that a VM's footprint is known.
      tcgCacheBytes: accelerator === "tcg" ? TCG_CACHE_BYTES : undefined,
    }),
    clock: x86
      ? {
          offset: "utc",
          timers: [
            { name: "rtc", tickPolicy: "catchup" },
            { name: "pit", tickPolicy: "delay" },
            { name: "hpet", present: false },
          ],
        }
      : { offset: "utc" },
    onPoweroff: "destroy",
    onReboot: "restart",
    onCrash: "destroy",
    devices: {
      ...noDevices,
      disks,
      interfaces: spec.nics.map((nic) => withBootOrder(spec, nicDevice(spec.id, nic))),
      // Without an explicit controller libvirt adds a USB controller, which wakes the host a thousand times a second.
      controllers: [
        { type: "usb", model: "none" },
        ...(disks.some(({ device }) => device === "cdrom") ? [scsiController] : []),
        ...pcieControllers({
          disks,
          interfaces: spec.nics,
          hostDevices: resolved.placement.devices,
        }),
      ],
      serials: [{ type: "pty", target: { port: 0 } }],
      consoles: [{ type: "pty", target: { type: "serial", port: 0 } }],
      channels: spec.guestAgent
        ? [{ type: "unix", mode: "bind", targetType: "virtio", targetName: GUEST_AGENT_CHANNEL }]
        : [],
      rngs: [{ model: "virtio", backend: "random", path: "/dev/urandom" }],
      hostDevices: resolved.placement.devices.map(hostDevice),
      tpms:
        spec.tpm === undefined
          ? []
          : [
              {
                model: x86 ? "tpm-crb" : "tpm-tis",
                backend: "emulator",
                version: "2.0",
                encryptionSecretUuid: secretUuid(spec.id, TPM_PART),
              },
            ],
      memoryBalloon: { model: "virtio", statsPeriodSeconds: 10, freePageReporting: true },
      panics: x86 ? [{ model: "isa" }] : [],
      ...screenOf(spec, resolved),
      watchdogs: watchdogsOf(spec, resolved),
    },
  });
}

const disksOf = ({ spec, disks }: ResolvedSpec): Disk[] =>
  spec.disks.map((disk, index) => {
    const at = disks[index];
    if (at === undefined) throw new Error(`disk ${disk.name} was not resolved`);
    return withBootOrder(spec, diskDevice(spec.id, disk, at, diskTarget(index, disk.source.kind)));
  });

/**
 * A virtio disk, not a CD-ROM: a guest that boots from virtio needs no other driver, and cloud-init finds the label on
 * any block device. Behind all disks that a spec can have.
 */
export const seedDisk = (path: string): Disk => ({
  device: "disk",
  source: { type: "file", path },
  format: "raw",
  cache: "none",
  io: "native",
  target: { device: "vdz", bus: "virtio" },
  serial: "cidata",
  alias: SEED_ALIAS,
  readOnly: true,
});

/** A disk's device in the domain. `target`: vda, ... */
export function diskDevice(vmId: string, disk: DiskSpec, image: DiskImage | NoMedium, target: string): Disk {
  const { name, readOnly, source, limits } = disk;
  if (source.kind === "cdrom") return cdromDevice(name, image, target);
  if (image === "no medium") throw new Error(`disk ${name} has no volume`);
  return defined({
    device: "disk",
    source: { type: "file", path: image.path },
    format: image.format,
    cache: "none",
    io: "native",
    discard: "unmap",
    target: { device: target, bus: "virtio" },
    serial: name,
    alias: diskAlias(name),
    readOnly: readOnly ? true : undefined,
    ioTune: limits && ioTuneOf(limits),
    encryptionSecretUuid:
      source.kind === "new" && source.encryption !== undefined ? secretUuid(vmId, diskPart(name)) : undefined,
  });
}

const cdromDevice = (name: string, image: DiskImage | NoMedium, target: string): Disk =>
  defined({
    device: "cdrom",
    source: image === "no medium" ? undefined : { type: "file" as const, path: image.path },
    format: "raw",
    cache: "none",
    io: "native",
    target: { device: target, bus: "scsi" },
    serial: name,
    alias: diskAlias(name),
    readOnly: true,
  });

/** Policies in AMD's and Intel's terms: the host cannot debug the guest or share its key. */
const launchPolicies: Readonly<Record<LaunchSecurity, number>> = {
  // NODBG, NOKS.
  sev: 0x3,
  // Reserved (must be one) and SMT.
  "sev-snp": 0x30000,
  // SEPT_VE_DISABLE, which Linux requires; without DEBUG.
  tdx: 0x10000000,
};

type Size = Pick<VmSpec, "memoryBytes" | "maxMemoryBytes" | "vcpus" | "maxVcpus">;

/**
 * Page tables take 1/512 of the memory they map, and may exist twice; each vCPU has a stack and buffers. A running guest may
 * grow to its maximum, which the limit must not stop: the kernel would kill it.
 */
function hardLimit(size: Size, headroomBytes: number): number {
  const { memoryBytes, maxMemoryBytes: bytes = memoryBytes, vcpus, maxVcpus = vcpus } = size;
  const known = bytes + bytes / 256 + maxVcpus * 8 * MIB + TCG_CACHE_BYTES;
  return Math.ceil((known + headroomBytes) / MIB) * MIB;
}

const vcpusOf = ({ vcpus, maxVcpus }: Size, cpuSet: readonly number[] | undefined): VmDomain["vcpus"] =>
  defined({
    max: maxVcpus ?? vcpus,
    current: vcpus,
    cpuSet,
    // A guest can boot with one vCPU at least.
    removable: maxVcpus === undefined || vcpus === 1 ? undefined : vcpus - 1,
  });

/** The fields of a spec that a change writes into the definition of an existing VM. */
export type DefinedField = (typeof definedFields)[number];
export const definedFields = [
  "vcpus",
  "maxVcpus",
  "cpuTopology",
  "cpuMode",
  "cpuModel",
  "memoryBytes",
  "maxMemoryBytes",
  "bootOrder",
  "graphics",
  "watchdog",
] as const;

/** What makes these fields of a VM's definition those of the spec. A limit of QEMU's memory keeps its headroom. */
export function definitionEdits(
  defn: Pick<VmDomain, "type" | "vcpus" | "memoryBytes" | "maxMemory" | "memoryHardLimitBytes" | "devices">,
  spec: VmSpec,
  fields: readonly DefinedField[],
  place: MachinePlace,
): DomainEdits {
  const has = (...names: DefinedField[]): boolean => names.some((name) => fields.includes(name));
  const { memoryBytes, maxMemory } = defn;
  const { max: maxVcpus, current: vcpus, cpuSet } = defn.vcpus;
  const known = hardLimit(defined({ memoryBytes, maxMemoryBytes: maxMemory?.bytes, vcpus, maxVcpus }), 0);
  const headroomBytes = (defn.memoryHardLimitBytes ?? known) - known;
  const growth = memoryGrowthOf(spec);
  // Another client's devices need the maximum, too.
  const hadGrowth = maxMemory !== undefined && defn.devices.memoryDevices.length === 0;
  return defined({
    vcpus: has("vcpus", "maxVcpus", "cpuTopology") ? vcpusOf(spec, cpuSet) : undefined,
    memoryBytes: has("memoryBytes") ? spec.memoryBytes : undefined,
    memoryGrowth:
      (growth !== undefined || hadGrowth) && has("vcpus", "maxVcpus", "memoryBytes", "maxMemoryBytes")
        ? (growth ?? "none")
        : undefined,
    memoryHardLimitBytes: has("vcpus", "maxVcpus", "memoryBytes", "maxMemoryBytes")
      ? hardLimit(spec, Math.max(0, headroomBytes))
      : undefined,
    cpu: has("cpuTopology", "cpuMode", "cpuModel")
      ? (cpu(spec, defn.type === "kvm" ? "kvm" : "tcg").cpu ?? "none")
      : undefined,
    bootOrder: has("bootOrder") ? bootAliases(spec) : undefined,
    ...(has("graphics") && screenOf(spec, place)),
    watchdogs: has("watchdog") ? watchdogsOf(spec, place) : undefined,
  });
}

/** The aliases of the devices to boot from. */
function bootAliases({ bootOrder, kernelBoot, disks }: VmSpec): string[] {
  const isDisk = (name: string): boolean => disks.some((disk) => disk.name === name);
  if (bootOrder !== undefined)
    return bootOrder.map((name) => (isDisk(name) ? diskAlias(name) : nicAlias(name)));
  const [first] = disks;
  return kernelBoot !== undefined || first === undefined ? [] : [diskAlias(first.name)];
}

/** The device with its place in the boot order, if it has one. */
const withBootOrder = <Device extends Disk | Interface>(spec: VmSpec, device: Device): Device => {
  const bootOrder = bootAliases(spec).indexOf(device.alias ?? "") + 1;
  return bootOrder === 0 ? device : { ...device, bootOrder };
};

/** The placement from the ledger, in libvirt's terms. */
function whereOnHost(
  spec: VmSpec,
  { cells, strict, vcpuCpus, sharedCpus, emulatorCpus, hugepageBytes }: Placement,
): Pick<VmDomain, "vcpus" | "cpuTune" | "numaTune" | "memoryBacking"> {
  const vcpuPins = vcpuCpus.map((cpu, vcpu) => ({ vcpu, cpuSet: [cpu] }));
  return defined({
    vcpus: vcpusOf(spec, sharedCpus.length === 0 ? undefined : sharedCpus),
    cpuTune:
      vcpuPins.length === 0
        ? undefined
        : { vcpuPins, emulatorPin: emulatorCpus.length > 0 ? emulatorCpus : vcpuCpus },
    numaTune:
      cells.length === 0 ? undefined : { memory: { mode: strict ? "strict" : "preferred", nodeSet: cells } },
    memoryBacking:
      hugepageBytes === undefined ? undefined : { hugePages: [{ pageSizeBytes: hugepageBytes }] },
  });
}

function cpu(spec: VmSpec, accelerator: Accelerator): Pick<VmDomain, "cpu"> {
  const { cpuTopology: topology, cpuModel: name } = spec;
  const mode = spec.cpuMode ?? (accelerator === "kvm" ? "host-model" : undefined);
  const model = name === undefined ? undefined : ({ name, fallback: "forbid" } as const);
  const parts = defined({ topology, cells: memoryGrowthOf(spec)?.cells });
  if (mode === undefined) return Object.keys(parts).length === 0 ? {} : { cpu: parts };
  return { cpu: defined({ mode, model, ...parts }) };
}

/** A NIC's device in the domain. */
export const nicDevice = (vmId: string, nic: NicSpec): Interface => ({
  source:
    nic.source.kind === "network"
      ? { type: "network", network: nic.source.network }
      : { type: "bridge", bridge: nic.source.bridge },
  mac: macOf(vmId, nic),
  model: "virtio",
  alias: nicAlias(nic.name),
  ...(nic.limits === undefined ? {} : { bandwidth: bandwidthOf(nic.limits) }),
  ...(nic.linkDown === true ? { linkState: "down" } : {}),
  ...(nic.allowSpoofing
    ? {}
    : {
        filter: {
          name: ANTI_SPOOFING_FILTER,
          parameters: nic.allowedAddresses.map((value) => ({ name: "IP", value })),
        },
      }),
});

/** As libvirt keeps it: in whole KiB, and without a direction that has no limit. */
export const bandwidthOf = (limits: NonNullable<NicSpec["limits"]>): NonNullable<Interface["bandwidth"]> =>
  defined({
    inbound: limitOf(limits.inboundBytesPerSecond, limits.inboundBurstBytes),
    outbound: limitOf(limits.outboundBytesPerSecond, limits.outboundBurstBytes),
  });

function limitOf(
  averageBytesPerSecond: number | undefined,
  burstBytes: number | undefined,
): NonNullable<Interface["bandwidth"]>["inbound"] | undefined {
  if (averageBytesPerSecond === undefined) return undefined;
  const whole = (bytes: number): number => Math.ceil(bytes / KIB) * KIB;
  return defined({
    averageBytesPerSecond: whole(averageBytesPerSecond),
    burstBytes: burstBytes && whole(burstBytes),
  });
}

/** The MAC in the domain: the spec's, else one derived from the VM's id and the NIC's name. */
export const macOf = (vmId: string, { mac, name }: Pick<NicSpec, "mac" | "name">): string =>
  mac ?? derivedMac(vmId, name);

/** Locally administered unicast, the same for the same NIC of the same VM on every host. */
function derivedMac(vmId: string, nicName: string): string {
  const digest = createHash("sha256").update(`${vmId}/${nicName}`).digest();
  // libvirt uses fe for the host's end of a tap device.
  const first = ((digest[0] ?? 0) & 0b11111000) | 0b010;
  return [first, ...digest.subarray(1, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
