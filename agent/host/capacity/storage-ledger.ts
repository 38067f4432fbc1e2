import type { Reading } from "../../hardware/reading.ts";
import { formatBytes, formatExactBytes } from "../../kernel/text/bytes.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { StoragePool } from "../host.ts";

export interface VolumeName {
  readonly pool: string;
  readonly volume: string;
}

/** A volume that is to be made. */
export interface NewVolume extends VolumeName {
  readonly capacityBytes: number;
}

/** What the volumes of a pool may grow to. */
export interface VolumeCapacities {
  readonly bytes: ReadonlyMap<string, number>;
  /** Why it is not all of them: what libvirt lists and cannot open. No guest can, either, so it counts as nothing. */
  readonly missing?: string;
}

/** One look at all pools. */
export interface StorageLook {
  /** Of all that libvirt lists; undefined: nothing is known of it. */
  readonly pools: ReadonlyMap<string, StoragePool | undefined>;
  /** By pool, of those that are active. */
  readonly volumes: ReadonlyMap<string, Reading<VolumeCapacities>>;
  /** On the monotonic clock. */
  readonly startedAtMs: number;
}

interface Promised extends NewVolume {
  readonly holder: string;
  /** It is made, or may be: a look that began later has seen it. */
  endedAtMs?: number;
}

/**
 * What the storage pools have promised: the volumes that were seen in them, and those that are being made. A volume is
 * counted once at every moment, since both are known by their names. A pool whose volumes cannot be read now counts as
 * they were read last.
 */
export class StorageLedger {
  readonly #promised = new Map<string, Promised>();
  readonly #volumes = new Map<string, Map<string, number>>();
  /** Volumes that were deleted, and when, on the monotonic clock: a look that began before may still tell of them. */
  readonly #deleted = new Map<string, VolumeName & { readonly atMs: number }>();
  #pools: StorageLook["pools"] | undefined;
  #unread = new Map<string, string>();

  see({ pools, volumes, startedAtMs }: StorageLook): void {
    this.#pools = pools;
    this.#unread = new Map();
    for (const name of this.#volumes.keys()) if (!pools.has(name)) this.#volumes.delete(name);
    for (const [name, found] of volumes) {
      if (found.kind === "read") this.#volumes.set(name, new Map(found.value.bytes));
      else this.#unread.set(name, found.reason);
    }
    for (const [key, { pool, endedAtMs = Infinity }] of this.#promised)
      if (endedAtMs < startedAtMs && (!pools.has(pool) || volumes.get(pool)?.kind === "read"))
        this.#promised.delete(key);
    for (const [key, { pool, volume, atMs }] of this.#deleted)
      if (atMs < startedAtMs) this.#deleted.delete(key);
      else this.#volumes.get(pool)?.delete(volume);
  }

  /**
   * Checks all and takes all, or nothing. Throws `exhausted` NO_CAPACITY naming the pool, `unavailable` CAPACITY_UNKNOWN
   * while it is not known what a pool has promised. Of a pool that is not there or not active the creation itself tells.
   */
  claim(holder: string, volumes: readonly NewVolume[]): void {
    for (const pool of new Set(volumes.map((volume) => volume.pool))) this.#check(pool, volumes);
    this.reclaim(holder, volumes);
  }

  /** Takes what was promised before, whether there is room or not. */
  reclaim(holder: string, volumes: readonly NewVolume[]): void {
    for (const volume of volumes) {
      this.#promised.set(keyOf(volume), { ...volume, holder });
      this.#deleted.delete(keyOf(volume));
    }
  }

  /** They are not made. */
  release(holder: string): void {
    for (const [key, promised] of this.#promised) if (promised.holder === holder) this.#promised.delete(key);
  }

  /** They are made, or may be: the next look counts what is there. */
  made(holder: string, nowMs: number): void {
    for (const promised of this.#promised.values())
      if (promised.holder === holder) promised.endedAtMs ??= nowMs;
  }

  /** They were deleted: their room is free before the next look. */
  deleted(volumes: readonly VolumeName[], nowMs: number): void {
    for (const { pool, volume } of volumes) {
      const key = keyOf({ pool, volume });
      this.#promised.delete(key);
      this.#volumes.get(pool)?.delete(volume);
      this.#deleted.set(key, { pool, volume, atMs: nowMs });
    }
  }

  #check(name: string, volumes: readonly NewVolume[]): void {
    const pool = this.#pools?.get(name);
    if (pool === undefined && this.#pools?.has(name) === false) return;
    if (pool?.active === false) return;
    if (pool?.capacityBytes === undefined) throw unknown(name, "the pool has not been read yet");
    const { capacityBytes, thinRatio = 1 } = pool;
    const names = this.#sameStorage(pool);
    const promised = this.#promisedBy(names);
    const wanted = sum(volumes.filter((volume) => names.has(volume.pool)));
    const free = Math.floor(capacityBytes * thinRatio) - promised;
    if (wanted <= free) return;
    const message =
      `not enough storage in pool ${name}: ${formatExactBytes(wanted)} wanted, ${formatExactBytes(free)} available ` +
      `(${formatBytes(promised)} are promised of ${formatBytes(capacityBytes)}, sold ${thinRatio} times: host.storageOvercommitRatio); choose another pool or host, or smaller disks`;
    const metadata = { dimension: "storage", pool: name, wanted: String(wanted), free_storage: String(free) };
    throw new SocleError("exhausted", "NO_CAPACITY", message, { details: { metadata } });
  }

  /**
   * The pools that have the same bytes, once and all together. Of a directory that the agent may not look into, it does
   * not know for certain which filesystem it is in: libvirt's word on its size tells.
   */
  #sameStorage({ name, sharedId, capacityBytes }: StoragePool): ReadonlySet<string> {
    const names = new Set([name]);
    for (const [other, pool] of this.#pools ?? [])
      if (sharedId !== undefined && pool?.sharedId === sharedId && pool.capacityBytes === capacityBytes)
        names.add(other);
    return names;
  }

  #promisedBy(pools: ReadonlySet<string>): number {
    let bytes = sum(
      [...this.#promised.values()].filter(
        ({ pool, volume }) => pools.has(pool) && this.#volumes.get(pool)?.has(volume) !== true,
      ),
    );
    for (const pool of pools) {
      const seen = this.#volumes.get(pool);
      if (seen === undefined && this.#pools?.get(pool)?.active === true)
        throw unknown(pool, this.#unread.get(pool) ?? "they have not been read yet");
      for (const each of seen?.values() ?? []) bytes += each;
    }
    return bytes;
  }
}

const keyOf = ({ pool, volume }: VolumeName): string => `${pool}/${volume}`;

const sum = (volumes: readonly NewVolume[]): number =>
  volumes.reduce((bytes, { capacityBytes }) => bytes + capacityBytes, 0);

const unknown = (pool: string, why: string): SocleError =>
  new SocleError(
    "unavailable",
    "CAPACITY_UNKNOWN",
    `what the volumes of storage pool ${pool} may grow to is not known: ${why}; try again, and see socle inventory`,
    { details: { retryAfterMs: 2000, metadata: { dimension: "storage", pool } } },
  );
