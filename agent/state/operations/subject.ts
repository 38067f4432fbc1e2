// An operation changes a VM, an image or a volume. Its key in the state (`vmId`) is the VM's id, or that of imageKey() or
// volumeKeyOf().

const IMAGE = "image/";
const VOLUME = "volume/";

/** The key of the operations on an image; no VM's id begins so. */
export const imageKey = (imageId: string): string => `${IMAGE}${imageId}`;

/** The key of the operations on a volume: neither pools nor volumes have a '/' in their names. */
export const volumeKeyOf = ({ pool, volume }: { readonly pool: string; readonly volume: string }): string =>
  `${VOLUME}${pool}/${volume}`;

/** The VM, the image or the volume (POOL/VOLUME) that an operation changes: one of them. */
export function subjectOf({ vmId }: { readonly vmId: string }): {
  readonly vmId?: string;
  readonly imageId?: string;
  readonly volume?: string;
} {
  if (vmId.startsWith(IMAGE)) return { imageId: vmId.slice(IMAGE.length) };
  if (vmId.startsWith(VOLUME)) return { volume: vmId.slice(VOLUME.length) };
  return { vmId };
}
