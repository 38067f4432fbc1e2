import * as z from "../kernel/zod.ts";
import type { Immutable } from "../kernel/immutable.ts";
import { cloudInit } from "./spec-cloud-init.ts";
import { diskSpec, refuseDrive } from "./spec-disk.ts";
import { machineDevices } from "./spec-machine.ts";
import { isWholePages, maxMemoryBytes, memoryBytes, refuseMemory, WHOLE_PAGES } from "./spec-memory.ts";
import { specEnums } from "./spec-enums.ts";
import {
  address,
  bytes,
  count,
  deviceName,
  hostDeviceName,
  flag,
  GIB,
  help,
  KIB,
  mac,
  MIB,
  PLAIN_PAGE_BYTES,
  printable,
  resourceName,
  uuid,
  volumeRef,
} from "./spec-values.ts";

// A tenant's request for a VM, defined once: the type, the validation, the file that `socle vm create -f` reads, and its
// help. `description` and `examples` of a field are what the help and the example file show.

const MAX_CELL = 1023;
const MAX_DEVICES = 16;

/** libvirt takes 32 bits of KiB. */
const limitBytes = bytes.min(KIB, "must be at least 1 KiB").max((2 ** 32 - 1) * KIB, "must be below 4 TiB");

const nicLimits = z
  .strictObject({
    inboundBytesPerSecond: limitBytes
      .meta(help("What the guest receives, in a second in the mean.", "100MiB"))
      .exactOptional(),
    outboundBytesPerSecond: limitBytes
      .meta(help("What the guest sends, in a second in the mean.", "50MiB"))
      .exactOptional(),
    inboundBurstBytes: limitBytes
      .meta(help("What the guest may receive at once above the rate.", "10MiB"))
      .exactOptional(),
    outboundBurstBytes: limitBytes
      .meta(help("What the guest may send at once above the rate.", "5MiB"))
      .exactOptional(),
  })
  .superRefine((limits, context) => {
    const refuse = (path: string[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    for (const direction of ["inbound", "outbound"] as const)
      if (
        limits[`${direction}BurstBytes`] !== undefined &&
        limits[`${direction}BytesPerSecond`] === undefined
      )
        refuse([`${direction}BurstBytes`], `needs ${direction}BytesPerSecond`);
    if (Object.keys(limits).length === 0) refuse([], "must have a rate; leave limits out for none");
  });

export const nicSpec = z.strictObject({
  name: deviceName.meta(help("Unique in the VM.", "front")),
  source: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("network"),
      network: resourceName.meta(help("A network of libvirt.", "default")),
    }),
    z.strictObject({
      kind: z.literal("bridge"),
      bridge: z
        .string()
        .regex(/^[A-Za-z0-9._-]{1,15}$/, "must be an interface name")
        .meta(help("A bridge of the host that its configuration allows.", "br0")),
    }),
  ]),
  mac: mac
    .meta(
      help(
        "Locally administered unicast. Default: derived from the VM's id and the NIC's name.",
        "52:54:00:12:34:56",
      ),
    )
    .exactOptional(),
  allowSpoofing: flag(
    "No filter against MAC, ARP and IP spoofing; the host's configuration must allow it.",
    false,
  ),
  allowedAddresses: z
    .array(address)
    .max(16, "must be at most 16")
    .meta(
      help("IP addresses that the filter lets the guest use. Default: the first that the guest takes.", [
        "192.0.2.7",
      ]),
    )
    .default([]),
  limits: nicLimits
    .meta(help("Limits of its traffic, in bytes; libvirt rounds each up to 1 KiB. Default: none."))
    .exactOptional(),
  // Absent rather than false: the instance of a VM of version 0.1.0 derives from the text of its spec.
  linkDown: z
    .literal(true)
    .meta(help("The guest sees the NIC without a link, as with an unplugged cable.", true))
    .exactOptional(),
});

const placementRequest = z
  .strictObject({
    dedicatedCpus: flag("Each vCPU on a host CPU of its own, out of the host's dedicated pool.", false),
    cellPolicy: z
      .enum(specEnums.cellPolicy.words)
      .meta(
        help(
          "strict: CPUs, memory and devices of one NUMA cell, or a refusal. any: of one cell where possible. Default: any.",
          "strict",
        ),
      )
      .default("any"),
    cell: z.int().min(0).max(MAX_CELL).meta(help("With strict: this NUMA cell.", 0)).exactOptional(),
    pageSizeBytes: z
      .literal(
        [PLAIN_PAGE_BYTES, 2 * MIB, GIB],
        "must be 4096 (4 KiB), 2097152 (2 MiB) or 1073741824 (1 GiB)",
      )
      .meta(help("Page size of its memory: 4KiB (default), or huge pages of 2MiB or 1GiB.", "2MiB"))
      .default(PLAIN_PAGE_BYTES),
    isolatedEmulator: flag("With dedicatedCpus: QEMU's own threads get a dedicated CPU of their own.", false),
    devices: z
      .array(hostDeviceName)
      .max(MAX_DEVICES, `must be at most ${MAX_DEVICES}`)
      // Several devices may share an alias.
      .refine((devices) => {
        const addresses = devices.filter((name) => name.includes(":"));
        return new Set(addresses).size === addresses.length;
      }, "must not name a device twice")
      .meta(help("Devices of the host for this VM alone, by PCI address or alias.", ["0000:3b:00.0"]))
      .default([]),
  })
  .superRefine(({ cell, cellPolicy, dedicatedCpus, isolatedEmulator }, context) => {
    const refuse = (field: string, message: string): void =>
      context.addIssue({ code: "custom", path: [field], message });
    if (cell !== undefined && cellPolicy !== "strict")
      refuse("cell", "must be given with a strict cell policy only");
    if (isolatedEmulator && !dedicatedCpus) refuse("isolatedEmulator", "is for dedicated CPUs only");
  });

const vcpus = count(512).meta(help("Number of vCPUs.", 2));
const accelerator = z
  .enum(specEnums.accelerator.words)
  .meta(help("tcg emulates: slow, for hosts without KVM. Default: the host's configuration decides.", "kvm"));
const tenant = z
  .string()
  .regex(
    /^([A-Za-z0-9][A-Za-z0-9._:-]{0,127})?$/,
    "must be at most 128 of A-Z, a-z, 0-9, '.', '_', ':' and '-'",
  )
  .meta(help("The tenant that owns the VM. Default: none.", "blue"));

/** The fields in the order in which a spec is stored. */
const fields = z.strictObject({
  name: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
      "must be 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
    )
    .meta(help("Unique on the host; not a UUID.", "web-1")),
  id: uuid
    .refine((text) => !/^[0-]+$/.test(text), "must not be the nil UUID")
    .meta(help("A lower-case UUID. Default: a new one.", "6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01")),
  vcpus,
  maxVcpus: count(512)
    .meta(help("vCPUs that the running guest can be given. Default: vcpus; more need a new start.", 8))
    .exactOptional(),
  cpuTopology: z
    .strictObject({ sockets: count(64), cores: count(512), threads: count(8) })
    .meta(
      help("sockets * cores * threads is maxVcpus, or else vcpus. Default: QEMU's.", {
        sockets: 1,
        cores: 8,
        threads: 1,
      }),
    )
    .exactOptional(),
  cpuMode: z
    .enum(specEnums.cpuMode.words)
    .meta(help("Default: host-model under KVM, the emulator's under TCG.", "host-model"))
    .exactOptional(),
  cpuModel: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, "must be a CPU model's name")
    .meta(help("With cpuMode custom, and only then.", "EPYC-Rome"))
    .exactOptional(),
  memoryBytes,
  maxMemoryBytes: maxMemoryBytes.exactOptional(),
  accelerator: accelerator.exactOptional(),
  firmware: z.enum(specEnums.firmware.words).meta(help("Default: bios.", "uefi")).default("bios"),
  disks: z
    .array(diskSpec)
    .max(24, "must be at most 24")
    .meta(help("Without bootOrder the first disk is the boot disk. A VM needs a disk or kernelBoot."))
    .default([]),
  nics: z.array(nicSpec).max(16, "must be at most 16").meta(help("Network interfaces.")).default([]),
  bootOrder: z
    .array(deviceName)
    .min(1, "must name a disk or a NIC; leave it out for the first disk")
    .max(40, "must be at most 40")
    .meta(
      help("The disks and NICs that the firmware tries to boot from, by name. Default: the first disk.", [
        "root",
      ]),
    )
    .exactOptional(),
  kernelBoot: z
    .strictObject({
      kernel: volumeRef.meta(help("POOL/VOLUME.", "default/vmlinuz")),
      initrd: volumeRef.meta(help("POOL/VOLUME. Default: none.", "default/initrd")).exactOptional(),
      commandLine: printable(2048).meta(help("Default: empty.", "console=ttyS0")).default(""),
    })
    .meta(help("Boots a kernel directly."))
    .exactOptional(),
  tpm: z
    .literal(true)
    .meta(help("A TPM 2.0 with encrypted state; the host needs a volume key.", true))
    .exactOptional(),
  launchSecurity: z
    .enum(specEnums.launchSecurity.words)
    .meta(help("Encrypts the memory against the host. With firmware uefi and KVM only.", "sev-snp"))
    .exactOptional(),
  guestAgent: flag("A channel for qemu-guest-agent.", true),
  ...machineDevices,
  tenant: tenant.default(""),
  labels: z
    .record(
      z
        .string()
        .regex(/^[a-z0-9]([a-z0-9._/-]{0,62})$/, "must be 1 to 63 of a-z, 0-9, '.', '_', '/' and '-'"),
      printable(255),
    )
    .refine((labels) => Object.keys(labels).length <= 64, "must be at most 64")
    .meta(help("At most 64 keys with a text each.", { tier: "front" }))
    .default({}),
  autostart: flag("Starts the VM when the host boots.", true),
  startPriority: z
    .int("must be a whole number")
    .min(0, "must be 0 to 1000")
    .max(1000, "must be 0 to 1000")
    .meta(
      help("With autostart: a higher priority starts first, and stops last with the host. Default: 0.", 100),
    )
    .exactOptional(),
  startDelaySeconds: z
    .int("must be a whole number")
    .min(0, "must be 0 to 3600")
    .max(3600, "must be 0 to 3600")
    .meta(help("With autostart: how long to wait after the start before this one. Default: 0.", 10))
    .exactOptional(),
  crashPolicy: z
    .enum(specEnums.crashPolicy.words)
    .meta(help("What to do when the guest's QEMU dies or its kernel panics. Default: stop.", "restart"))
    .exactOptional(),
  placement: placementRequest
    .meta(help("Where on the host the VM runs. Default: anywhere with free capacity."))
    .exactOptional(),
  cloudInit: cloudInit.meta(help("A seed volume that cloud-init reads at the first boot.")).exactOptional(),
});

/** The rules between fields. Domains' metadata is read by this schema too: it must accept what it accepted before. */
export const vmSpec = fields.superRefine((spec, context) => {
  const refuse = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: "custom", path, message });
  const { cpuTopology: topology, maxVcpus } = spec;
  if (maxVcpus !== undefined && spec.vcpus > maxVcpus)
    refuse(["vcpus"], `must be at most maxVcpus (${maxVcpus}); raise that, too`);
  if (maxVcpus !== undefined && spec.placement?.dedicatedCpus === true)
    refuse(["maxVcpus"], "must not be given with dedicated CPUs, whose number is fixed");
  const most = maxVcpus ?? spec.vcpus;
  if (topology !== undefined && topology.sockets * topology.cores * topology.threads !== most) {
    const field = maxVcpus === undefined ? "vcpus" : "maxVcpus";
    refuse(["cpuTopology"], `sockets * cores * threads must be ${field} (${most})`);
  }
  if (spec.launchSecurity !== undefined && spec.firmware !== "uefi")
    refuse(["launchSecurity"], "needs the firmware UEFI, without secure boot");
  if (spec.launchSecurity !== undefined && spec.accelerator === "tcg")
    refuse(["launchSecurity"], "needs the accelerator KVM");
  refuseMemory(spec, refuse);
  if ((spec.cpuMode === "custom") !== (spec.cpuModel !== undefined)) {
    refuse(["cpuModel"], "must be given with cpuMode custom, and only then");
  }
  if (spec.disks.length === 0 && spec.kernelBoot === undefined)
    refuse(["disks"], "needs a disk or a kernel to boot from");
  for (const [kind, devices] of [
    ["disks", spec.disks],
    ["nics", spec.nics],
  ] as const) {
    const seen = new Set<string>();
    devices.forEach((device, index) => {
      if (seen.has(device.name)) refuse([kind, index, "name"], "is used twice");
      seen.add(device.name);
    });
  }
  refuseBootOrder(spec, refuse);
  const others = new Map<string, boolean>();
  spec.disks.forEach((disk, index) => {
    const { source, readOnly } = disk;
    if (source.kind === "cdrom") refuseDrive(disk, index, refuse);
    const named =
      source.kind === "new" ? { pool: source.pool, volume: source.baseVolume } : (source.volume ?? {});
    const writes = source.kind === "volume" && !readOnly;
    if (named.volume !== undefined) {
      const key = `${named.pool}/${named.volume}`;
      const isWritten = others.get(key);
      if (isWritten !== undefined && (isWritten || writes))
        refuse(["disks", index], "uses the volume of another disk, and at least one writes to it");
      others.set(key, writes || isWritten === true);
    }
    if (source.kind !== "new") return;
    if (source.capacityBytes === undefined && source.baseVolume === undefined) {
      refuse(["disks", index, "capacityBytes"], "must be given without a base volume");
    }
    if (source.baseVolume !== undefined && source.format === "raw") {
      refuse(["disks", index, "format"], "must be qcow2 with a base volume");
    }
  });
});

function refuseBootOrder(
  { bootOrder = [], disks, nics, kernelBoot }: z.output<typeof fields>,
  refuse: (path: (string | number)[], message: string) => void,
): void {
  if (bootOrder.length > 0 && kernelBoot !== undefined)
    refuse(["bootOrder"], "must not be given with kernelBoot, which boots its kernel");
  bootOrder.forEach((name, index) => {
    if (bootOrder.indexOf(name) < index) refuse(["bootOrder", index], "is named twice");
    if (![...disks, ...nics].some((device) => device.name === name))
      refuse(["bootOrder", index], `names neither a disk nor a NIC of the VM (${name})`);
  });
}

export { diskSpec, type DiskSpec } from "./spec-disk.ts";

/** A tenant's request for a VM, with its defaults. */
export type VmSpec = Immutable<z.output<typeof vmSpec>>;
export type NicSpec = VmSpec["nics"][number];
export type VolumeRef = Immutable<z.output<typeof volumeRef>>;
export type Accelerator = z.output<typeof accelerator>;
export type LaunchSecurity = NonNullable<VmSpec["launchSecurity"]>;
/** The placement that a spec requests. */
export type PlacementRequest = Immutable<z.output<typeof placementRequest>>;

/** The default request. */
export const anywhere: PlacementRequest = placementRequest.parse({});

/** The capacity that a reservation claims, by the rules of a spec. A VM made with the reservation has exactly that. */
export const reservedRoom = z
  .strictObject({ vcpus, memoryBytes, accelerator, tenant, placementRequest })
  .superRefine((room, context) => {
    if (isWholePages(room.memoryBytes, room.placementRequest)) return;
    context.addIssue({ code: "custom", path: ["memoryBytes"], message: WHOLE_PAGES });
  });
export type ReservedRoom = Immutable<z.output<typeof reservedRoom>>;
