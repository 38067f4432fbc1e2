// An operation changes a VM or an image. Its key in the state (`vmId`) is the VM's id, or that of imageKey().

const IMAGE = "image/";

/** The key of the operations on an image; no VM's id begins so. */
export const imageKey = (imageId: string): string => `${IMAGE}${imageId}`;

/** The VM or the image that an operation changes: one of both. */
export function subjectOf({ vmId }: { readonly vmId: string }): {
  readonly vmId?: string;
  readonly imageId?: string;
} {
  return vmId.startsWith(IMAGE) ? { imageId: vmId.slice(IMAGE.length) } : { vmId };
}
