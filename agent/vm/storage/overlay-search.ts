import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { parsePool, parseVolume } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import { isGone, type PoolRefresh } from "./pool-refresh.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { StorageNames } from "./storage-names.ts";
import { formatOf, tenantOfVolume } from "../../contract/spec-volume-name.ts";
import { asNamed } from "../../contract/spec-named-volume.ts";
import { directories } from "./volume-lookup.ts";
import { volumeUnreadable } from "./volume-refusals.ts";

/** Paths of volumes, and the overlays that libvirt finds of them: an image may be one that no spec names. */
export interface Dependents {
  readonly paths: readonly string[];
  readonly overlays: readonly VolumeRef[];
  /** The backing images of the volumes, from their headers; volumes without one are left out. */
  readonly backings: readonly Backing[];
  /** Pools whose overlays may be missing: libvirt or their storage did not answer, or a file could not be read. */
  readonly unsearched?: readonly string[];
}

/** A wait for a pool that is busy, as while libvirt makes a volume in it. */
export interface BusyWait {
  readonly forMs: number;
  readonly signal?: AbortSignal;
}

export interface Backing extends VolumeRef {
  readonly backing: string;
}

/** A file of a pool. */
interface Found extends VolumeRef {
  readonly path: string;
  /** The path of its backing image. */
  readonly backing: string | undefined;
}

/** The files of a pool that libvirt can read. */
interface Files {
  readonly found: readonly Found[];
  readonly unreadable: readonly Unreadable[];
}

interface Unreadable extends VolumeRef {
  readonly cause: SocleError;
}

interface Listing extends Files {
  /** False: the pool was too busy to refresh, so the listing is as old as its last refresh. */
  readonly isFresh: boolean;
}

const observing = { lane: "observation" } as const;
const OTHERS = { lane: "observation", timeoutMs: 5000 } as const;
type Options = typeof observing | typeof OTHERS;
/** A refresh reads the header of each file. */
const REFRESH = { lane: "observation", timeoutMs: 15_000 } as const;
/** A pool that did not answer is skipped for this time: each call that hangs holds one of libvirt's workers. */
const SILENT_MS = 60_000;
const NO_FILES: Files = { found: [], unreadable: [] };
const SHORTLY: BusyWait = { forMs: 2000 };
const BUSY_EVERY_MS = 250;
/** Local storage. The refresh of a network pool may hang, and libvirt unmounts a pool whose refresh fails. */
const local: ReadonlySet<string> = new Set(["dir", "fs"]);
/** Stands for all pools whose names are not known. */
const ALL_OTHERS = "others";

/**
 * Finds the overlays of volumes in all active file pools, from the headers of the overlays. Not found: overlays outside
 * of active pools, and those that another host made on shared storage since the pool's last refresh. A pool that a
 * failed refresh stopped is listed as not searched.
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

  /** `activePool` throws if the pool does not exist or is not active. */
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
   * Throws libvirt's error for the pools of the volumes, and `unavailable` VOLUME_UNREADABLE. Other pools that do not
   * answer are skipped, and listed as not searched. `wait`: as long as a pool of the volumes is busy. Throws the reason of
   * its signal.
   */
  async of(references: readonly VolumeRef[], wait: BusyWait = SHORTLY): Promise<Dependents> {
    const found: Found[] = [];
    const unsearched: string[] = [];
    const ownPools = new Set(references.map(({ pool }) => pool));
    const isOwn = (file: VolumeRef): boolean =>
      references.some(({ pool, volume }) => pool === file.pool && volume === file.volume);
    for (const name of ownPools) {
      const list = () => this.#listOwn(name, wait);
      // One that a signal ends is the caller's alone.
      const listing = await (wait.signal === undefined
        ? this.#listed(`own ${name} ${wait.forMs}`, list)
        : list());
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

  /** Undefined: it does not answer, or recently did not. */
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

  async #listOwn(name: string, { forMs, signal }: BusyWait): Promise<Listing> {
    const deadlineMs = this.#clock.monotonicMs() + forMs;
    for (;;) {
      const pool = await this.#activePool(name);
      const { path } = await this.#described(pool, observing);
      // A refresh deactivates a pool whose directory libvirt cannot read.
      const isThere = path === undefined || (await this.#names.lookAt(path)) === "seen";
      const isFresh = isThere && (await this.#refresh(pool));
      if (isFresh || !isThere || this.#clock.monotonicMs() >= deadlineMs)
        return { ...(await this.#files(pool, observing)), isFresh };
      await this.#clock.sleep(BUSY_EVERY_MS, signal);
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
      // VMs may still use the files of a pool that the agent's own refresh stopped.
      const isStoppedByOthers = !this.#pools.stopped.has(pool.name);
      if (isStoppedByOthers && isGone(toSocleError(thrown))) return { ...NO_FILES, isFresh: true };
      throw thrown;
    }
  }

  async #described(pool: libvirt.StoragePool, options: Options): Promise<ReturnType<typeof parsePool>> {
    return parsePool(
      (await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 }, options)).xml,
    );
  }

  /** False: the refresh failed, as during the creation of a volume in the pool. */
  async #refresh(pool: libvirt.StoragePool): Promise<boolean> {
    try {
      await this.#pools.refresh(pool, REFRESH);
      return true;
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (error.kind === "internal") return false;
      if (error.kind !== "outcome_unknown") throw error;
      const message = `libvirt did not answer the refresh of storage pool ${pool.name}: ${error.message}`;
      throw new SocleError("timeout", "LIBVIRT_TIMEOUT", message, { cause: error });
    }
  }

  /** libvirt describes volumes one by one: in the observation lane, in sequence. */
  async #files(pool: libvirt.StoragePool, options: Options): Promise<Files> {
    const all = { pool, needResults: true, flags: 0 };
    const { vols } = await this.#libvirt.call(libvirt.storagePoolListAllVolumes, all, options);
    const found: Found[] = [];
    const unreadable: Unreadable[] = [];
    for (const vol of vols) {
      const reference = { pool: pool.name, volume: vol.name };
      try {
        const image = await this.#image(vol, options);
        if (image.path !== undefined)
          found.push({ ...reference, path: image.path, backing: asNamed(image).backing });
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

  /** The files of `found` that are overlays of the images at `paths`, by any path in their headers. */
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

/** The listing lacks no overlay of the pool. */
const isWhole = ({ isFresh, unreadable }: Listing): boolean => isFresh && !unreadable.some(mayBeOverlay);

/** Only a qcow2 image has a base, and the format follows from the name. A tenant's own volume is made without one. */
const mayBeOverlay = ({ volume }: VolumeRef): boolean =>
  formatOf(volume) === "qcow2" && tenantOfVolume(volume) === undefined;

/** Runs work one at a time. Waiting callers share one run, which begins after each of their requests. */
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
