import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Permit } from "../../state/operations/permit.ts";
import type { NewVolume } from "../../state/reservations/footprint.ts";
import { imageExists, isMadeBy, type Image } from "./image.ts";
import type { FoundImage, ImageVolumes } from "./image-volumes.ts";

/** An image that is being imported: what it will be if the import succeeds. */
export type PendingImage = Pick<Image, "id" | "name" | "tenant" | "sha256" | "format" | "pool">;

/** The host's storage for images, within its tenants' quotas. */
export interface ImageRoom {
  /**
   * Claims a volume of the image, beside those claimed before. Throws `exhausted` NO_CAPACITY or TENANT_QUOTA_EXCEEDED,
   * `unavailable` CAPACITY_UNKNOWN.
   */
  claim(image: PendingImage, volume: NewVolume): Promise<void>;
  /** The image is published. */
  keep(image: Image): void;
  /** Its volumes were removed, or were not made. */
  removed(image: Pick<Image, "id" | "format" | "pool">): void;
}

interface StoreOptions {
  readonly volumes: Pick<ImageVolumes, "list" | "published" | "removeLeftover">;
  readonly hostId: () => string;
  readonly permit: Pick<Permit, "refusal">;
  /** Resolves once libvirt has listed the VMs. */
  readonly untilListed: (signal: AbortSignal) => Promise<void>;
  /** Whether a VM or an overlay uses a part of the image; throws if that is not known. */
  readonly isUsed: (found: FoundImage) => Promise<boolean>;
  readonly room: Pick<ImageRoom, "keep" | "removed">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Another agent may add images to a shared pool, and people remove volumes. */
const AGAIN_MS = 60_000;
const SOON_MS = 5000;

/**
 * The images of this host. The pools are the truth: the store reads the manifests at start, and compares the volumes each
 * minute. Of a pool that does not answer it keeps what it saw last.
 */
export class ImageStore implements Service {
  readonly name = "images";
  readonly #options: StoreOptions;
  readonly #published = new Map<string, Image>();
  /** By image, the imports of it, each by its intent. */
  readonly #pending = new Map<string, { readonly image: PendingImage; readonly imports: Set<object> }>();
  /** Withdrawn since the present reading began, which may still have them. */
  readonly #withdrawn = new Set<string>();
  readonly #usedAtMs = new Map<string, number>();
  readonly #ending = new AbortController();
  #isRead = false;
  #unread: readonly string[] = [];

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { clock, untilListed, log } = this.#options;
    const end = (): void =>
      this.#ending.abort(new SocleError("unavailable", "AGENT_STOPPING", "the agent stops"));
    signal.addEventListener("abort", end, { once: true });
    ready();
    for (;;) {
      let nextMs = AGAIN_MS;
      try {
        await untilListed(signal);
        await this.refresh();
        if (this.#unread.length > 0) nextMs = SOON_MS;
      } catch (thrown) {
        log.debug({ err: thrown }, "the images could not be read; the next attempt follows");
        nextMs = SOON_MS;
      }
      try {
        await clock.sleep(nextMs, signal);
      } catch {
        return;
      }
    }
  }

  /** Reads the pools, and removes what interrupted imports left there. */
  async refresh(): Promise<void> {
    const gone = new Set(this.#published.keys());
    this.#withdrawn.clear();
    const { found, unread } = await this.#options.volumes.list();
    const unreadPools = new Set(unread);
    const leftovers: FoundImage[] = [];
    for (const part of found) {
      // Its import publishes it.
      if (this.#pending.has(part.id)) continue;
      const image = await this.#look(part);
      if (image === "unread") unreadPools.add(part.pool);
      else if (image === undefined) leftovers.push(part);
      else {
        gone.delete(part.id);
        if (!this.#published.has(part.id) && !this.#withdrawn.has(part.id)) this.publish(image);
      }
    }
    for (const id of gone) {
      const pool = this.#published.get(id)?.pool;
      if (pool !== undefined && !unreadPools.has(pool)) this.withdraw(id);
    }
    this.#unread = [...unreadPools];
    this.#isRead = true;
    for (const part of leftovers) await this.#removeLeftover(part);
  }

  /** A published image does not change, so that its manifest is read once; a person may have removed a volume. */
  async #look(part: FoundImage): Promise<Image | "unread" | undefined> {
    const known = this.#published.get(part.id);
    if (known?.pool === part.pool && part.volumes.length > 1) return known;
    try {
      return await this.#options.volumes.published(part);
    } catch (thrown) {
      return toSocleError(thrown).reason === "VOLUME_NOT_FOUND" ? undefined : "unread";
    }
  }

  async #removeLeftover(part: FoundImage): Promise<void> {
    const { volumes, hostId, permit, isUsed, log } = this.#options;
    const mayRemove = (): boolean =>
      permit.refusal === undefined && !this.#pending.has(part.id) && !this.#published.has(part.id);
    // Another host may be importing into a shared pool.
    if (!isMadeBy(part.id, hostId()) || !mayRemove()) return;
    try {
      if ((await isUsed(part)) || !mayRemove()) return;
      await volumes.removeLeftover(part);
      log.warn({ image: part.id, pool: part.pool }, "removed the parts of an image that was not published");
    } catch (thrown) {
      log.debug({ image: part.id, err: thrown }, "parts of an unpublished image could not be removed now");
    }
  }

  /** Aborts when the agent stops: a transfer must not delay that. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Pools whose images are as last seen. */
  get unreadPools(): readonly string[] {
    return this.#unread;
  }

  /** Throws `unavailable` IMAGES_UNKNOWN before the pools were read. */
  all(): readonly Image[] {
    this.#requireRead();
    return [...this.#published.values()];
  }

  /** For reports: undefined before the pools were read. */
  seen(): readonly Image[] | undefined {
    return this.#isRead ? [...this.#published.values()] : undefined;
  }

  /** Undefined also if it has not been read yet. */
  find(id: string): Image | undefined {
    return this.#published.get(id);
  }

  /**
   * By id, or by name: the tenant's own image first, else a public one. `tenant` is "" for the provider, which reaches each
   * image by its id. Throws `not_found` IMAGE_NOT_FOUND, `unavailable` IMAGES_UNKNOWN before the pools were read.
   */
  require(idOrName: string, tenant: string): Image {
    const byId = this.#published.get(idOrName);
    if (byId !== undefined && (tenant === "" || isVisibleTo(tenant, byId))) return byId;
    const named = this.all().filter(({ name }) => name === idOrName);
    const found =
      named.find((image) => image.tenant === tenant) ?? named.find((image) => image.tenant === "");
    if (found !== undefined) return found;
    throw imageNotFound(idOrName, this.#unread);
  }

  pending(): readonly PendingImage[] {
    return [...this.#pending.values()].map(({ image }) => image);
  }

  /** Of the newest creation of a VM over it since the agent's start. */
  usedAtMs(id: string): number | undefined {
    return this.#usedAtMs.get(id);
  }

  /** A VM over the image is being created. */
  used(id: string): void {
    this.#usedAtMs.set(id, this.#options.clock.now());
  }

  /** Holds the image's name and digest for an import, which `intent` identifies. */
  expect(image: PendingImage, intent: object): void {
    const { imports } = this.#pending.get(image.id) ?? { imports: new Set<object>() };
    imports.add(intent);
    this.#pending.set(image.id, { image, imports });
  }

  /**
   * The digest of an expected image, once its bytes are read. Throws `already_exists` IMAGE_EXISTS if the tenant has another
   * image of that digest, and `unavailable` IMAGES_UNKNOWN before the pools were read.
   */
  learn(image: PendingImage, intent: object): void {
    const others = [...this.all(), ...this.pending()];
    const same = others.find(
      ({ id, tenant, sha256 }) => id !== image.id && tenant === image.tenant && sha256 === image.sha256,
    );
    if (same !== undefined) throw imageExists(image, same);
    this.expect(image, intent);
  }

  /** The import has ended. */
  expectNoMore(imageId: string, intent: object): void {
    const held = this.#pending.get(imageId);
    held?.imports.delete(intent);
    if (held?.imports.size === 0) this.#pending.delete(imageId);
  }

  publish(image: Image): void {
    this.#published.set(image.id, image);
    this.#options.room.keep(image);
  }

  /** It is not published any more. */
  withdraw(id: string): void {
    const image = this.#published.get(id);
    this.#published.delete(id);
    this.#withdrawn.add(id);
    this.#usedAtMs.delete(id);
    if (image !== undefined) this.#options.room.removed(image);
  }

  #requireRead(): void {
    if (this.#isRead) return;
    const message =
      "the images are unknown: libvirt has not listed the pools since the agent's start; retry in a moment";
    throw new SocleError("unavailable", "IMAGES_UNKNOWN", message, { details: { retryAfterMs: 2000 } });
  }
}

/** A tenant uses its own images and the public ones. */
export const isVisibleTo = (tenant: string, image: Pick<Image, "tenant">): boolean =>
  image.tenant === "" || image.tenant === tenant;

export function imageNotFound(image: string, unreadPools: readonly string[] = []): SocleError {
  const but =
    unreadPools.length === 0
      ? ""
      : `; the storage pools ${unreadPools.join(", ")} could not be read, and may have it`;
  const message = `there is no image ${image.slice(0, 64)} on this host${but} (socle image ls)`;
  return new SocleError("not_found", "IMAGE_NOT_FOUND", message);
}
