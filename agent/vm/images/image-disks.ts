import * as z from "../../kernel/zod.ts";
import { invalidField, SocleError } from "../../kernel/errors.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import { imageOfVolume } from "../../contract/spec-volume-name.ts";
import { volumesOf, type DeviceSpec } from "../model/volume-names.ts";
import { imageNotFound, isVisibleTo, type ImageStore } from "./image-store.ts";
import { dataVolume } from "./image.ts";

type Unchecked = Readonly<Record<string, unknown>>;

const overImage = z.looseObject({
  source: z.looseObject({ kind: z.literal("new"), image: z.string() }),
});

const driveWithImage = z.looseObject({
  source: z.looseObject({ kind: z.literal("cdrom"), image: z.string() }),
});

/** The volume of a raw image, by its name or id. Throws as ImageStore.require, `invalid` SPEC_INVALID. */
export function mediumOf(named: string, field: string, tenant: string, store: ImageStore): VolumeRef {
  const image = store.require(named, tenant);
  if (image.format === "raw") return dataVolume(image);
  const why = `names image ${image.name}, which is ${image.format}: a medium is a raw image, such as an ISO`;
  throw invalidField("SPEC_INVALID", field, why);
}

/**
 * The unchecked spec with the volumes of its images as base volumes: only those are stored. Throws as
 * ImageStore.require, `invalid` SPEC_INVALID.
 */
export function withImages(spec: Unchecked, store: ImageStore): Unchecked {
  const { disks, tenant } = spec;
  if (!Array.isArray(disks)) return spec;
  const owner = typeof tenant === "string" ? tenant : "";
  const based = disks.map((disk: Unchecked, index) => withImage(disk, `spec.disks[${index}]`, owner, store));
  return { ...spec, disks: based };
}

/** As `withImages`, for one disk at the field `path` of a request for a VM of the tenant. */
export function withImage(disk: Unchecked, path: string, tenant: string, store: ImageStore): Unchecked {
  const drive = driveWithImage.safeParse(disk);
  if (drive.success) {
    const { image, ...source } = drive.data.source;
    return { ...drive.data, source: { ...source, volume: mediumOf(image, `${path}.image`, tenant, store) } };
  }
  const over = overImage.safeParse(disk);
  if (!over.success) return disk;
  const { image: named, ...source } = over.data.source;
  const refuse = (field: string, why: string): SocleError =>
    invalidField("SPEC_INVALID", `${path}.${field}`, why);
  if (source["baseVolume"] !== undefined) throw refuse("image", "must not be given with a base volume");
  const image = store.require(named, tenant);
  const { pool, volume } = dataVolume(image);
  if (source["pool"] !== pool) throw refuse("pool", `must be ${pool}, the pool of image ${image.name}`);
  return { ...over.data, source: { ...source, baseVolume: volume } };
}

/** A spec does not change, and every list of images reads it. */
const imagesBySpec = new WeakMap<VmSpec, readonly string[]>();

/** The ids of the images that a spec's volumes belong to. */
export function imagesOf(spec: VmSpec): readonly string[] {
  const known = imagesBySpec.get(spec);
  if (known !== undefined) return known;
  const images = [...new Set(volumesOf(spec).flatMap(({ volume }) => imageOfVolume(volume)?.id ?? []))];
  imagesBySpec.set(spec, images);
  return images;
}

/**
 * The volumes of images are for the VMs of their tenants, and no VM writes to them. Throws `not_found` IMAGE_NOT_FOUND,
 * `denied` VOLUME_DENIED, `unavailable` IMAGES_UNKNOWN.
 */
export function requireImagesUsable(spec: DeviceSpec, store: ImageStore): void {
  for (const { pool, volume, writes, named } of volumesOf(spec)) {
    const of = named ? imageOfVolume(volume) : undefined;
    if (of === undefined) continue;
    const image = store.all().find(({ id }) => id === of.id);
    const mayUse = image !== undefined && (spec.tenant === "" || isVisibleTo(spec.tenant, image));
    if (!mayUse || dataVolume(image).volume !== volume || image.pool !== pool) throw imageNotFound(volume);
    if (!writes) continue;
    const message = `the volume ${pool}/${volume} is the image ${image.name}, which no VM writes to: make a new disk over it (image)`;
    throw new SocleError("denied", "VOLUME_DENIED", message);
  }
}
