import { formatOf } from "../../contract/spec-volume-name.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";
import type { Clock } from "../../kernel/clock.ts";
import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import { silentLog, type Logger } from "../../kernel/log.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildVolume } from "../../libvirt/xml/index.ts";
import { Certainty, type LibvirtCalls } from "../hypervisor/certainty.ts";
import { OverlaySearch, type BusyWait, type Dependents } from "./overlay-search.ts";
import { PoolRefresh } from "./pool-refresh.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { StorageNames } from "./storage-names.ts";
import { PoolSync, type RunSync } from "./pool-sync.ts";
import { asNamed } from "../../contract/spec-named-volume.ts";
import { RawFiles } from "./raw-files.ts";
import { VolumeGuard, type Beneath, type Header, type Image } from "./volume-guard.ts";
import { VolumeErasure } from "./volume-erasure.ts";
import { NO_VOLUME, VolumeLookup } from "./volume-lookup.ts";
import { readVolume } from "./volume-read.ts";
import { poolBusy, poolFull, volumeExists, volumeSuspicious } from "./volume-refusals.ts";
import { defined } from "../../kernel/defined.ts";

export interface ResolvedVolume {
  readonly path: string;
  /** From its name: qcow2 for NAME.qcow2, else raw. */
  readonly format: string;
  readonly capacityBytes: number;
  /** Its backing images, nearest first, all in its pool. */
  readonly beneath: readonly Beneath[];
}

export interface VolumeToMake {
  readonly pool: string;
  readonly name: string;
  readonly format: "qcow2" | "raw";
  /** Absent: the base volume's. */
  readonly capacityBytes?: number;
  /** The base volume, in the same pool. */
  readonly base?: string;
  /** A larger base volume decides the capacity. */
  readonly orAsBase?: boolean;
  /** The disks of VMs that may be below the base volume. */
  readonly own?: readonly string[];
  /** The libvirt secret with its passphrase: the volume is encrypted with LUKS. */
  readonly secretUuid?: string;
  /** No guest writes to it, so it may be a raw file. */
  readonly isOfHost?: true;
}

interface Found extends Image {
  readonly capacityBytes: number;
  /** Its bytes match its name: its creation was not interrupted. */
  readonly isWhole: boolean;
}

/** A pool must keep this much free, or the first write of a guest would pause it. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024;

/** How long a pool that cannot be refreshed counts as busy. */
const REFRESH_FOR_MS = 5000;
const REFRESH_EVERY_MS = 250;

/** The volumes of libvirt's storage pools. */
export class Volumes {
  /** Recognizes volumes that are the same storage. */
  readonly names: StorageNames;
  readonly erasure: Pick<VolumeErasure, "overwrite" | "overwriteHeader">;
  readonly rawFiles: Pick<RawFiles, "refuse" | "formatIn">;
  readonly #libvirt: LibvirtCalls;
  readonly #certainty: Certainty;
  readonly #guard: Pick<VolumeGuard, "check">;
  readonly #clock: Clock;
  readonly #pools: PoolRefresh;
  readonly #overlays: OverlaySearch;
  readonly #lookup: VolumeLookup;
  readonly #sync: PoolSync;

  constructor(
    calls: LibvirtCalls,
    clock: Clock,
    {
      guard = new VolumeGuard(calls),
      log = silentLog,
      allowRawFiles = false,
      runSync,
    }: {
      readonly guard?: Pick<VolumeGuard, "check">;
      readonly log?: Logger;
      /** Whether guests may write raw files, in which they can forge the header of an image. */
      readonly allowRawFiles?: boolean;
      readonly runSync?: RunSync;
    } = {},
  ) {
    this.names = new StorageNames(calls, clock);
    this.#libvirt = calls;
    this.#guard = guard;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
    this.#pools = new PoolRefresh(calls, log);
    this.#lookup = new VolumeLookup(calls);
    this.erasure = new VolumeErasure(calls, this.#lookup, this.#certainty);
    this.#sync = new PoolSync(this.#lookup, runSync);
    this.rawFiles = new RawFiles(this.#lookup, allowRawFiles);
    this.#overlays = new OverlaySearch(calls, clock, this.names, this.#pools, (name) =>
      this.activePool(name),
    );
  }

  /**
   * Throws `not_found` POOL_NOT_FOUND or VOLUME_NOT_FOUND, `unavailable` POOL_INACTIVE or POOL_BUSY, and what
   * `VolumeGuard` throws for an unsafe image. `own`: the disks of VMs that may be below it.
   */
  async resolve(reference: VolumeRef, own?: readonly string[], header?: Header): Promise<ResolvedVolume> {
    const found = await this.#findSurely(reference);
    // It is active: libvirt has described a volume of it.
    const beneath = await this.#guard.check(await this.#lookup.pool(reference.pool), found, own, header);
    return { ...found, beneath };
  }

  /** Throws `already_exists` VOLUME_EXISTS if any exists, and as `resolve` does for their pools. */
  async requireAbsent(references: readonly VolumeRef[]): Promise<void> {
    // Only a refresh finds volumes that another host made in a network pool. A pool that is too busy for a refresh passes:
    // libvirt creates no volume over a file.
    for (const name of new Set(references.map(({ pool }) => pool)))
      await this.#pools.refresh(await this.#lookup.activePool(name)).catch(unlessBusy);
    for (const reference of references)
      if ((await this.#lookup.reference(reference)) !== undefined) throw volumeExists(reference);
  }

  async #findSurely(reference: VolumeRef): Promise<Found> {
    const found = (await this.#find(reference)) ?? (await this.#findAnew(reference));
    if (found === undefined) {
      throw new SocleError(
        "not_found",
        "VOLUME_NOT_FOUND",
        `there is no volume ${reference.volume} in pool ${reference.pool}`,
      );
    }
    return found;
  }

  /**
   * Creates a volume. `mayBeThere`: an earlier run of the operation may have created it; it is then adopted. An
   * incomplete volume is created anew, and so is an encrypted one, whose passphrase is lost. Otherwise throws
   * `already_exists` VOLUME_EXISTS for any volume of that name, and leaves it alone; call right after `requireAbsent`.
   * Throws `exhausted` POOL_FULL, `denied` RAW_FILE_REFUSED. `made` is called once this operation has created the volume.
   */
  async make(
    volume: VolumeToMake,
    mayBeThere: boolean,
    made: () => void = () => undefined,
  ): Promise<Omit<ResolvedVolume, "beneath">> {
    const reference = { pool: volume.pool, volume: volume.name };
    if (volume.isOfHost !== true) await this.rawFiles.refuse(reference, "make");
    const base =
      volume.base === undefined
        ? undefined
        : await this.resolve({ pool: volume.pool, volume: volume.base }, volume.own);
    const asked = volume.capacityBytes ?? base?.capacityBytes ?? 0;
    const capacityBytes = volume.orAsBase === true ? Math.max(asked, base?.capacityBytes ?? 0) : asked;
    if (base !== undefined && capacityBytes < base.capacityBytes) {
      const message = `volume ${volume.name} must not be smaller than its base volume (${formatExactBytes(base.capacityBytes)})`;
      throw new SocleError("invalid", "VOLUME_TOO_SMALL", message);
    }
    const existing = await this.#find(reference);
    if (existing !== undefined && !mayBeThere) throw volumeExists(reference);
    if (existing !== undefined) made();
    const isKnown = existing?.isWhole === true && volume.secretUuid === undefined;
    if (isKnown && existing.capacityBytes >= capacityBytes) {
      const own = volume.base === undefined ? [] : [volume.base, ...(volume.own ?? [])];
      await this.#guard.check(await this.#lookup.pool(volume.pool), existing, own);
      return existing;
    }
    if (existing !== undefined) await this.remove(reference);
    const pool = await this.#lookup.activePool(volume.pool);
    // libvirt knows the free space from the last refresh, which `requireAbsent` requests. A refusal, since another volume of
    // the pool is being created, is no failure: that creation refreshed the pool recently.
    if (mayBeThere) await this.#pools.refresh(pool).catch(unlessBusy);
    const { available } = await this.#libvirt.call(libvirt.storagePoolGetInfo, { pool });
    if (available < Math.min(LEAST_FREE_BYTES, capacityBytes)) throw poolFull(volume.pool, available);
    const xml = buildVolume(
      defined({
        name: volume.name,
        capacityBytes,
        allocationBytes: 0,
        format: volume.format,
        backing: base === undefined ? undefined : { path: base.path, format: base.format },
        encryptionSecretUuid: volume.secretUuid,
      }),
    );
    let tries = 0;
    const create = async (): Promise<void> => {
      tries += 1;
      await this.#libvirt.call(libvirt.storageVolCreateXml, { pool, xml, flags: 0 });
    };
    try {
      await this.#certainty.ensure(
        create,
        async () => (await this.#lookup.reference(reference)) !== undefined,
      );
    } catch (thrown) {
      // The first attempt had a reply, so no volume of ours can exist.
      if (tries > 1 || !NAME_TAKEN.has(toSocleError(thrown).reason)) throw thrown;
      await this.#lookup.activePool(volume.pool);
      throw volumeExists(reference, thrown);
    }
    made();
    return await this.#findSurely(reference);
  }

  /**
   * Enlarges a volume that no guest has open. Also succeeds if it is as large already. Throws as `resolve` does, and `denied`
   * RAW_FILE_REFUSED.
   */
  async grow(reference: VolumeRef, capacityBytes: number): Promise<void> {
    await this.rawFiles.refuse(reference, "use");
    const isLarge = async (): Promise<boolean> =>
      (await this.#findSurely(reference)).capacityBytes >= capacityBytes;
    await this.#certainty.ensure(async () => {
      const { vol, suspicious, capacityBytes: nowBytes } = await this.#findSurely(reference);
      if (nowBytes >= capacityBytes) return;
      // qemu-img enlarges what it finds in the file.
      if (suspicious !== undefined) throw volumeSuspicious(vol, suspicious);
      await this.#libvirt.call(libvirt.storageVolResize, { vol, capacity: capacityBytes, flags: 0 });
    }, isLarge);
  }

  /** Writes the first bytes of a volume, durably; repeating it has the same effect. Throws as `resolve` and `sync`. */
  async write(reference: VolumeRef, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { vol } = await this.#findSurely(reference);
    const args = { vol, offset: 0, length: bytes.byteLength, flags: 0 };
    await this.#certainty.ensure(async () => {
      const stream = await this.#libvirt.openStream(libvirt.storageVolUpload, args, { signal });
      await stream.write(bytes);
      await stream.finish();
    });
    await this.sync(reference.pool);
  }

  /** Waits until what libvirt wrote into the pool is on its disk. Throws as `PoolSync.sync`. */
  async sync(pool: string): Promise<void> {
    await this.#sync.sync(pool);
  }

  /** The first bytes of a volume. Throws as `resolve`. */
  async read(reference: VolumeRef, length: number): Promise<Buffer> {
    return await readVolume(this.#libvirt, (await this.#findSurely(reference)).vol, length);
  }

  /** The paths of the volumes that exist, and their overlays. Throws as `OverlaySearch.of` does. */
  async dependents(references: readonly VolumeRef[], wait?: BusyWait): Promise<Dependents> {
    return await this.#overlays.of(references, wait);
  }

  /** Throws `not_found` POOL_NOT_FOUND, `unavailable` POOL_INACTIVE. */
  async activePool(name: string): Promise<libvirt.StoragePool> {
    return await this.#lookup.activePool(name);
  }

  /** Undefined if it does not exist. Throws as `resolve` for its pool. */
  async pathOf(reference: VolumeRef): Promise<string | undefined> {
    return (await this.#find(reference))?.path;
  }

  /** False without its pool. Throws `unavailable` POOL_INACTIVE. */
  async isThere(reference: VolumeRef): Promise<boolean> {
    return (await ifPresent("POOL_NOT_FOUND", () => this.#lookup.reference(reference))) !== undefined;
  }

  /** Deletes the volume. Also succeeds if it does not exist; returns whether it existed. */
  async remove(reference: VolumeRef): Promise<boolean> {
    let wasThere = false;
    await this.#certainty.ensure(
      async () => {
        const vol = await this.#lookup.reference(reference);
        if (vol === undefined) return;
        wasThere = true;
        await ifPresent(NO_VOLUME, () => this.#libvirt.call(libvirt.storageVolDelete, { vol, flags: 0 }));
      },
      async () => (await this.#lookup.reference(reference)) === undefined,
    );
    return wasThere;
  }

  async #find(reference: VolumeRef): Promise<Found | undefined> {
    const found = await this.#lookup.describe(reference);
    if (found === undefined) return undefined;
    const { vol, path, type } = found;
    if (path === undefined) {
      throw new SocleError(
        "unsupported",
        "VOLUME_HAS_NO_PATH",
        `volume ${reference.volume} of pool ${reference.pool} has no path`,
      );
    }
    const name = reference.volume;
    const { capacityBytes, suspicious, isAsNamed } = asNamed(found);
    return { vol, name, path, format: formatOf(name), type, capacityBytes, suspicious, isWhole: isAsNamed };
  }

  /**
   * libvirt lists a pool as of its last refresh; a file may have been added since. libvirt lists its own new volumes
   * without a refresh, and rejects refreshes while it creates a volume in the pool.
   */
  async #findAnew(reference: VolumeRef): Promise<Found | undefined> {
    return await this.#refreshed(reference, () => this.#find(reference));
  }

  /** Refreshes the volume's pool: libvirt detects formats only then. Throws `unavailable` POOL_BUSY. */
  async refresh(reference: VolumeRef): Promise<void> {
    await this.#refreshed(reference, () => Promise.resolve());
  }

  async #refreshed<T>(reference: VolumeRef, look: () => Promise<T>): Promise<T> {
    const pool = await this.#lookup.activePool(reference.pool);
    const deadlineMs = this.#clock.monotonicMs() + REFRESH_FOR_MS;
    for (;;) {
      try {
        await this.#pools.refresh(pool);
        return await look();
      } catch (thrown) {
        const error = unlessBusy(thrown);
        if (this.#clock.monotonicMs() >= deadlineMs) throw poolBusy(reference, error);
        await this.#clock.sleep(REFRESH_EVERY_MS);
      }
    }
  }
}

/** libvirt's reasons for a name that another volume has, and for a path with a file that is no volume yet. */
const NAME_TAKEN: ReadonlySet<string> = new Set(["LIBVIRT_STORAGE_VOL_EXIST", "LIBVIRT_OPERATION_INVALID"]);

/** Returns the error unless it may be libvirt's general error, which it also reports for a busy pool. */
function unlessBusy(thrown: unknown): SocleError {
  const error = toSocleError(thrown);
  if (error.kind !== "internal") throw error;
  return error;
}
