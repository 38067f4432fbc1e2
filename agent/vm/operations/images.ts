import { formatOf } from "../../contract/spec-volume-name.ts";
import { randomUUID } from "node:crypto";
import { invalidField, SocleError } from "../../kernel/errors.ts";
import { resourceName } from "../../contract/spec-values.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { imageKey } from "../../state/operations/subject.ts";
import type { ImageStore } from "../images/image-store.ts";
import {
  foreignFormats,
  imageExists,
  imageFields,
  newImageId,
  type ForeignFormat,
  type Image,
  type ImageFormat,
} from "../images/image.ts";
import type { Upload } from "../images/upload.ts";
import { parseSource } from "../images/source-policy.ts";
import type { BeginsOn, OnSubject } from "./begin-on.ts";
import { together, type Taken } from "./creations.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { requireImageUnused } from "./delete-image.ts";
import { requireImportable } from "./volume-source.ts";
import { requireNoUsers } from "./volume-free.ts";
import type { ImportIntent } from "./import-image.ts";
import type { Intent } from "./registry.ts";
import type { Users } from "../storage/volume-users.ts";
import type { ImageParts } from "./work.ts";

interface NewImageRequest extends OnSubject {
  readonly sha256: string;
  readonly name: string;
  /** Absent: qcow2, or that of the volume. */
  readonly format?: ImageFormat | ForeignFormat | undefined;
  /** "": public. */
  readonly tenant: string;
  /** Absent: the configured pool. */
  readonly pool?: string | undefined;
}

export interface ImportRequest extends NewImageRequest {
  readonly url: string;
  /** In place of the URL. */
  readonly volume?: VolumeRef | undefined;
}

export interface UploadRequest extends NewImageRequest {
  readonly sizeBytes: number;
}

export interface DeleteImageRequest extends OnSubject {
  readonly image: string;
  readonly tenant: string;
}

/** Changes of images; each is an operation, as in Vms. */
export class Images {
  readonly #vms: BeginsOn;
  readonly #store: ImageStore;
  readonly #uploads: Map<string, Upload>;
  readonly #hostId: () => string;
  readonly #pool: string;

  constructor(parts: {
    readonly vms: BeginsOn;
    readonly store: ImageStore;
    readonly uploads: Map<string, Upload>;
    readonly hostId: () => string;
    readonly pool: string;
  }) {
    this.#vms = parts.vms;
    this.#store = parts.store;
    this.#uploads = parts.uploads;
    this.#hostId = parts.hostId;
    this.#pool = parts.pool;
  }

  /**
   * Joins the import, or the image, of the same digest, name and tenant. Throws `invalid` SPEC_INVALID, `already_exists`
   * IMAGE_EXISTS, `unavailable` IMAGES_UNKNOWN, what Operations.begin throws, and for a volume what `requireImportable` and
   * `requireNoUsers` throw.
   */
  async import(request: ImportRequest, caller: string): Promise<Operation> {
    const { volume } = request;
    if (volume !== undefined) return await this.#fromVolume({ ...request, volume }, caller);
    return await this.#begin("IMPORT_IMAGE", request, caller, () => {
      const image = this.#wanted(request);
      const byTenant = request.onlyTenant !== undefined;
      const url = parseSource(request.url).href;
      return { image, intent: { kind: "IMPORT_IMAGE", image, ...convertedFrom(request), url, byTenant } };
    });
  }

  async #fromVolume(
    request: ImportRequest & { readonly volume: VolumeRef },
    caller: string,
  ): Promise<Operation> {
    return await this.#begin("IMPORT_IMAGE", request, caller, (users) => {
      const { url, volume, tenant, onlyTenant, format = formatOf(volume.volume) } = request;
      if (url !== "") throw invalidField("SPEC_INVALID", "volume", "must not be given with a url");
      requireImportable(volume, tenant, onlyTenant);
      const image = this.#wanted({ ...request, format }, true);
      requireNoUsers({ volume, change: "import", onlyTenant, own: imageKey(image.id) }, users);
      const byTenant = onlyTenant !== undefined;
      const from = convertedFrom({ format });
      return { image, intent: { kind: "IMPORT_IMAGE", image, ...from, volume, byTenant } };
    });
  }

  /** As `import`, with the bytes of `source` while the operation runs. `forget` ends the upload. */
  async upload(
    request: UploadRequest,
    source: Upload,
    caller: string,
  ): Promise<{ readonly operation: Operation; readonly forget: () => void }> {
    const upload = randomUUID();
    const forget = this.hold(upload, source);
    try {
      const operation = await this.#begin("IMPORT_IMAGE", request, caller, () => {
        const image = this.#wanted(request);
        const byTenant = request.onlyTenant !== undefined;
        const from = convertedFrom(request);
        return { image, intent: { kind: "IMPORT_IMAGE", image, ...from, upload, byTenant } };
      });
      return { operation, forget };
    } catch (thrown) {
      forget();
      throw thrown;
    }
  }

  /** Holds the bytes of an upload for its operation, until the returned function is called. The first of a name stays. */
  hold(upload: string, source: Upload): () => void {
    if (!this.#uploads.has(upload)) this.#uploads.set(upload, source);
    return () => {
      if (this.#uploads.get(upload) === source) this.#uploads.delete(upload);
    };
  }

  /**
   * Throws `not_found` IMAGE_NOT_FOUND, `denied` IMAGE_DENIED for another tenant's or a public image, `conflict`
   * IMAGE_IN_USE, and what Operations.begin throws.
   */
  async delete(request: DeleteImageRequest, caller: string): Promise<Operation> {
    return await this.#begin("DELETE_IMAGE", request, caller, (users) => {
      const { onlyTenant } = request;
      const found = this.#store.require(request.image, onlyTenant ?? request.tenant);
      if (onlyTenant !== undefined && found.tenant !== onlyTenant) throw notYours(found);
      requireImageUnused(found, users);
      const { id, name, format, pool } = found;
      return { image: found, intent: { kind: "DELETE_IMAGE", image: { id, name, format, pool } } };
    });
  }

  async #begin(
    kind: Intent["kind"],
    request: OnSubject,
    caller: string,
    admit: (users: Users) => { readonly image: Pick<Image, "id" | "tenant">; readonly intent: Intent },
  ): Promise<Operation> {
    return await this.#vms.beginOn(kind, request, caller, {
      admit: (users) => {
        const { image, intent } = admit(users);
        return { key: imageKey(image.id), tenant: image.tenant, intent };
      },
    });
  }

  /** With the id of the image that it joins, or a new one. `mayLackDigest`: an absent one is that of the bytes. */
  #wanted(
    { sha256, name, tenant, format: named = "qcow2", pool = this.#pool }: NewImageRequest,
    mayLackDigest = false,
  ): ImportIntent["image"] {
    // A conversion makes a qcow2 image. Bytes of one digest have one format, whatever a request names.
    const format = isForeign(named) ? "qcow2" : named;
    const wanted = { sha256: sha256.toLowerCase(), name, tenant, format, pool };
    for (const [field, schema] of Object.entries({ ...imageFields, pool: resourceName })) {
      if (!(field in wanted) || (field === "sha256" && mayLackDigest && sha256 === "")) continue;
      const { error } = schema.safeParse(wanted[field as keyof typeof wanted]);
      if (error !== undefined)
        throw invalidField("SPEC_INVALID", field, error.issues[0]?.message ?? "is invalid");
    }
    const others = [...this.#store.all(), ...this.#store.pending()].filter(
      (image) => image.tenant === tenant,
    );
    const hasDigest = (image: Pick<Image, "sha256">): boolean =>
      wanted.sha256 !== "" && image.sha256 === wanted.sha256;
    const same = others.find((image) => image.name === name || hasDigest(image));
    if (same === undefined) return { id: newImageId(this.#hostId()), ...wanted };
    const isSame = same.name === name && hasDigest(same) && same.format === format;
    if (!isSame) throw imageExists(wanted, same);
    return { ...wanted, id: same.id, pool: same.pool };
  }
}

const isForeign = (format: ImageFormat | ForeignFormat): format is ForeignFormat =>
  foreignFormats.some((foreign) => foreign === format);

/** For the intent: the format of the source, if the image gets another one. */
const convertedFrom = ({ format }: Pick<NewImageRequest, "format">): Pick<ImportIntent, "from"> =>
  format !== undefined && isForeign(format) ? { from: format } : {};

/** What an import holds until it has ended: the name and the digest. */
function expected(store: ImageStore, intent: Extract<Intent, { kind: "IMPORT_IMAGE" }>): Taken {
  store.expect(intent.image, intent);
  return {
    begun: () => Promise.resolve(),
    ended: (how) => {
      if (how !== "unknown") store.expectNoMore(intent.image.id, intent);
    },
  };
}

/** What an operation holds; an import also holds the name and the digest of its image. */
export const withImage = (store: ImageStore, intent: Intent, taken: Taken): Taken =>
  intent.kind === "IMPORT_IMAGE" ? together(taken, expected(store, intent)) : taken;

/** Releases what an import held that ended without its work. An image that is published, or imported again, keeps its room. */
export function importEnded(
  { store, room }: Pick<ImageParts, "store" | "room">,
  intent: Extract<Intent, { kind: "IMPORT_IMAGE" }>,
): void {
  const { image } = intent;
  expected(store, intent).ended("not made");
  const isPending = store.pending().some(({ id }) => id === image.id);
  if (store.find(image.id) === undefined && !isPending) room.removed(image);
}

const notYours = ({ name }: Image): SocleError =>
  new SocleError("denied", "IMAGE_DENIED", `image ${name} is public, and only the provider deletes it`);
