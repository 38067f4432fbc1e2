import { join } from "node:path";
import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { SocleError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { readPlain, writeDurably } from "./plain-file.ts";
import { receivedName } from "./received-name.ts";

export const MANIFEST = "manifest.json";
const VERSION = "socle backup 1";

const size = z.number().int().nonnegative();

const disk = z.object({
  disk: receivedName,
  file: receivedName,
  format: z.literal("qcow2"),
  capacityBytes: size,
  /** The file right below, in the same directory. Absent: none. */
  base: receivedName.exactOptional(),
  /** Absent: in clear. */
  encryption: z.literal("luks").exactOptional(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: size,
});

const backup = z.object({
  id: receivedName,
  createdAt: z.string(),
  quiesced: z.boolean(),
  /** The VM's spec then, as JSON of the contract. */
  spec: z.record(z.string(), z.unknown()),
  disks: z.array(disk).min(1),
});

const schema = z.object({
  manifest: z.literal(VERSION),
  vm: z.object({ id: z.string(), name: z.string() }),
  /** The newest last. */
  backups: z.array(backup).min(1),
});

const volume = z
  .looseObject({ pool: z.string().exactOptional(), volume: z.string().exactOptional() })
  .nullish();
const device = z.looseObject({ name: z.string().exactOptional() });

/** What a restoration reads of the specs; the agent checks the rest. */
const specShapes = z.object({
  backups: z.array(
    z.object({
      spec: z.looseObject({
        disks: z
          .array(
            device.extend({
              readOnly: z.boolean().nullish(),
              volume,
              newVolume: z
                .looseObject({ pool: z.string().nullish(), format: z.string().nullish() })
                .nullish(),
              cdrom: z.looseObject({ volume }).nullish(),
            }),
          )
          .nullish(),
        nics: z
          .array(device.extend({ bridge: z.string().nullish(), allowSpoofing: z.boolean().nullish() }))
          .nullish(),
        placement: z.looseObject({ devices: z.array(z.string()).nullish() }).nullish(),
        bootOrder: z.array(z.string()).nullish(),
        kernelBoot: z.looseObject({ kernel: volume, initrd: volume }).nullish(),
      }),
    }),
  ),
});

export type Manifest = Immutable<z.output<typeof schema>>;
export type StoredBackup = Manifest["backups"][number];
export type StoredDisk = StoredBackup["disks"][number];

export const manifestOf = (vm: Manifest["vm"], backups: Manifest["backups"]): Manifest => ({
  manifest: VERSION,
  vm,
  backups,
});

export const manifestText = (manifest: Manifest): string => `${JSON.stringify(manifest, undefined, 2)}\n`;

/** Throws `invalid` BACKUP_DAMAGED. */
export function parseManifest(text: string, where: string): Manifest {
  const value = parseJson(text);
  const parsed = schema.safeParse(value);
  const shape = parsed.success ? specShapes.safeParse(value) : parsed;
  if (!parsed.success || !shape.success) {
    const [issue] = shape.error?.issues ?? [];
    const why = `${issue?.path.join(".") || "it"} ${issue?.message ?? "is not valid"}`;
    throw new SocleError("invalid", "BACKUP_DAMAGED", `${where} is no manifest of backups: ${why}`);
  }
  const files = parsed.data.backups.flatMap(({ disks }) => disks.map(({ file }) => file));
  if (new Set(files).size !== files.length)
    throw new SocleError("invalid", "BACKUP_DAMAGED", `${where} names a file twice`);
  return parsed.data;
}

/** Undefined: the directory has none. Throws `invalid` BACKUP_DAMAGED and FILE_UNREADABLE. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const path = join(directory, MANIFEST);
  const text = await readPlain(path);
  return text === undefined ? undefined : parseManifest(text, path);
}

/** Throws `not_found` BACKUP_NOT_FOUND and BACKUP_DAMAGED. */
export async function requireManifest(directory: string): Promise<Manifest> {
  const manifest = await readManifest(directory);
  if (manifest !== undefined) return manifest;
  const message = `${directory} has no backup: there is no ${MANIFEST}`;
  throw new SocleError("not_found", "BACKUP_NOT_FOUND", message);
}

export const writeManifest = (directory: string, manifest: Manifest): Promise<void> =>
  writeDurably(join(directory, MANIFEST), manifestText(manifest));

/** By id; by default the newest. Throws `not_found` BACKUP_NOT_FOUND. */
export function requireBackup({ backups, vm }: Manifest, id?: string): StoredBackup {
  const found = id === undefined ? backups.at(-1) : backups.find((each) => each.id === id);
  if (found !== undefined) return found;
  const message = `there is no backup ${id ?? ""} of VM ${vm.name}; there are ${backups.map((each) => each.id).join(", ")}`;
  throw new SocleError("not_found", "BACKUP_NOT_FOUND", message);
}

/** The files of a disk, the newest first. Throws `invalid` BACKUP_DAMAGED. */
export function chainOf({ backups }: Manifest, disk: StoredDisk): StoredDisk[] {
  const all = new Map(backups.flatMap(({ disks }) => disks.map((each) => [each.file, each] as const)));
  const chain: StoredDisk[] = [];
  for (let at = disk; ;) {
    if (chain.includes(at))
      throw new SocleError(
        "invalid",
        "BACKUP_DAMAGED",
        `the files of disk ${disk.disk} are below each other`,
      );
    chain.push(at);
    if (at.base === undefined) return chain;
    const base: StoredDisk | undefined = all.get(at.base);
    if (base === undefined || base.disk !== disk.disk)
      throw new SocleError(
        "invalid",
        "BACKUP_DAMAGED",
        `${at.file} needs ${at.base}, which the manifest has not`,
      );
    at = base;
  }
}
