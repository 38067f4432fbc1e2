import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { resourceName } from "../../contract/spec-values.ts";
import { isAway } from "../images/image-volumes.ts";
import { dataVolume, imageFields, type Image } from "../images/image.ts";
import { usersNow, usersOf, volumeKey, type Users, listed } from "../storage/volume-users.ts";
import { defineOperation } from "./definition.ts";
import { outcomeUnknown, type RunContext } from "./work.ts";

const { id, name, format } = imageFields;
const schema = z.object({ image: z.object({ id, name, format, pool: resourceName }) });
export type DeleteImageIntent = Readonly<z.output<typeof schema>>;

/** Removes an image that nothing uses. Its manifest is removed first: from then on it is not published. */
export const deleteImage = defineOperation({
  kind: "DELETE_IMAGE",
  intent: schema,
  lane: "command",
  checksInstance: "always",
  // New VMs are refused it from before the users are known.
  removes: ({ image }: DeleteImageIntent) => [dataVolume(image)],
  async run(context, { image }, { step, resumed }) {
    const { store, volumes } = context.images;
    // An interrupted run may have removed the manifest, after which no new VM could use the image.
    if (!resumed || (await isPublished(context, image)))
      await step("check users", () => requireNoUsers(context, image), 0.3);
    store.withdraw(image.id);
    try {
      await step("delete", () => volumes.remove(image), 0.6);
    } catch (thrown) {
      throw isAway(thrown) ? outcomeUnknown(toSocleError(thrown)) : thrown;
    }
    return { image_id: image.id };
  },
});

/** The store may not have read the pool yet. */
async function isPublished(
  { images: { store, volumes } }: RunContext,
  image: DeleteImageIntent["image"],
): Promise<boolean> {
  if (store.find(image.id) !== undefined) return true;
  try {
    return (await volumes.publishedAs(image)) !== undefined;
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
}

/** Throws `conflict` IMAGE_IN_USE, and `unavailable` if the users cannot be known now. */
async function requireNoUsers(context: RunContext, image: DeleteImageIntent["image"]): Promise<void> {
  const volume = dataVolume(image);
  const dependents = await context.volumes.dependents([volume]);
  const users = await usersNow(context, context.creations, [volumeKey(volume), ...dependents.paths]);
  requireImageUnused(image, users, dependents);
  // Overlays are in the pool of their base, also those of other hosts.
  if (dependents.unsearched?.includes(image.pool) !== true) return;
  const message =
    `whether image ${image.name} has overlays is not known: libvirt cannot read each file of pool ${image.pool} now; ` +
    "retry, and if it persists repair or remove the files that libvirt reports (virsh pool-refresh, vol-list)";
  throw new SocleError("unavailable", "VOLUME_UNREADABLE", message, { details: { retryAfterMs: 5000 } });
}

/** Throws `conflict` IMAGE_IN_USE for the VMs and overlays that use the image, as far as they are given. */
export function requireImageUnused(
  image: Pick<Image, "id" | "name" | "format" | "pool">,
  users: Users,
  dependents: Parameters<typeof usersOf>[3] = { paths: [], overlays: [] },
): void {
  const found = usersOf("", [dataVolume(image)], users, dependents);
  if (found.size === 0) return;
  const { names, ids } = listed(found);
  const message = `image ${image.name} is in use by ${names}: delete those first, or keep the image`;
  throw new SocleError("conflict", "IMAGE_IN_USE", message, { details: { metadata: { users: ids } } });
}
