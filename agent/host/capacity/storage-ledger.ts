import type { Reading } from "../../hardware/reading.ts";
import { formatBytes, formatExactBytes } from "../../kernel/text/bytes.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { imageOfVolume, tenantOfVolume } from "../../contract/spec-volume-name.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { NewVolume } from "../../state/reservations/footprint.ts";
import type { SeenVolumes, StoragePool } from "../host.ts";

/** A pool's volumes; `bytes`: their maximum sizes. */
export interface VolumeCapacities extends Partial<Omit<SeenVolumes, "bytes">> {
  readonly bytes: SeenVolumes["bytes"];
  /** Why volumes are missing: libvirt lists but cannot open them. No guest can open them either, so they count as 0. */
  readonly missing?: string;
}

/** A reading of all pools. */
export interface StorageLook {
  /** All pools that libvirt lists; undefined: the pool is unknown. */
  readonly pools: ReadonlyMap<string, StoragePool | undefined>;
  /** By pool, for active pools. */
  readonly volumes: ReadonlyMap<string, Reading<VolumeCapacities>>;
  /** On the monotonic clock. */
  readonly startedAtMs: number;
}

interface Promised extends NewVolume {
  readonly holder: string;
  /** The volume was, or may have been, created or enlarged: a reading that began later includes it. */
  endedAtMs?: number;
}

/** A part of a tenant's use that is no VM's. */
interface StorageUse {
  readonly tenant: string;
  readonly diskBytes: number;
  readonly vms: 0;
  readonly vcpus: 0;
  readonly memoryBytes: 0;
}
const noVms = { vms: 0, vcpus: 0, memoryBytes: 0 } as const;

/**
 * Storage promised by the pools: existing volumes, and volumes being created or enlarged. Matching by name counts each volume
 * once at every moment. A pool whose volumes cannot be read keeps its last reading.
 */
export class StorageLedger {
  /** By holder and volume: several changes may concern one volume. */
  readonly #promised = new Map<string, Promised>();
  readonly #volumes = new Map<string, Map<string, number>>();
  /** Deleted volumes and their (monotonic) time: a reading that began before may still list them. */
  readonly #deleted = new Map<string, VolumeRef & { readonly atMs: number }>();
  /** Volumes that never grow: their bytes count, not the capacity that libvirt reads in their headers, which any user wrote. */
  readonly #fixed = new Map<string, number>();
  /** By image. */
  readonly #images = new Map<string, { readonly tenant: string; readonly volumes: readonly NewVolume[] }>();
  #pools: StorageLook["pools"] | undefined;
  #unread = new Map<string, string>();
  /** The rest of the reading that #volumes has. */
  readonly #details = new Map<string, Partial<SeenVolumes>>();

  see({ pools, volumes, startedAtMs }: StorageLook): void {
    this.#pools = pools;
    this.#unread = new Map();
    for (const name of this.#volumes.keys()) {
      if (pools.has(name)) continue;
      this.#volumes.delete(name);
      this.#details.delete(name);
    }
    for (const [name, found] of volumes) {
      if (found.kind !== "read") {
        this.#unread.set(name, found.reason);
        continue;
      }
      this.#volumes.set(name, new Map(found.value.bytes));
      this.#details.set(name, found.value);
    }
    for (const [key, { pool, endedAtMs = Infinity }] of this.#promised)
      if (endedAtMs < startedAtMs && (!pools.has(pool) || volumes.get(pool)?.kind === "read"))
        this.#promised.delete(key);
    for (const [key, { pool, volume, atMs }] of this.#deleted)
      if (atMs < startedAtMs) this.#deleted.delete(key);
      else this.#volumes.get(pool)?.delete(volume);
  }

  /**
   * Claims all volumes or none. Throws `exhausted` NO_CAPACITY naming the pool, `unavailable` CAPACITY_UNKNOWN while a
   * pool's promised storage is unknown. A missing or inactive pool fails later, at the creation.
   */
  claim(holder: string, volumes: readonly NewVolume[]): void {
    this.requireRoom(volumes);
    this.reclaim(holder, volumes);
  }

  /** Claims earlier promised volumes again, even without room. */
  reclaim(holder: string, volumes: readonly NewVolume[]): void {
    for (const volume of volumes) {
      this.#promised.set(`${holder} ${keyOf(volume)}`, { ...volume, holder });
      this.#deleted.delete(keyOf(volume));
    }
  }

  /** The volumes will not be created. */
  release(holder: string): void {
    for (const [key, promised] of this.#promised) if (promised.holder === holder) this.#promised.delete(key);
  }

  /** The volumes were, or may have been, created: the next reading counts them. `existing`: those that are known to be. */
  made(holder: string, nowMs: number, existing: readonly NewVolume[] = []): void {
    for (const promised of this.#promised.values())
      if (promised.holder === holder) promised.endedAtMs ??= nowMs;
    for (const { pool, volume, capacityBytes } of existing) {
      const known = this.#volumes.get(pool);
      // A new map: readers keep what they derived from a reading.
      if (known !== undefined) this.#volumes.set(pool, new Map(known).set(volume, capacityBytes));
    }
  }

  /** Claims a volume of an image that is being made, beside its others. It never grows. Throws as `claim`. */
  claimImage(id: string, tenant: string, volume: NewVolume): void {
    this.claim(id, [volume]);
    this.#fixed.set(keyOf(volume), volume.capacityBytes);
    this.#images.set(id, { tenant, volumes: [...(this.#images.get(id)?.volumes ?? []), volume] });
  }

  /** Counts an image that exists: it has this volume alone, which never grows. */
  keepImage(id: string, tenant: string, volume: NewVolume): void {
    this.release(id);
    // Until a reading lists it.
    this.reclaim(id, [volume]);
    this.#fixed.set(keyOf(volume), volume.capacityBytes);
    this.#images.set(id, { tenant, volumes: [volume] });
  }

  /** The image's volumes are promised no more; existing ones count until they are deleted. */
  releaseImage(id: string): void {
    this.release(id);
    this.#images.delete(id);
  }

  /** The images as users of their tenants' quotas. */
  images(): StorageUse[] {
    return [...this.#images.values()].map(({ tenant, volumes }) => ({
      tenant,
      diskBytes: sum(volumes.map(({ capacityBytes }) => capacityBytes)),
      ...noVms,
    }));
  }

  /** The volumes of tenants as users of their quotas. */
  tenantVolumes(): StorageUse[] {
    return [...this.#ofTenants().values()].map((volume) => ({ ...volume, ...noVms }));
  }

  /**
   * What these volumes would add to the use of each of their tenants, in bytes; other volumes add nothing. Throws `exhausted`
   * TOO_MANY_VOLUMES.
   */
  ownedGrowth(volumes: readonly NewVolume[]): ReadonlyMap<string, number> {
    const growth = new Map<string, number>();
    const known = volumes.some(({ volume }) => tenantOfVolume(volume) !== undefined)
      ? this.#ofTenants()
      : new Map<string, { readonly tenant: string; readonly diskBytes: number }>();
    for (const { capacityBytes, ...volume } of volumes) {
      const tenant = tenantOfVolume(volume.volume);
      if (tenant === undefined) continue;
      const before = known.get(keyOf(volume));
      const has = [...known.values()].filter((other) => other.tenant === tenant).length;
      if (before === undefined && has >= MOST_VOLUMES) throw tooManyVolumes(tenant);
      const bytes = Math.max(0, capacityBytes - (before?.diskBytes ?? 0));
      growth.set(tenant, (growth.get(tenant) ?? 0) + bytes);
    }
    return growth;
  }

  /** The volumes of tenants that exist or are promised, by key. */
  #ofTenants(): Map<string, { readonly tenant: string; readonly diskBytes: number }> {
    const found = new Map<string, { tenant: string; diskBytes: number }>();
    for (const [pool, bytes] of this.#volumes)
      for (const [volume, tenant] of ownersIn(bytes)) {
        const diskBytes = bytes.get(volume);
        if (diskBytes !== undefined) found.set(keyOf({ pool, volume }), { tenant, diskBytes });
      }
    for (const promised of this.#promised.values()) {
      const tenant = tenantOfVolume(promised.volume);
      if (tenant === undefined) continue;
      const key = keyOf(promised);
      const diskBytes = Math.max(promised.capacityBytes, found.get(key)?.diskBytes ?? 0);
      found.set(key, { tenant, diskBytes });
    }
    return found;
  }

  /** The volumes were deleted: frees their room before the next reading. */
  deleted(volumes: readonly VolumeRef[], nowMs: number): void {
    for (const { pool, volume } of volumes) {
      const key = keyOf({ pool, volume });
      // A change that waits may create it again: its promise stays.
      for (const [at, promised] of this.#promised)
        if (promised.endedAtMs !== undefined && keyOf(promised) === key) this.#promised.delete(at);
      this.#fixed.delete(key);
      this.#volumes.get(pool)?.delete(volume);
      this.#deleted.set(key, { pool, volume, atMs: nowMs });
    }
  }

  /** Throws as `claim` does. */
  requireRoom(volumes: readonly NewVolume[]): void {
    for (const pool of new Set(volumes.map((volume) => volume.pool))) this.#check(pool, volumes);
  }

  /** The volumes of a pool's last complete reading, without those deleted since. Undefined before it. */
  volumesOf(pool: string): SeenVolumes | undefined {
    const bytes = this.#volumes.get(pool);
    if (bytes === undefined) return undefined;
    const none = new Map();
    return { allocatedBytes: none, unreadable: none, suspicious: none, ...this.#details.get(pool), bytes };
  }

  /** The size that new volumes of a pool may have in total; negative if overcommitted, undefined while unknown. */
  availableBytes(name: string): number | undefined {
    const pool = this.#pools?.get(name);
    if (pool?.active !== true || pool.capacityBytes === undefined) return undefined;
    const names = this.#sameStorage(pool);
    return this.#firstUnread(names) === undefined
      ? Math.floor(pool.capacityBytes * (pool.thinRatio ?? 1)) - this.#promisedBy(names)
      : undefined;
  }

  #check(name: string, volumes: readonly NewVolume[]): void {
    const pool = this.#pools?.get(name);
    if (pool === undefined && this.#pools?.has(name) === false) return;
    if (pool?.active === false) return;
    if (pool?.capacityBytes === undefined) throw unknown(name, "the pool has not been read yet");
    const { capacityBytes, thinRatio = 1 } = pool;
    const names = this.#sameStorage(pool);
    const unread = this.#firstUnread(names);
    if (unread !== undefined) throw unknown(unread, this.#unread.get(unread) ?? "not read yet");
    const promised = this.#promisedBy(names);
    const wanted = sum(volumes.filter(({ pool }) => names.has(pool)).map((volume) => this.#growthOf(volume)));
    const free = Math.floor(capacityBytes * thinRatio) - promised;
    if (wanted <= free) return;
    const message =
      `not enough storage in pool ${name}: ${formatExactBytes(wanted)} wanted, ${formatExactBytes(free)} available ` +
      `(${formatBytes(promised)} promised of ${formatBytes(capacityBytes)} x ${thinRatio}: host.storageOvercommitRatio); choose another pool or host, or smaller disks`;
    const metadata = { dimension: "storage", pool: name, wanted: String(wanted), free_storage: String(free) };
    throw new SocleError("exhausted", "NO_CAPACITY", message, { details: { metadata } });
  }

  /**
   * Groups pools that share the same storage. The filesystem of a directory that the agent may not read is uncertain:
   * its size as reported by libvirt decides.
   */
  #sameStorage({ name, sharedId, capacityBytes }: StoragePool): ReadonlySet<string> {
    const names = new Set([name]);
    for (const [other, pool] of this.#pools ?? [])
      if (sharedId !== undefined && pool?.sharedId === sharedId && pool.capacityBytes === capacityBytes)
        names.add(other);
    return names;
  }

  /** What a volume takes beyond what the last reading counts for it. */
  #growthOf(volume: NewVolume): number {
    return Math.max(0, volume.capacityBytes - this.#countedFor(volume));
  }

  /** A part of an image that this host neither makes nor has published counts with what its file takes. */
  #countedFor({ pool, volume }: VolumeRef): number {
    const read = this.#volumes.get(pool)?.get(volume);
    if (read === undefined) return 0;
    const fixed = this.#fixed.get(keyOf({ pool, volume }));
    if (fixed !== undefined || imageOfVolume(volume) === undefined) return fixed ?? read;
    return this.#details.get(pool)?.allocatedBytes?.get(volume) ?? read;
  }

  #promisedBy(pools: ReadonlySet<string>): number {
    const growths = new Map<string, number>();
    for (const promised of this.#promised.values()) {
      if (!pools.has(promised.pool)) continue;
      const key = keyOf(promised);
      growths.set(key, Math.max(growths.get(key) ?? 0, this.#growthOf(promised)));
    }
    let bytes = sum([...growths.values()]);
    for (const pool of pools)
      for (const volume of this.#volumes.get(pool)?.keys() ?? []) bytes += this.#countedFor({ pool, volume });
    return bytes;
  }

  /** An active pool whose volumes were never read. */
  #firstUnread(pools: ReadonlySet<string>): string | undefined {
    return [...pools].find((pool) => !this.#volumes.has(pool) && this.#pools?.get(pool)?.active === true);
  }
}

/** A quota of bytes alone allows millions of small files, which slow down every look at the pool. */
const MOST_VOLUMES = 256;

const owners = new WeakMap<ReadonlyMap<string, number>, readonly (readonly [string, string])[]>();

/** The volumes of tenants in a reading, with their tenants. A reading is searched once. */
function ownersIn(bytes: ReadonlyMap<string, number>): readonly (readonly [string, string])[] {
  const known = owners.get(bytes);
  if (known !== undefined) return known;
  const found = [...bytes.keys()].flatMap((volume) => {
    const tenant = tenantOfVolume(volume);
    return tenant === undefined ? [] : [[volume, tenant] as const];
  });
  owners.set(bytes, found);
  return found;
}

const tooManyVolumes = (tenant: string): SocleError =>
  new SocleError(
    "exhausted",
    "TOO_MANY_VOLUMES",
    `tenant ${tenant} has ${MOST_VOLUMES} volumes on this host, which is the limit: delete one (DeleteVolume)`,
    { details: { metadata: { tenant, limit: String(MOST_VOLUMES) } } },
  );

const keyOf = ({ pool, volume }: VolumeRef): string => `${pool}/${volume}`;

const sum = (sizes: readonly number[]): number => sizes.reduce((bytes, size) => bytes + size, 0);

const unknown = (pool: string, why: string): SocleError =>
  new SocleError(
    "unavailable",
    "CAPACITY_UNKNOWN",
    `the maximum size of volumes in storage pool ${pool} is unknown: ${why}; try again, and see socle inventory`,
    { details: { retryAfterMs: 2000, metadata: { dimension: "storage", pool } } },
  );
