import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildVolume, parsePool, parseVolume } from "../../libvirt/xml/index.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { imageOfVolume } from "../../contract/spec-volume-name.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import { directories } from "../storage/volume-lookup.ts";
import { poolFull } from "../storage/volume-refusals.ts";
import type { Volumes } from "../storage/volumes.ts";
import {
  dataVolume,
  MANIFEST_MAX_BYTES,
  manifestOf,
  manifestVolume,
  readManifest,
  sourceVolume,
  type Image,
} from "./image.ts";

/** The parts of an image that a pool has. */
export interface FoundImage {
  readonly id: string;
  readonly pool: string;
  readonly volumes: readonly string[];
}

/** A volume as libvirt reads it. */
export interface VolumeFacts {
  /** As libvirt detected it. */
  readonly format: string | undefined;
  readonly sizeBytes: number;
  readonly capacityBytes: number;
  /** What it takes of its pool. */
  readonly allocatedBytes?: number | undefined;
  readonly hasBacking: boolean;
  /** Not a block device or a network volume. */
  readonly isFile: boolean;
  /** Of the file's last change. */
  readonly changedAt: string | undefined;
}

/** A pool must keep this much free for the guests. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024;
/** Each waits 5 s. */
const MOST_REFRESHES = 120;
const looking = { lane: "observation", timeoutMs: 10_000 } as const;
/** libvirt's confirmation of an upload waits until the pool has taken all bytes. */
const TRANSFER = { timeoutMs: 300_000, stallTimeoutMs: 120_000 } as const;

/** The volumes of images in libvirt's pools. */
export class ImageVolumes {
  readonly #libvirt: LibvirtCalls;
  readonly #volumes: Volumes;

  constructor(calls: LibvirtCalls, volumes: Volumes) {
    this.#libvirt = calls;
    this.#volumes = volumes;
  }

  /** The images with a part in an active pool, by the names of volumes; and the pools that did not answer. */
  async list(): Promise<{ readonly found: readonly FoundImage[]; readonly unread: readonly string[] }> {
    const active = { needResults: true, flags: libvirt.ConnectListAllStoragePoolsFlags.ACTIVE };
    const { pools } = await this.#libvirt.call(libvirt.connectListAllStoragePools, active, looking);
    const found: FoundImage[] = [];
    const unread: string[] = [];
    for (const pool of pools) {
      try {
        const all = { pool, needResults: true, flags: 0 };
        const { vols } = await this.#libvirt.call(libvirt.storagePoolListAllVolumes, all, looking);
        const byId = new Map<string, string[]>();
        for (const { name } of vols) {
          const id = imageOfVolume(name)?.id;
          if (id !== undefined) byId.set(id, [...(byId.get(id) ?? []), name]);
        }
        for (const [id, volumes] of byId) found.push({ id, pool: pool.name, volumes });
      } catch {
        unread.push(pool.name);
      }
    }
    return { found, unread };
  }

  /**
   * The image, if its manifest is whole and its data volume has the recorded size. Throws `conflict` IMAGE_DAMAGED for a
   * manifest with other bytes: whether the image was published is not known.
   */
  async published({ id, pool, volumes }: FoundImage): Promise<Image | undefined> {
    if (!volumes.includes(manifestVolume({ id, pool }).volume)) return undefined;
    const content = await this.#content(manifestVolume({ id, pool }));
    const image = readManifest(content, pool);
    if (image === undefined && content.some((byte) => byte !== 0)) throw damaged(id, pool);
    if (image?.id !== id || !volumes.includes(dataVolume(image).volume)) return undefined;
    const { sizeBytes } = await this.facts(dataVolume(image));
    return sizeBytes === image.sizeBytes ? image : undefined;
  }

  /** The image of these names, if it is published. Without its pool it is not. */
  async publishedAs(image: Pick<Image, "id" | "format" | "pool">): Promise<Image | undefined> {
    const volumes = [manifestVolume(image).volume, dataVolume(image).volume];
    // An interrupted import writes it again.
    const whole = () => ifPresent("IMAGE_DAMAGED", () => this.published({ ...image, volumes }));
    const look = () => ifPresent("VOLUME_NOT_FOUND", whole);
    return await ifPresent("POOL_NOT_FOUND", look);
  }

  /** Throws `unsupported` IMAGE_POOL_UNSUITABLE, `exhausted` POOL_FULL, and as `Volumes.activePool`. */
  async requireRoom(name: string, sizeBytes: number, what = "images"): Promise<void> {
    const pool = await this.#volumes.activePool(name);
    const { xml } = await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 });
    const { type } = parsePool(xml);
    if (!directories.has(type)) {
      const message = `storage pool ${name} is of the type ${type}: ${what} need a pool of files (dir, fs, netfs); name another pool`;
      throw new SocleError("unsupported", "IMAGE_POOL_UNSUITABLE", message);
    }
    const { available } = await this.#libvirt.call(libvirt.storagePoolGetInfo, { pool });
    if (available < sizeBytes + LEAST_FREE_BYTES) throw poolFull(name, available);
  }

  /**
   * Creates a volume of exactly these bytes, which must not exist. `chunks` must yield `sizeBytes`. `lost` is called if
   * libvirt ends the transfer, also while the next chunk is awaited. Throws libvirt's errors, those of `chunks`, and
   * `exhausted` POOL_FULL; the volume may then exist in part.
   */
  async fill(
    reference: VolumeRef,
    sizeBytes: number,
    chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
    { signal, lost }: { readonly signal?: AbortSignal; readonly lost?: (why: Error) => void } = {},
  ): Promise<void> {
    const pool = await this.#volumes.activePool(reference.pool);
    // As raw bytes: libvirt must not make an image of its own in the file.
    const xml = buildVolume({
      name: reference.volume,
      capacityBytes: sizeBytes,
      allocationBytes: 0,
      format: "raw",
    });
    const { vol } = await this.#libvirt.call(libvirt.storageVolCreateXml, { pool, xml, flags: 0 });
    const args = { vol, offset: 0, length: sizeBytes, flags: 0 };
    const settings = signal === undefined ? TRANSFER : { ...TRANSFER, signal };
    const stream = await this.#libvirt.openStream(libvirt.storageVolUpload, args, settings);
    let isOver = false;
    void stream.failed.then((why) => (isOver ? undefined : lost?.(why)));
    try {
      for await (const chunk of chunks) await stream.write(chunk);
      await stream.finish();
    } catch (thrown) {
      isOver = true;
      await stream.abort();
      // libvirt reports a full filesystem as a plain system error.
      if (toSocleError(thrown).kind === "internal") {
        await this.#volumes.refresh(reference);
        await this.requireRoom(reference.pool, 0);
      }
      throw thrown;
    }
  }

  /**
   * Writes the manifest, durably: from then on the image is published. The image's bytes must be durable before, since a
   * manifest is believed.
   */
  async publish(image: Image): Promise<void> {
    const content = manifestOf(image);
    await this.fill(manifestVolume(image), content.length, [content]);
    await this.sync(image.pool);
  }

  /** Throws as `Volumes.sync`. */
  async sync(pool: string): Promise<void> {
    await this.#volumes.sync(pool);
  }

  /** Removes the manifest first: a part of an image is never published. */
  async remove(image: Pick<Image, "id" | "format" | "pool">): Promise<void> {
    for (const volume of [manifestVolume(image), dataVolume(image), sourceVolume(image)])
      await ifPresent("POOL_NOT_FOUND", () => this.#volumes.remove(volume));
  }

  /** Removes the bytes that were converted. */
  async removeSource(image: Pick<Image, "id" | "pool">): Promise<void> {
    await ifPresent("POOL_NOT_FOUND", () => this.#volumes.remove(sourceVolume(image)));
  }

  /** Removes the parts of an image that is not published. */
  async removeLeftover({ pool, volumes }: FoundImage): Promise<void> {
    for (const volume of volumes) await this.#volumes.remove({ pool, volume });
  }

  /** What libvirt reads in the volume's file now. Throws `not_found` VOLUME_NOT_FOUND. */
  async inspect(reference: VolumeRef): Promise<VolumeFacts> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#volumes.refresh(reference);
        break;
      } catch (thrown) {
        // Another volume of the pool is being made, which may take minutes.
        if (toSocleError(thrown).reason !== "POOL_BUSY" || tries >= MOST_REFRESHES) throw thrown;
      }
    }
    return await this.facts(reference);
  }

  async facts(reference: VolumeRef): Promise<VolumeFacts> {
    const vol = await this.#lookup(reference);
    const { xml } = await this.#libvirt.call(libvirt.storageVolGetXmlDesc, { vol, flags: 0 }, looking);
    const { format, physicalBytes, capacityBytes, allocationBytes, backing, type, changedAt } =
      parseVolume(xml);
    const sizeBytes = physicalBytes ?? capacityBytes;
    const [hasBacking, isFile] = [backing !== undefined, type === "file"];
    return {
      format,
      sizeBytes,
      capacityBytes,
      allocatedBytes: allocationBytes,
      hasBacking,
      isFile,
      changedAt,
    };
  }

  /** The bytes of a volume from `offset` on, at the pace of their reader. Throws as `facts`, and libvirt's errors. */
  async *bytes(
    reference: VolumeRef,
    length: number,
    signal: AbortSignal,
    offset: number,
  ): AsyncGenerator<Buffer, void, undefined> {
    const part = { vol: await this.#lookup(reference), offset, length, flags: 0 };
    yield* await this.#libvirt.openStream(libvirt.storageVolDownload, part, { ...TRANSFER, signal });
  }

  async #content(reference: VolumeRef): Promise<Buffer> {
    const part = { vol: await this.#lookup(reference), offset: 0, length: MANIFEST_MAX_BYTES, flags: 0 };
    const pieces: Buffer[] = [];
    for await (const piece of await this.#libvirt.openStream(libvirt.storageVolDownload, part))
      pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async #lookup({ pool: name, volume }: VolumeRef): Promise<libvirt.StorageVol> {
    const pool = await this.#volumes.activePool(name);
    const lookup = () => this.#libvirt.call(libvirt.storageVolLookupByName, { pool, name: volume }, looking);
    const found = await ifPresent("LIBVIRT_NO_STORAGE_VOL", lookup);
    if (found !== undefined) return found.vol;
    throw new SocleError("not_found", "VOLUME_NOT_FOUND", `there is no volume ${volume} in pool ${name}`);
  }
}

const damaged = (id: string, pool: string): SocleError =>
  new SocleError(
    "conflict",
    "IMAGE_DAMAGED",
    `the manifest of image ${id} in pool ${pool} is damaged: restore it, or delete the image's volumes (virsh vol-delete)`,
  );

/** libvirt or the pool did not answer: nothing is known about the volumes. */
export const isAway = (thrown: unknown): boolean => {
  const { kind, reason } = toSocleError(thrown);
  return (
    (reason.startsWith("LIBVIRT_") && ["timeout", "unavailable", "outcome_unknown"].includes(kind)) ||
    ["POOL_INACTIVE", "POOL_BUSY"].includes(reason)
  );
};
