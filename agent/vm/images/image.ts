import { createHash, randomUUID } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import * as z from "../../kernel/zod.ts";
import { vmSpec, type VolumeRef } from "../../contract/spec.ts";
import { bytes, uuid } from "../../contract/spec-values.ts";

/** A published image, as its manifest records it. */
const imageSchema = z.strictObject({
  id: uuid,
  /** Unique in its tenant; requests accept an id in place of a name. */
  name: vmSpec.shape.name.refine((name) => !uuid.safeParse(name.toLowerCase()).success, "must not be a UUID"),
  /** "": public. */
  tenant: vmSpec.shape.tenant.unwrap(),
  /** Of the bytes as downloaded, before any conversion, in hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits"),
  format: z.enum(["qcow2", "raw"]),
  sizeBytes: bytes,
  /** Of the disk in the image. */
  capacityBytes: bytes,
  createdAtMs: z.int().min(0),
});
export const imageFields = imageSchema.shape;
export type ImageFormat = z.output<typeof imageSchema>["format"];
/** Formats that an import converts to qcow2: no VM uses them. */
export const foreignFormats = ["vmdk", "vhdx"] as const;
export type ForeignFormat = (typeof foreignFormats)[number];
type Recorded = Readonly<z.output<typeof imageSchema>>;
export type Image = Recorded & { readonly pool: string };

/** An image that the tenant has, in place of the one that is wanted. `sha256` of an image that is being made may be "". */
export const imageExists = (
  wanted: Pick<Image, "name">,
  same: Pick<Image, "id" | "name" | "sha256" | "format">,
): SocleError =>
  new SocleError(
    "already_exists",
    "IMAGE_EXISTS",
    same.name !== wanted.name
      ? `the image with the SHA-256 ${same.sha256} is on this host as ${same.name}: use that name, or delete it (socle image rm)`
      : same.sha256 === ""
        ? `an image ${same.name} is being made from a volume: choose another name, or wait for it`
        : `there is an image ${same.name} with the SHA-256 ${same.sha256} and the format ${same.format}: choose another name, or delete it (socle image rm)`,
    { details: { metadata: { image_id: same.id, name: same.name } } },
  );

const VERSION = "socle image 1";
const manifestSchema = z.strictObject({
  manifest: z.literal(VERSION),
  image: imageSchema,
  checksum: z.string(),
});

/** More than a manifest has. */
export const MANIFEST_MAX_BYTES = 4096;

const checksumOf = (image: Recorded): string =>
  createHash("sha256")
    .update(`${VERSION}\n${JSON.stringify(image)}`)
    .digest("hex");

/** The manifest's bytes. Fields are in the schema's order, so that the checksum is that of the parsed fields. */
export function manifestOf({ pool: _place, ...recorded }: Image): Buffer {
  const image = imageSchema.parse(recorded);
  return Buffer.from(`${JSON.stringify({ manifest: VERSION, image, checksum: checksumOf(image) })}\n`);
}

/** The image of a whole manifest; undefined for any other bytes. */
export function readManifest(content: Buffer, pool: string): Image | undefined {
  let value: unknown;
  try {
    value = JSON.parse(content.toString("utf8"));
  } catch {
    return undefined;
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success || parsed.data.checksum !== checksumOf(parsed.data.image)) return undefined;
  return { ...parsed.data.image, pool };
}

/** A new image's id: it begins with a mark of this host, which removes only leftovers of its own from a shared pool. */
export const newImageId = (hostId: string): string => `${markOf(hostId)}${randomUUID().slice(8)}`;

export const isMadeBy = (imageId: string, hostId: string): boolean => imageId.startsWith(markOf(hostId));

const markOf = (hostId: string): string => createHash("sha256").update(hostId).digest("hex").slice(0, 8);

export const dataVolume = ({ id, format, pool }: Pick<Image, "id" | "format" | "pool">): VolumeRef => ({
  pool,
  volume: `socle-image-${id}.${format}`,
});

/**
 * The bytes of an import before their conversion, behind `SOURCE_OFFSET_BYTES` of zeros: libvirt probes the beginning of each
 * file, and the author of the image has written the rest. No VM or QEMU ever opens it.
 */
export const sourceVolume = ({ id, pool }: Pick<Image, "id" | "pool">): VolumeRef => ({
  pool,
  volume: `socle-image-${id}.source`,
});

export const SOURCE_OFFSET_BYTES = 64 * 1024;

export const manifestVolume = ({ id, pool }: Pick<Image, "id" | "pool">): VolumeRef => ({
  pool,
  volume: `socle-image-${id}.json`,
});
