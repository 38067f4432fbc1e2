import { invalidField, SocleError, toSocleError } from "../../kernel/errors.ts";
import { diskSpec, type DiskSpec, type VolumeRef } from "../../contract/spec.ts";
import { volumeRef } from "../../contract/spec-values.ts";
import { imageKey } from "../../state/operations/subject.ts";
import type { Source } from "../images/download.ts";
import type { Image } from "../images/image.ts";
import type { VolumeFacts } from "../images/image-volumes.ts";
import type { BusyWait } from "../storage/overlay-search.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { requireStandsAlone, requireVolumeFree, volumeDenied } from "./volume-free.ts";
import type { RunContext } from "./work.ts";

interface VolumeImport {
  readonly volume: VolumeRef;
  readonly image: Pick<Image, "id" | "tenant">;
  readonly byTenant: boolean;
}

/** What an import holds of its volume: as a disk that it writes to, which excludes readers as well. */
export const sourceDisk = (volume: VolumeRef): DiskSpec =>
  diskSpec.parse({ name: "source", source: { kind: "volume", volume } });

/**
 * Whether an image of the tenant may be made from the volume, by its name. Throws `invalid` SPEC_INVALID, `denied`
 * VOLUME_DENIED, and as `requireStandsAlone`.
 */
export function requireImportable(volume: VolumeRef, tenant: string, onlyTenant: string | undefined): void {
  const { error } = volumeRef.safeParse(volume);
  if (error !== undefined) {
    const [issue] = error.issues;
    const field = ["volume", ...(issue?.path ?? [])].join(".");
    throw invalidField("SPEC_INVALID", field, issue?.message ?? "is invalid");
  }
  const owner = requireStandsAlone(volume, onlyTenant, {
    ofImage: "use that one",
    ofVm: "copy it to a volume of its own (virsh vol-clone), and import that",
  });
  // Its bytes are the tenant's alone.
  if (owner !== undefined && owner !== tenant)
    throw volumeDenied(
      volume,
      `was made for tenant ${owner}: make an image of that tenant from it (--tenant)`,
    );
}

/** libvirt refuses to refresh a pool while it makes a volume in it. A copy may have taken hours. */
const CONFIRM_BUSY_FOR_MS = 600_000;

/**
 * The bytes of a volume that nothing uses. Throws as `requireVolumeFree` and `Volumes.resolve`, `unsupported`
 * IMAGE_POOL_UNSUITABLE, and `unavailable` VOLUME_UNREADABLE if its pool is inactive or busy, or does not answer. `confirm`
 * throws `conflict` VOLUME_IN_USE if the volume is in use by now, or has changed; it waits for a busy pool until the signal
 * aborts.
 */
export async function openVolume(
  context: RunContext,
  { volume, image, byTenant }: VolumeImport,
  signal: AbortSignal,
): Promise<Source> {
  signal.throwIfAborted();
  const { volumes } = context.images;
  const own = imageKey(image.id);
  const onlyTenant = byTenant ? image.tenant : undefined;
  const look = async (wait?: BusyWait): Promise<VolumeFacts> => {
    // libvirt opens its file: it must be no link, and lead to no other file.
    await context.volumes.resolve(volume, undefined, "any");
    await requireVolumeFree(context, { volume, change: "import", onlyTenant, own, wait });
    const facts = await volumes.facts(volume);
    if (!facts.isFile || facts.changedAt === undefined) throw noFile(volume);
    return facts;
  };
  // The import has ended for another reason, as a timeout of the image's pool.
  const refused = (thrown: unknown): never => {
    throw signal.aborted ? thrown : refusalOf(volume, thrown);
  };
  const { sizeBytes, changedAt } = await look().catch(refused);
  return {
    sizeBytes,
    bytes: exactly(volume, sizeBytes, volumes.bytes(volume, sizeBytes, signal, 0), refused),
    // The iteration opens the stream, and ends it.
    close: () => undefined,
    confirm: async () => {
      const now = await look({ forMs: CONFIRM_BUSY_FOR_MS, signal }).catch(refused);
      if (now.sizeBytes !== sizeBytes || now.changedAt !== changedAt) throw changed(volume);
    },
  };
}

/**
 * Without the pool of the image's own volumes, whether they exist is not known, and the import begins again. The source's
 * pool is another matter: without it the import fails.
 */
function refusalOf(volume: VolumeRef, thrown: unknown): SocleError {
  const error = toSocleError(thrown);
  // Nothing was changed: a refresh without an answer is no unknown outcome.
  const { kind } = error.kind === "outcome_unknown" ? toSocleError(error.cause) : error;
  if (kind !== "timeout" && !["POOL_INACTIVE", "POOL_BUSY"].includes(error.reason)) return error;
  const message = `volume ${volumeKey(volume)} cannot be read: ${error.message}. Import it again once its pool answers`;
  return new SocleError("unavailable", "VOLUME_UNREADABLE", message, {
    cause: error,
    details: { retryAfterMs: 5000 },
  });
}

async function* exactly(
  volume: VolumeRef,
  sizeBytes: number,
  bytes: AsyncIterable<Buffer>,
  refused: (thrown: unknown) => never,
): AsyncGenerator<Buffer, void, undefined> {
  let at = 0;
  try {
    for await (const chunk of bytes) {
      at += chunk.length;
      if (at > sizeBytes) break;
      yield chunk;
    }
  } catch (thrown) {
    refused(thrown);
  }
  if (at !== sizeBytes) throw changed(volume);
}

const changed = (volume: VolumeRef): SocleError =>
  new SocleError(
    "conflict",
    "VOLUME_IN_USE",
    `volume ${volumeKey(volume)} is in use: it, its owner or its mode changed while it was read, ` +
      "by something that this host does not know; stop that, and import it again",
    { details: { metadata: { users: "" } } },
  );

const noFile = (volume: VolumeRef): SocleError =>
  new SocleError(
    "unsupported",
    "IMAGE_POOL_UNSUITABLE",
    `volume ${volumeKey(volume)} is no file, so whether it changes cannot be seen: import a volume of a pool of files (dir, fs, netfs)`,
  );
