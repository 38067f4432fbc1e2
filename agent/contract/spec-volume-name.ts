import * as z from "../kernel/zod.ts";

/**
 * A tenant's volume has the tenant in its name: it has its owner from the moment it exists, and a host without its state
 * directory knows it. '+' separates tenant and name, which lack it; a tenant's ':' is written as '++'.
 */
const tenantVolume =
  /^socle-volume-([A-Za-z0-9](?:[A-Za-z0-9._-]|\+\+)*)\+[A-Za-z0-9][A-Za-z0-9._-]*\.(?:qcow2|raw)$/;

/** The tenant that a volume was made for (CreateVolume); undefined for other volumes. */
export const tenantOfVolume = (volume: string): string | undefined =>
  tenantVolume.exec(volume)?.[1]?.replaceAll("++", ":");

const MOST_CHARACTERS = 128;

/** The name of a volume, without its tenant and its format. */
export const volumeName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    "must be 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
  )
  .refine((name) => !name.startsWith("socle-"), "must not begin with 'socle-'");

/** The volume's name in its pool; undefined if it would be too long. */
export function newVolumeName({
  tenant,
  name,
  format,
}: {
  readonly tenant: string;
  readonly name: string;
  readonly format: string;
}): string | undefined {
  const owner = tenant === "" ? "" : `socle-volume-${tenant.replaceAll(":", "++")}+`;
  const volume = `${owner}${name}.${format}`;
  return volume.length > MOST_CHARACTERS ? undefined : volume;
}

/**
 * A volume's format follows from its name, never from its bytes: the guest writes those, and a raw disk that looks like
 * an overlay would make the host open any file for it.
 */
export const formatOf = (volume: string): "qcow2" | "raw" => (volume.endsWith(".qcow2") ? "qcow2" : "raw");

const parts = ["qcow2", "raw", "json", "source"] as const;
const imageVolume = /^socle-image-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(qcow2|raw|json|source)$/;

/** The id of the image that the volume belongs to; undefined for other volumes. */
export function imageOfVolume(
  volume: string,
): { readonly id: string; readonly part: (typeof parts)[number] } | undefined {
  const [, id, name] = imageVolume.exec(volume) ?? [];
  const part = parts.find((one) => one === name);
  return id === undefined || part === undefined ? undefined : { id, part };
}
