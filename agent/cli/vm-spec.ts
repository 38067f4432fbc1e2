import * as z from "zod";
import { withoutUndefined } from "../kernel/defined.ts";
import { SocleError } from "../kernel/errors.ts";
import type { Disk } from "../gen/socle/v1/Disk.ts";
import type { Nic } from "../gen/socle/v1/Nic.ts";
import type { VmSpec } from "../gen/socle/v1/VmSpec.ts";
import type { VolumeReference } from "../gen/socle/v1/VolumeReference.ts";
import { usageError } from "./errors.ts";
import { parseBytes } from "./format.ts";
import { withPlacementFlags, type PlacementFlags } from "./placement.ts";
import { parseLabels } from "./labels.ts";

// The contract's VmSpec as a person writes it: sizes like 2GiB, enums as words, volumes as pool/volume. Strict: a
// misspelled key must not be dropped silently. The agent validates the values.

const bytes = z.union([z.number().int().min(0), z.string()]).transform((value, context) => {
  const parsed = typeof value === "number" ? value : parseBytes(value);
  if (parsed === undefined) context.addIssue({ code: "custom", message: "must be a size like 2GiB" });
  return parsed ?? 0;
});

/** An enum of the contract by its word, "host-model", or by its name, "CPU_MODE_HOST_MODEL". */
const word = <const Name extends string>(prefix: string, names: readonly Name[]) =>
  z.string().transform((value, context): Name => {
    const name = value.toUpperCase().replaceAll("-", "_");
    const found = names.find((known) => known === name || known === `${prefix}_${name}`);
    if (found === undefined) {
      const words = names.map((known) =>
        known
          .slice(prefix.length + 1)
          .toLowerCase()
          .replaceAll("_", "-"),
      );
      context.addIssue({ code: "custom", message: `must be one of ${words.join(", ")}` });
    }
    return found ?? (names[0] as Name);
  });

const volume = z.union([
  z.strictObject({ pool: z.string(), volume: z.string() }),
  z
    .string()
    .regex(/^[^/]+\/.+$/, "must be POOL/VOLUME")
    .transform(splitVolume),
]);

const specFile = z.strictObject({
  name: z.string().exactOptional(),
  vmId: z.string().exactOptional(),
  vcpus: z.number().int().min(1).exactOptional(),
  cpuTopology: z
    .strictObject({ sockets: z.number().int(), cores: z.number().int(), threads: z.number().int() })
    .exactOptional(),
  cpuMode: word("CPU_MODE", [
    "CPU_MODE_HOST_PASSTHROUGH",
    "CPU_MODE_HOST_MODEL",
    "CPU_MODE_CUSTOM",
  ]).exactOptional(),
  cpuModel: z.string().exactOptional(),
  memory: bytes.exactOptional(),
  memoryBytes: bytes.exactOptional(),
  accelerator: word("ACCELERATOR", ["ACCELERATOR_KVM", "ACCELERATOR_TCG"]).exactOptional(),
  firmware: word("FIRMWARE", ["FIRMWARE_BIOS", "FIRMWARE_UEFI", "FIRMWARE_UEFI_SECURE_BOOT"]).exactOptional(),
  disks: z
    .array(
      z.strictObject({
        name: z.string(),
        volume: volume.exactOptional(),
        newVolume: z
          .strictObject({
            pool: z.string(),
            capacity: bytes.exactOptional(),
            capacityBytes: bytes.exactOptional(),
            format: word("DISK_FORMAT", ["DISK_FORMAT_QCOW2", "DISK_FORMAT_RAW"]).exactOptional(),
            baseVolume: z.string().exactOptional(),
            encryption: word("VOLUME_ENCRYPTION", ["VOLUME_ENCRYPTION_LUKS"]).exactOptional(),
          })
          .transform(({ capacity, ...rest }) =>
            capacity === undefined ? rest : { ...rest, capacityBytes: capacity },
          )
          .exactOptional(),
        readOnly: z.boolean().exactOptional(),
      }),
    )
    .exactOptional(),
  nics: z
    .array(
      z.strictObject({
        name: z.string(),
        network: z.string().exactOptional(),
        bridge: z.string().exactOptional(),
        mac: z.string().exactOptional(),
        allowSpoofing: z.boolean().exactOptional(),
        allowedAddresses: z.array(z.string()).exactOptional(),
      }),
    )
    .exactOptional(),
  kernelBoot: z
    .strictObject({ kernel: volume, initrd: volume.exactOptional(), commandLine: z.string().exactOptional() })
    .exactOptional(),
  tpm: z.boolean().exactOptional(),
  launchSecurity: word("LAUNCH_SECURITY", [
    "LAUNCH_SECURITY_SEV",
    "LAUNCH_SECURITY_SEV_SNP",
    "LAUNCH_SECURITY_TDX",
  ]).exactOptional(),
  guestAgent: z.boolean().exactOptional(),
  tenant: z.string().exactOptional(),
  labels: z.record(z.string(), z.string()).exactOptional(),
  autostart: z.boolean().exactOptional(),
  placement: z
    .strictObject({
      dedicatedCpus: z.boolean().exactOptional(),
      cellPolicy: word("CELL_POLICY", ["CELL_POLICY_ANY", "CELL_POLICY_STRICT"]).exactOptional(),
      cell: z.number().int().min(0).exactOptional(),
      pageSize: bytes.exactOptional(),
      pageSizeBytes: bytes.exactOptional(),
      isolatedEmulator: z.boolean().exactOptional(),
      devices: z.array(z.string()).exactOptional(),
    })
    .transform(({ pageSize, ...rest }) =>
      pageSize === undefined ? rest : { ...rest, pageSizeBytes: pageSize },
    )
    .exactOptional(),
});

/** A spec in YAML or JSON (which is YAML). Throws `invalid` SPEC_INVALID with every field that is wrong. */
export async function parseSpecFile(text: string, name: string): Promise<VmSpec> {
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
    throw new SocleError("invalid", "SPEC_INVALID", `${name} is neither YAML nor JSON: ${why}`, { cause });
  }
  const parsed = specFile.safeParse(value);
  if (!parsed.success) {
    const fields = Object.fromEntries(
      parsed.error.issues.flatMap((issue) =>
        issue.code === "unrecognized_keys"
          ? issue.keys.map((key) => [fieldPath([...issue.path, key]), "is not a field of a VM's spec"])
          : [[fieldPath(issue.path), issue.message]],
      ),
    ) as Record<string, string>;
    throw new SocleError("invalid", "SPEC_INVALID", `${name} is not a VM's spec`, { details: { fields } });
  }
  const { memory, ...spec } = parsed.data;
  return memory === undefined ? spec : { ...spec, memoryBytes: memory };
}

const fieldPath = (path: readonly PropertyKey[]): string =>
  path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .replace(/^\./, "") || "(the whole)";

/** The spec flags of `socle vm create`. */
export interface SpecFlags extends PlacementFlags {
  readonly name?: string;
  readonly id?: string;
  readonly vcpus?: number;
  /** In bytes. */
  readonly memory?: number;
  readonly disk?: readonly string[];
  /** All new disks. */
  readonly encrypt?: boolean;
  readonly nic?: readonly string[];
  readonly kernel?: string;
  readonly initrd?: string;
  readonly cmdline?: string;
  readonly accelerator?: "kvm" | "tcg";
  readonly firmware?: "bios" | "uefi" | "uefi-secure-boot";
  readonly tpm?: boolean;
  readonly launchSecurity?: keyof typeof launchSecurities;
  readonly guestAgent?: boolean;
  readonly autostart?: boolean;
  readonly label?: readonly string[];
  readonly tenant?: string;
}

const accelerators = { kvm: "ACCELERATOR_KVM", tcg: "ACCELERATOR_TCG" } as const;
const firmwares = {
  bios: "FIRMWARE_BIOS",
  uefi: "FIRMWARE_UEFI",
  "uefi-secure-boot": "FIRMWARE_UEFI_SECURE_BOOT",
} as const;

const launchSecurities = {
  sev: "LAUNCH_SECURITY_SEV",
  "sev-snp": "LAUNCH_SECURITY_SEV_SNP",
  tdx: "LAUNCH_SECURITY_TDX",
} as const;

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
    memoryBytes: flags.memory ?? spec.memoryBytes,
    disks: withEncryption(flags.disk?.map(parseDisk) ?? spec.disks, flags.encrypt === true),
    nics: flags.nic?.map(parseNic) ?? spec.nics,
    kernelBoot: kernelBoot.kernel === undefined ? undefined : kernelBoot,
    accelerator: flags.accelerator === undefined ? spec.accelerator : accelerators[flags.accelerator],
    firmware: flags.firmware === undefined ? spec.firmware : firmwares[flags.firmware],
    tpm: flags.tpm ?? spec.tpm,
    launchSecurity:
      flags.launchSecurity === undefined ? spec.launchSecurity : launchSecurities[flags.launchSecurity],
    guestAgent: flags.guestAgent ?? spec.guestAgent,
    autostart: flags.autostart ?? spec.autostart,
    tenant: flags.tenant ?? spec.tenant,
    placement: withPlacementFlags(spec.placement, flags),
    labels: { ...spec.labels, ...parseLabels(flags.label) },
  });
}

/** `POOL/VOLUME`, or `new:POOL:SIZE[:BASE]` where SIZE may be empty with a base. */
function parseDisk(text: string, index: number): Disk {
  const name = `disk${index}`;
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

function withEncryption(disks: Disk[] | undefined, isWanted: boolean): Disk[] | undefined {
  if (!isWanted) return disks;
  return disks?.map((disk) =>
    disk.newVolume == null
      ? disk
      : { ...disk, newVolume: { ...disk.newVolume, encryption: "VOLUME_ENCRYPTION_LUKS" } },
  );
}

function parseNic(text: string, index: number): Nic {
  const name = `nic${index}`;
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

function splitVolume(text: string): { pool: string; volume: string } {
  const slash = text.indexOf("/");
  return { pool: text.slice(0, Math.max(slash, 0)), volume: text.slice(slash + 1) };
}
