import * as z from "../kernel/zod.ts";
import type { EnumWords } from "../contract/enum.ts";
import { seedSecrets } from "../contract/spec-cloud-init.ts";
import { vmSpec } from "../contract/spec.ts";
import { specEnums } from "../contract/spec-enums.ts";
import { resourceName, volumeRef } from "../contract/spec-values.ts";
import type { VmSpec } from "../gen/socle/v1/VmSpec.ts";
import { SocleError } from "../kernel/errors.ts";
import { parseBytes } from "./format.ts";

// The spec as a person writes it: the fields of contract/spec.ts, named as in the contract, with sizes like 2GiB, enums as
// words, and volumes as POOL/VOLUME. Strict: a misspelled key must not be dropped silently. Every field may be left out,
// since flags and the agent's defaults fill it in; the agent checks the rules between fields.

const { shape } = vmSpec;
const disk = shape.disks.unwrap().element.shape;
const [existing, made, drive] = disk.source.options;
const nic = shape.nics.unwrap().element.shape;
const limits = nic.limits.unwrap().shape;
const io = disk.limits.unwrap().shape;
const [onNetwork, onBridge] = nic.source.options;
const boot = shape.kernelBoot.unwrap().shape;
const placement = shape.placement.unwrap().shape;
const firstBoot = shape.cloudInit.unwrap().shape;
const watchdog = shape.watchdog.unwrap();
const secret = seedSecrets.shape;

/** With the description and the example of a field. */
const about = <S extends z.ZodType>(field: z.ZodType, schema: S): S =>
  schema.meta(z.globalRegistry.get(field) ?? {});

/** Text; "" is none, as in the contract. */
const text = (field: z.ZodType<string, string>) =>
  about(field, z.union([field, z.literal("")], { error: "must be text" })).exactOptional();

/** A number; 0 is none, as in the contract. */
const numberOrNone = (field: z.ZodType<number, number>) =>
  about(
    field,
    z.number().superRefine((value, context) => {
      for (const { message } of value === 0 ? [] : (field.safeParse(value).error?.issues ?? []))
        context.addIssue({ code: "custom", message });
    }),
  );

const SIZE = "must be a size like 2GiB";
/** In bytes, or like 2GiB. */
const size = (field: z.ZodType<number, number>) => {
  const bytes = z.union([z.number(), z.string()], { error: SIZE }).transform((value, context) => {
    const parsed = typeof value === "number" ? value : parseBytes(value);
    if (parsed === undefined) context.addIssue({ code: "custom", message: SIZE });
    return parsed ?? z.NEVER;
  });
  return about(field, bytes.pipe(numberOrNone(field))).exactOptional();
};

/** An enum by its word, "host-model", or by its name on the wire, "CPU_MODE_HOST_MODEL". */
const word = <Prefix extends string, Word extends string>(
  field: z.ZodType,
  values: EnumWords<Prefix, Word>,
) => {
  const name = z.string().transform((value, context) => {
    const upper = value.toUpperCase().replaceAll("-", "_");
    const found = values.words.find((each) =>
      [each.toUpperCase().replaceAll("-", "_"), values.toProto(each)].includes(upper),
    );
    if (found !== undefined) return values.toProto(found);
    context.addIssue({ code: "custom", message: `must be one of ${values.words.join(", ")}` });
    return z.NEVER;
  });
  const { description = "", ...meta } = z.globalRegistry.get(field) ?? {};
  const choice = values.words.length > 1 ? `One of ${values.words.join(", ")}. ` : "";
  return name.meta({ ...meta, description: `${choice}${description}` }).exactOptional();
};

const volume = (field: z.ZodType) => {
  const poolAndVolume = z
    .string()
    .regex(/^[^/]+\/.+$/, "must be POOL/VOLUME")
    .transform(splitVolume)
    .pipe(volumeRef);
  return about(field, z.union([volumeRef, poolAndVolume], { error: "must be POOL/VOLUME" }));
};

/** Only in requests: the agent puts the image's volume in place as base volume. */
const image = resourceName.meta({
  description: "An image of the same pool (socle image ls), by name or id, in place of a base volume.",
  examples: ["debian-13"],
});

const mediumImage = resourceName.meta({
  description: "A raw image (socle image ls), by name or id, in place of a volume.",
  examples: ["debian-13-iso"],
});

export const specFile = z.strictObject({
  name: text(shape.name),
  vmId: text(shape.id),
  vcpus: numberOrNone(shape.vcpus).exactOptional(),
  maxVcpus: numberOrNone(shape.maxVcpus.unwrap()).exactOptional(),
  cpuTopology: shape.cpuTopology,
  cpuMode: word(shape.cpuMode.unwrap(), specEnums.cpuMode),
  cpuModel: text(shape.cpuModel.unwrap()),
  memory: size(shape.memoryBytes),
  memoryBytes: size(shape.memoryBytes),
  maxMemory: size(shape.maxMemoryBytes.unwrap()),
  maxMemoryBytes: size(shape.maxMemoryBytes.unwrap()),
  accelerator: word(shape.accelerator.unwrap(), specEnums.accelerator),
  firmware: word(shape.firmware.unwrap(), specEnums.firmware),
  disks: z
    .array(
      z
        .strictObject({
          name: disk.name,
          volume: volume(existing.shape.volume).exactOptional(),
          newVolume: about(
            made,
            z
              .strictObject({
                pool: made.shape.pool,
                capacity: size(made.shape.capacityBytes.unwrap()),
                capacityBytes: size(made.shape.capacityBytes.unwrap()),
                format: word(made.shape.format.unwrap(), specEnums.diskFormat),
                baseVolume: text(made.shape.baseVolume.unwrap()),
                image: text(image),
                encryption: word(made.shape.encryption.unwrap(), specEnums.encryption),
              })
              .transform(({ capacity, ...rest }) =>
                capacity === undefined ? rest : { ...rest, capacityBytes: capacity },
              ),
          ).exactOptional(),
          cdrom: about(
            drive,
            z.strictObject({
              volume: volume(drive.shape.volume.unwrap()).exactOptional(),
              image: text(mediumImage),
            }),
          ).exactOptional(),
          readOnly: disk.readOnly.unwrap().exactOptional(),
          limits: about(
            disk.limits.unwrap(),
            z.strictObject({
              totalBytesPerSecond: size(io.totalBytesPerSecond.unwrap()),
              readBytesPerSecond: size(io.readBytesPerSecond.unwrap()),
              writeBytesPerSecond: size(io.writeBytesPerSecond.unwrap()),
              totalIops: numberOrNone(io.totalIops.unwrap()).exactOptional(),
              readIops: numberOrNone(io.readIops.unwrap()).exactOptional(),
              writeIops: numberOrNone(io.writeIops.unwrap()).exactOptional(),
              totalBurstBytesPerSecond: size(io.totalBurstBytesPerSecond.unwrap()),
              readBurstBytesPerSecond: size(io.readBurstBytesPerSecond.unwrap()),
              writeBurstBytesPerSecond: size(io.writeBurstBytesPerSecond.unwrap()),
              totalBurstIops: numberOrNone(io.totalBurstIops.unwrap()).exactOptional(),
              readBurstIops: numberOrNone(io.readBurstIops.unwrap()).exactOptional(),
              writeBurstIops: numberOrNone(io.writeBurstIops.unwrap()).exactOptional(),
              burstSeconds: numberOrNone(io.burstSeconds.unwrap()).exactOptional(),
            }),
          ).exactOptional(),
        })
        .refine(
          ({ volume: named, newVolume, cdrom }) =>
            [named, newVolume, cdrom].filter((source) => source !== undefined).length === 1,
          "must have a volume or a newVolume or a cdrom",
        ),
    )
    .meta(z.globalRegistry.get(shape.disks.unwrap()) ?? {})
    .exactOptional(),
  nics: z
    .array(
      z
        .strictObject({
          name: nic.name,
          network: onNetwork.shape.network.exactOptional(),
          bridge: onBridge.shape.bridge.exactOptional(),
          mac: text(nic.mac.unwrap()),
          allowSpoofing: nic.allowSpoofing.unwrap().exactOptional(),
          allowedAddresses: nic.allowedAddresses.unwrap().exactOptional(),
          limits: about(
            nic.limits.unwrap(),
            z.strictObject({
              inboundBytesPerSecond: size(limits.inboundBytesPerSecond.unwrap()),
              outboundBytesPerSecond: size(limits.outboundBytesPerSecond.unwrap()),
              inboundBurstBytes: size(limits.inboundBurstBytes.unwrap()),
              outboundBurstBytes: size(limits.outboundBurstBytes.unwrap()),
            }),
          ).exactOptional(),
          linkDown: about(nic.linkDown.unwrap(), z.boolean()).exactOptional(),
        })
        .refine(
          (given) => (given.network === undefined) !== (given.bridge === undefined),
          "must have a network or a bridge",
        ),
    )
    .meta(z.globalRegistry.get(shape.nics.unwrap()) ?? {})
    .exactOptional(),
  bootOrder: shape.bootOrder,
  kernelBoot: about(
    shape.kernelBoot.unwrap(),
    z.strictObject({
      kernel: volume(boot.kernel),
      initrd: volume(boot.initrd.unwrap()).exactOptional(),
      commandLine: boot.commandLine.unwrap().exactOptional(),
    }),
  ).exactOptional(),
  tpm: about(shape.tpm.unwrap(), z.boolean()).exactOptional(),
  launchSecurity: word(shape.launchSecurity.unwrap(), specEnums.launchSecurity),
  guestAgent: shape.guestAgent.unwrap().exactOptional(),
  tenant: shape.tenant.unwrap().exactOptional(),
  labels: shape.labels.unwrap().exactOptional(),
  autostart: shape.autostart.unwrap().exactOptional(),
  startPriority: numberOrNone(shape.startPriority.unwrap()).exactOptional(),
  startDelaySeconds: numberOrNone(shape.startDelaySeconds.unwrap()).exactOptional(),
  graphics: word(shape.graphics.unwrap(), specEnums.graphics),
  watchdog: about(
    watchdog,
    z.strictObject({
      model: word(watchdog.shape.model.unwrap(), specEnums.watchdogModel),
      action: word(watchdog.shape.action, specEnums.watchdogAction),
    }),
  ).exactOptional(),
  crashPolicy: word(shape.crashPolicy.unwrap(), specEnums.crashPolicy),
  placement: about(
    shape.placement.unwrap(),
    z
      .strictObject({
        dedicatedCpus: placement.dedicatedCpus.unwrap().exactOptional(),
        cellPolicy: word(placement.cellPolicy.unwrap(), specEnums.cellPolicy),
        cell: placement.cell,
        pageSize: size(placement.pageSizeBytes.unwrap()),
        pageSizeBytes: size(placement.pageSizeBytes.unwrap()),
        isolatedEmulator: placement.isolatedEmulator.unwrap().exactOptional(),
        devices: placement.devices.unwrap().exactOptional(),
      })
      .transform(({ pageSize, ...rest }) =>
        pageSize === undefined ? rest : { ...rest, pageSizeBytes: pageSize },
      ),
  ).exactOptional(),
  cloudInit: about(
    shape.cloudInit.unwrap(),
    z.strictObject({
      hostname: text(firstBoot.hostname.unwrap()),
      sshKeys: firstBoot.sshKeys.unwrap().exactOptional(),
      userData: text(secret.userData.unwrap()),
      networkConfig: text(secret.networkConfig.unwrap()),
      pool: text(firstBoot.pool.unwrap()),
    }),
  ).exactOptional(),
});

/** A spec in YAML or JSON (which is YAML). Throws `invalid` SPEC_INVALID with every field that is wrong. */
export async function parseSpecFile(content: string, name: string): Promise<VmSpec> {
  const { parse } = await import("./yaml.ts");
  let value: unknown;
  try {
    value = parse(content, { maxAliasCount: 0 });
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
    throw new SocleError("invalid", "SPEC_INVALID", `${name} is neither YAML nor JSON: ${why}`, { cause });
  }
  const parsed = specFile.safeParse(value);
  if (!parsed.success) {
    const fields: Record<string, string> = {};
    for (const [path, what] of parsed.error.issues.flatMap(explained)) fields[path] ??= what;
    const message = `${name} is not a VM's spec; socle vm create --example prints one with every field`;
    throw new SocleError("invalid", "SPEC_INVALID", message, { details: { fields } });
  }
  const { memory, maxMemory, ...spec } = parsed.data;
  return {
    ...spec,
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(maxMemory === undefined ? {} : { maxMemoryBytes: maxMemory }),
  };
}

/** The wrong fields of an issue, by path, each with what it must be. */
function explained(issue: z.core.$ZodIssue): [string, string][] {
  const { code, path } = issue;
  if (code === "unrecognized_keys")
    return issue.keys.map((key) => [fieldPath([...path, key]), "is not a field of a VM's spec"]);
  if (code === "invalid_key") return [[fieldPath(path), issue.issues[0]?.message ?? issue.message]];
  if (code !== "invalid_type") return [[fieldPath(path), issue.message]];
  const expected = typeNames[issue.expected] ?? issue.expected;
  return [[fieldPath(path), issue.message.startsWith("must") ? issue.message : `must be ${expected}`]];
}

const typeNames: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "a map of fields",
  record: "a map of texts",
};

const fieldPath = (path: readonly PropertyKey[]): string =>
  path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .replace(/^\./, "") || "(the whole)";

export function splitVolume(text: string): { pool: string; volume: string } {
  const slash = text.indexOf("/");
  return { pool: text.slice(0, Math.max(slash, 0)), volume: text.slice(slash + 1) };
}
