import * as z from "zod";
import { SocleError } from "../../kernel/errors.ts";
import { PLAIN_PAGE_BYTES, type PlacementWish } from "../../state/reservations/placement.ts";
import type { ReservedRoom } from "../../state/reservations/reservation.ts";
import type { VmSpec } from "./spec.ts";

/** Limits of this host for well-formed specs. */
export interface SpecPolicy {
  readonly bridges: readonly string[];
  readonly allowSpoofing: boolean;
}

const MIB = 1024 * 1024;
/** Control characters (C0, C1, line separators, byte order mark) and lone surrogates: XML cannot contain them. */
const HOSTILE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff\ufffe\uffff]/u;

const printable = (max: number) =>
  z
    .string()
    .max(max, `must be at most ${max} characters`)
    .refine((text) => !HOSTILE.test(text), "must not contain control characters");
const deviceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,19}$/, "must be 1 to 20 of a-z, 0-9 and '-', not beginning with '-'");
/** A pool, volume or network name: never a path. */
const resourceName = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$/,
    "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '+' and '-', not beginning with '.' or '-'",
  );
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a lower-case UUID");
const count = (max: number) =>
  z.int("must be a whole number").min(1, "must be at least 1").max(max, `must be at most ${max}`);
const bytes = z
  .int("must be a whole number of bytes")
  .positive("must be positive")
  .max(2 ** 50, "must be at most 1 PiB");

const volumeRef = z.strictObject({ pool: resourceName, volume: resourceName });

const disk = z.strictObject({
  name: deviceName,
  source: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("volume"), volume: volumeRef }),
    z.strictObject({
      kind: z.literal("new"),
      pool: resourceName,
      capacityBytes: bytes.exactOptional(),
      format: z.enum(["qcow2", "raw"]).default("qcow2"),
      baseVolume: resourceName.exactOptional(),
      encryption: z.literal("luks").exactOptional(),
    }),
  ]),
  readOnly: z.boolean().default(false),
});

const mac = z
  .string()
  .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, "must be like 52:54:00:12:34:56")
  .refine((text) => {
    const first = Number.parseInt(text.slice(0, 2), 16);
    return (first & 0b11) === 0b10 && first !== 0xfe;
  }, "must be a locally administered unicast address, and not begin with fe");
const address = z.union([z.ipv4(), z.ipv6()], { error: "must be an IPv4 or IPv6 address" });

const nic = z.strictObject({
  name: deviceName,
  source: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("network"), network: resourceName }),
    z.strictObject({
      kind: z.literal("bridge"),
      bridge: z.string().regex(/^[A-Za-z0-9._-]{1,15}$/, "must be an interface name"),
    }),
  ]),
  mac: mac.exactOptional(),
  allowSpoofing: z.boolean().default(false),
  allowedAddresses: z.array(address).max(16, "must be at most 16").default([]),
});

const MAX_CELL = 1023;
const MAX_DEVICES = 16;

const placementSchema = z
  .strictObject({
    dedicatedCpus: z.boolean().default(false),
    cellPolicy: z.enum(["any", "strict"]).default("any"),
    cell: z.int().min(0).max(MAX_CELL).exactOptional(),
    pageSizeBytes: z
      .literal(
        [PLAIN_PAGE_BYTES, 2 * MIB, 1024 * MIB],
        "must be 4096 (4 KiB), 2097152 (2 MiB) or 1073741824 (1 GiB)",
      )
      .default(PLAIN_PAGE_BYTES),
    isolatedEmulator: z.boolean().default(false),
    devices: z
      .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$/, "must be a PCI address or an alias"))
      .max(MAX_DEVICES, `must be at most ${MAX_DEVICES}`)
      // Several devices may share an alias.
      .refine((devices) => {
        const addresses = devices.filter((name) => name.includes(":"));
        return new Set(addresses).size === addresses.length;
      }, "must not name a device twice")
      .default([]),
  })
  .superRefine(({ cell, cellPolicy, dedicatedCpus, isolatedEmulator }, context) => {
    const refuse = (field: string, message: string): void =>
      context.addIssue({ code: "custom", path: [field], message });
    if (cell !== undefined && cellPolicy !== "strict")
      refuse("cell", "must be given with a strict cell policy only");
    if (isolatedEmulator && !dedicatedCpus) refuse("isolatedEmulator", "is for dedicated CPUs only");
  });

const vcpus = count(512);
const memoryBytes = bytes
  .multipleOf(MIB, "must be a multiple of 1 MiB")
  .min(MIB)
  .max(2 ** 46, "must be at most 64 TiB");
const accelerator = z.enum(["kvm", "tcg"]);
const tenant = z
  .string()
  .regex(
    /^([A-Za-z0-9][A-Za-z0-9._:-]{0,127})?$/,
    "must be at most 128 of A-Z, a-z, 0-9, '.', '_', ':' and '-'",
  );

/** Also reads the specs in domains' metadata: it must accept what version 0.1.0 wrote. */
export const specSchema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
        "must be 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
      ),
    id: uuid.refine((text) => !/^[0-]+$/.test(text), "must not be the nil UUID"),
    vcpus,
    cpuTopology: z.strictObject({ sockets: count(64), cores: count(512), threads: count(8) }).exactOptional(),
    cpuMode: z.enum(["host-passthrough", "host-model", "custom"]).exactOptional(),
    cpuModel: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, "must be a CPU model's name")
      .exactOptional(),
    memoryBytes,
    accelerator: accelerator.exactOptional(),
    firmware: z.enum(["bios", "uefi", "uefi-secure-boot"]).default("bios"),
    disks: z.array(disk).max(24, "must be at most 24").default([]),
    nics: z.array(nic).max(16, "must be at most 16").default([]),
    kernelBoot: z
      .strictObject({
        kernel: volumeRef,
        initrd: volumeRef.exactOptional(),
        commandLine: printable(2048).default(""),
      })
      .exactOptional(),
    tpm: z.literal(true).exactOptional(),
    launchSecurity: z.enum(["sev", "sev-snp", "tdx"]).exactOptional(),
    guestAgent: z.boolean().default(false),
    tenant: tenant.default(""),
    labels: z
      .record(
        z
          .string()
          .regex(/^[a-z0-9]([a-z0-9._/-]{0,62})$/, "must be 1 to 63 of a-z, 0-9, '.', '_', '/' and '-'"),
        printable(255),
      )
      .refine((labels) => Object.keys(labels).length <= 64, "must be at most 64")
      .default({}),
    autostart: z.boolean().default(false),
    placement: placementSchema.exactOptional(),
  })
  .superRefine((spec, context) => {
    const refuse = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    const topology = spec.cpuTopology;
    if (topology !== undefined && topology.sockets * topology.cores * topology.threads !== spec.vcpus) {
      refuse(["cpuTopology"], `sockets * cores * threads must be vcpus (${spec.vcpus})`);
    }
    if (spec.launchSecurity !== undefined && spec.firmware !== "uefi")
      refuse(["launchSecurity"], "needs the firmware UEFI, without secure boot");
    if (spec.launchSecurity !== undefined && spec.accelerator === "tcg")
      refuse(["launchSecurity"], "needs the accelerator KVM");
    if (spec.tpm !== undefined && spec.autostart) refuse(["tpm"], KEY_TOO_LATE);
    if (!isWholePages(spec.memoryBytes, spec.placement)) refuse(["memoryBytes"], WHOLE_PAGES);
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
    const others = new Map<string, boolean>();
    spec.disks.forEach(({ source, readOnly }, index) => {
      const named =
        source.kind === "volume" ? source.volume : { pool: source.pool, volume: source.baseVolume };
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
      if (source.encryption !== undefined && spec.autostart) {
        refuse(["disks", index, "encryption"], KEY_TOO_LATE);
      }
    });
  });

const KEY_TOO_LATE = "must not be given with autostart: libvirt starts such VMs before it has the key";
const WHOLE_PAGES = "must be a multiple of the page size";
const isWholePages = (memoryBytes: number, wish: PlacementWish | undefined): boolean =>
  memoryBytes % (wish?.pageSizeBytes ?? 1) === 0;

const roomSchema = z
  .strictObject({ vcpus, memoryBytes, accelerator, tenant, wish: placementSchema })
  .superRefine((room, context) => {
    if (isWholePages(room.memoryBytes, room.wish)) return;
    context.addIssue({ code: "custom", path: ["memoryBytes"], message: WHOLE_PAGES });
  });

/**
 * Checks the fields of a VM's reservation by the rules of its spec. Throws `invalid` SPEC_INVALID with every wrong
 * field.
 */
export function checkRoom(input: unknown): ReservedRoom {
  const parsed = roomSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields: Record<string, string> = {};
  for (const issue of parsed.error.issues) fields[fieldPath(issue.path, "").slice(1)] ??= issue.message;
  throw invalid(fields);
}

/** An unvalidated spec. `checkSpec` finds missing and wrong fields. */
export type VmSpecInput = z.input<typeof specSchema>;

/**
 * The spec with its defaults filled in. Throws `invalid` SPEC_INVALID with every wrong field (`spec.disks[0].name`).
 * `id` must be set.
 */
export function checkSpec(input: unknown, policy: SpecPolicy): VmSpec {
  const parsed = specSchema.safeParse(input);
  const fields: Record<string, string> = {};
  if (!parsed.success) {
    for (const issue of parsed.error.issues) fields[fieldPath(issue.path, "spec")] ??= issue.message;
  } else {
    if (uuid.safeParse(parsed.data.name.toLowerCase()).success)
      fields["spec.name"] = "must not be a UUID: requests accept an id in place of a name";
    parsed.data.nics.forEach((nic, index) => {
      if (nic.source.kind === "bridge" && !policy.bridges.includes(nic.source.bridge)) {
        fields[`spec.nics[${index}].bridge`] =
          "is not among the bridges that this host's configuration allows (vm.bridges)";
      }
      if (nic.allowSpoofing && !policy.allowSpoofing) {
        fields[`spec.nics[${index}].allowSpoofing`] =
          "is not allowed by this host's configuration (vm.allowSpoofing)";
      }
    });
    if (Object.keys(fields).length === 0) return parsed.data;
  }
  throw invalid(fields);
}

function invalid(fields: Readonly<Record<string, string>>): SocleError {
  const [first] = Object.entries(fields);
  const message = first === undefined ? "the spec is invalid" : `${first[0]} ${first[1]}`;
  return new SocleError("invalid", "SPEC_INVALID", message, { details: { fields } });
}

export function fieldPath(path: readonly PropertyKey[], root: string): string {
  // "source" stands for a oneof, which the contract's field paths omit.
  return path
    .filter((part) => part !== "source")
    .reduce<string>(
      (text, part) => (typeof part === "number" ? `${text}[${part}]` : `${text}.${String(part)}`),
      root,
    );
}
