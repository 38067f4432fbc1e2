import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { parsePool, parseVolume } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import { isGone, type PoolRefresh } from "./pool-refresh.ts";
import type { VolumeRef } from "../model/spec.ts";
import type { StorageNames } from "./storage-names.ts";
import { directories } from "./volume-guard.ts";
import { volumeUnreadable } from "./volume-refusals.ts";

/** Where volumes are, and what libvirt says is an overlay of them: an image may be one that no spec names. */
export interface Dependents {
  readonly paths: readonly string[];
  readonly overlays: readonly VolumeRef[];
  /** What the volumes are overlays of themselves, by their headers; one that is of none is not in it. */
  readonly backings: readonly Backing[];
  /** Pools whose overlays may be missing above, since libvirt or their storage did not answer, or not for a file. */
  readonly unsearched?: readonly string[];
}

export interface Backing extends VolumeRef {
  readonly backing: string;
}

/** A file of a pool. */
interface Found extends VolumeRef {
  readonly path: string;
  /** The path of the image that it is an overlay of. */
  readonly backing: string | undefined;
}

/** The files of a pool, as far as libvirt can read them. */
interface Files {
  readonly found: readonly Found[];
  readonly unreadable: readonly Unreadable[];
}

interface Unreadable extends VolumeRef {
  readonly cause: SocleError;
}

interface Listing extends Files {
  /** False: the pool was too busy to be refreshed, so the listing is as old as its last refresh. */
  readonly isFresh: boolean;
}

const observing = { lane: "observation" } as const;
const OTHERS = { lane: "observation", timeoutMs: 5000 } as const;
type Options = typeof observing | typeof OTHERS;
/** A refresh reads the header of each file. */
const REFRESH = { lane: "observation", timeoutMs: 15_000 } as const;
/** A pool that did not answer is not asked for this time: each call that hangs takes one of libvirt's workers. */
const SILENT_MS = 60_000;
const NO_FILES: Files = { found: [], unreadable: [] };
const BUSY_FOR_MS = 2000;
const BUSY_EVERY_MS = 250;
/** Local storage. The refresh of a pool on a network may hang, and libvirt unmounts one whose refresh fails. */
const local: ReadonlySet<string> = new Set(["dir", "fs"]);
/** Stands for the pools whose names are not known. */
const ALL_OTHERS = "others";

/**
 * Finds the overlays of volumes in all active pools that hold files, as the overlays' own headers say. Not found: overlays
 * outside of any active pool, and those that another host made on shared storage since the last refresh of its pool. A pool
 * that a refresh by the agent stopped is named as not searched.
 */
export class OverlaySearch {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #names: StorageNames;
  readonly #pools: PoolRefresh;
  readonly #activePool: (name: string) => Promise<libvirt.StoragePool>;
  readonly #listings = new Map<string, SharedRun<Listing>>();
  /** By the pool's name. */
  readonly #silentUntilMs = new Map<string, number>();

  /** `activePool` throws where there is no such pool, or it is not active. */
  constructor(
    calls: LibvirtCalls,
    clock: Clock,
    names: StorageNames,
    pools: PoolRefresh,
    activePool: (name: string) => Promise<libvirt.StoragePool>,
  ) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#names = names;
    this.#pools = pools;
    this.#activePool = activePool;
  }

  /**
   * Throws what libvirt answers for the pools of the volumes, and `unavailable` VOLUME_UNREADABLE. Other pools that do not
   * answer are left out, and named.
   */
  async of(references: readonly VolumeRef[]): Promise<Dependents> {
    const found: Found[] = [];
    const unsearched: string[] = [];
    const ownPools = new Set(references.map(({ pool }) => pool));
    const isOwn = (file: VolumeRef): boolean =>
      references.some(({ pool, volume }) => pool === file.pool && volume === file.volume);
    for (const name of ownPools) {
      const listing = await this.#listed(`own ${name}`, () => this.#listOwn(name));
      const unreadable = listing.unreadable.find(isOwn);
      if (unreadable !== undefined) throw volumeUnreadable(unreadable, unreadable.cause);
      found.push(...listing.found);
      if (!isWhole(listing)) unsearched.push(name);
    }
    const own = found.filter(isOwn);
    if (own.length > 0) {
      const others = await this.#inOthers(ownPools);
      found.push(...others.found);
      unsearched.push(...others.unsearched);
    }
    const overlays = await this.#overlaysOf(
      own.map(({ path }) => path),
      found,
    );
    const backings = own.flatMap(({ pool, volume, backing }) =>
      backing === undefined ? [] : [{ pool, volume, backing }],
    );
    return { paths: own.map(({ path }) => path), overlays, backings, unsearched };
  }

  async #inOthers(
    ownPools: ReadonlySet<string>,
  ): Promise<{ readonly found: readonly Found[]; readonly unsearched: readonly string[] }> {
    const found: Found[] = [];
    const unsearched: string[] = [];
    const pools = await this.#unlessSilent(ALL_OTHERS, () => this.#activePools());
    if (pools === undefined) return { found, unsearched: [ALL_OTHERS] };
    const active = new Set(pools.map(({ name }) => name));
    unsearched.push(...[...this.#pools.stopped].filter((name) => !active.has(name) && !ownPools.has(name)));
    for (const pool of pools.filter(({ name }) => !ownPools.has(name))) {
      const listing = await this.#unlessSilent(`pool ${pool.name}`, () =>
        this.#listed(`other ${pool.name}`, () => this.#listOther(pool)),
      );
      found.push(...(listing?.found ?? []));
      if (listing === undefined || !isWhole(listing)) unsearched.push(pool.name);
    }
    return { found, unsearched };
  }

  async #activePools(): Promise<readonly libvirt.StoragePool[]> {
    const list = { needResults: true, flags: libvirt.ConnectListAllStoragePoolsFlags.ACTIVE };
    return (await this.#libvirt.call(libvirt.connectListAllStoragePools, list, OTHERS)).pools;
  }

  /** Undefined: it does not answer, or did not shortly before. */
  async #unlessSilent<T>(what: string, ask: () => Promise<T>): Promise<T | undefined> {
    if (this.#clock.monotonicMs() < (this.#silentUntilMs.get(what) ?? 0)) return undefined;
    this.#silentUntilMs.delete(what);
    try {
      return await ask();
    } catch (thrown) {
      if (toSocleError(thrown).kind === "unavailable") throw thrown;
      this.#silentUntilMs.set(what, this.#clock.monotonicMs() + SILENT_MS);
      return undefined;
    }
  }

  /** Callers that wait for the same pool share one listing. */
  async #listed(key: string, list: () => Promise<Listing>): Promise<Listing> {
    const run = this.#listings.get(key) ?? new SharedRun<Listing>();
    this.#listings.set(key, run);
    return await run.of(list);
  }

  async #listOwn(name: string): Promise<Listing> {
    const deadlineMs = this.#clock.monotonicMs() + BUSY_FOR_MS;
    for (;;) {
      const pool = await this.#activePool(name);
      const { path } = await this.#described(pool, observing);
      // libvirt deactivates a pool whose directory it cannot read in a refresh.
      const isThere = path === undefined || (await this.#names.lookAt(path)) === "seen";
      const isFresh = isThere && (await this.#refresh(pool));
      if (isFresh || !isThere || this.#clock.monotonicMs() >= deadlineMs)
        return { ...(await this.#files(pool, observing)), isFresh };
      await this.#clock.sleep(BUSY_EVERY_MS);
    }
  }

  async #listOther(pool: libvirt.StoragePool): Promise<Listing> {
    try {
      const { type, path } = await this.#described(pool, OTHERS);
      if (!directories.has(type) || path === undefined) return { ...NO_FILES, isFresh: true };
      const sight = await this.#names.lookAt(path);
      if (sight === "silent")
        throw new SocleError("timeout", "POOL_SILENT", `the storage of pool ${pool.name} hangs`);
      const isFresh = !local.has(type) || (sight === "seen" && (await this.#refresh(pool)));
      return { ...(await this.#files(pool, OTHERS)), isFresh };
    } catch (thrown) {
      // What a pool holds that the agent's own refresh stopped may still be used.
      const isAnothersDoing = !this.#pools.stopped.has(pool.name);
      if (isAnothersDoing && isGone(toSocleError(thrown))) return { ...NO_FILES, isFresh: true };
      throw thrown;
    }
  }

  async #described(pool: libvirt.StoragePool, options: Options): Promise<ReturnType<typeof parsePool>> {
    return parsePool(
      (await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 }, options)).xml,
    );
  }

  /** False: it failed, as it does while a volume of the pool is in the making. */
  async #refresh(pool: libvirt.StoragePool): Promise<boolean> {
    try {
      await this.#pools.refresh(pool, REFRESH);
      return true;
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (error.kind === "internal") return false;
      if (error.kind !== "outcome_unknown") throw error;
      const message = `the refresh of storage pool ${pool.name} was not answered: ${error.message}`;
      throw new SocleError("timeout", "LIBVIRT_TIMEOUT", message, { cause: error });
    }
  }

  /** libvirt describes a volume at a time: in the observation lane, and one after the other. */
  async #files(pool: libvirt.StoragePool, options: Options): Promise<Files> {
    const all = { pool, needResults: true, flags: 0 };
    const { vols } = await this.#libvirt.call(libvirt.storagePoolListAllVolumes, all, options);
    const found: Found[] = [];
    const unreadable: Unreadable[] = [];
    for (const vol of vols) {
      const reference = { pool: pool.name, volume: vol.name };
      try {
        const { path, backing } = await this.#image(vol, options);
        if (path !== undefined) found.push({ ...reference, path, backing: backing?.path });
      } catch (thrown) {
        const cause = toSocleError(thrown);
        if (cause.kind === "internal") unreadable.push({ ...reference, cause });
        else if (cause.reason !== "LIBVIRT_NO_STORAGE_VOL") throw cause;
      }
    }
    return { found, unreadable };
  }

  async #image(vol: libvirt.StorageVol, options: Options): Promise<ReturnType<typeof parseVolume>> {
    return parseVolume(
      (await this.#libvirt.call(libvirt.storageVolGetXmlDesc, { vol, flags: 0 }, options)).xml,
    );
  }

  /** Those of `found` that are overlays of what is at `paths`, whatever path their headers name it by. */
  async #overlaysOf(paths: readonly string[], found: readonly Found[]): Promise<VolumeRef[]> {
    const backings = found.flatMap(({ backing }) => backing ?? []);
    if (paths.length === 0 || backings.length === 0) return [];
    const same = await this.#names.of([...paths, ...backings]);
    const own = new Set(paths.flatMap((path) => [path, ...same(path)]));
    const overlays = found.filter(
      ({ backing }) =>
        backing !== undefined && (own.has(backing) || same(backing).some((name) => own.has(name))),
    );
    // A second pool over the same directory lists the volumes themselves again.
    const sameOverlay = await this.#names.of(overlays.map(({ path }) => path));
    return overlays
      .filter(({ path }) => !own.has(path) && !sameOverlay(path).some((name) => own.has(name)))
      .map(({ pool, volume }) => ({ pool, volume }));
  }
}

/** No file of the pool can be missing in it. */
const isWhole = ({ isFresh, unreadable }: Listing): boolean => isFresh && unreadable.length === 0;

/** Runs work one at a time. Callers that wait get one run together, which begins after each of them asked. */
class SharedRun<T> {
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  of(work: () => Promise<T>): Promise<T> {
    this.#next ??= this.#begin(work);
    return this.#next;
  }

  async #begin(work: () => Promise<T>): Promise<T> {
    await this.#last;
    this.#next = undefined;
    const run = work();
    this.#last = run.catch(() => undefined);
    return await run;
  }
}
