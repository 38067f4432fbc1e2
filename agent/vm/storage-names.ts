import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../kernel/clock.ts";
import { Slice } from "../kernel/slice.ts";
import * as libvirt from "../libvirt/index.ts";
import { parsePool } from "../libvirt/xml/index.ts";
import type { LibvirtCalls } from "./certainty.ts";

/** Further names of the storage at a path or `pool/volume`; two that share one are the same bytes. */
export type SameStorage = (at: string) => readonly string[];

export const noOtherNames: SameStorage = () => [];

/** As much of what stat says as is used here. */
export type LookAt = (path: string) => Promise<{
  isFile(): boolean;
  isBlockDevice(): boolean;
  readonly dev: number;
  readonly ino: number;
  readonly rdev: number;
}>;

/** A file may be replaced: the names of its path are looked up again after this time. */
const KEPT_MS = 60_000;
const MAX_KEPT = 20_000;
/** A look that takes longer hangs (a dead NFS server), and holds one of the few threads for files. */
const LOOK_WITHIN_MS = 2000;
const OBSERVING = { lane: "observation", timeoutMs: 5000 } as const;

interface Kept<T> {
  readonly value: T;
  readonly atMs: number;
}

/**
 * Names storage by what the kernel calls it: a file by device and inode, a block device by its number, and a file that
 * may not be there yet by its directory. So two pools over one directory, a bind mount and a link are seen as the same.
 * Not seen: storage on the network by two paths of its own protocol, and what the agent may not look at.
 */
export class StorageNames {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #look: LookAt;
  readonly #names = new Map<string, Kept<readonly string[]>>();
  readonly #pools = new Map<string, Kept<string | undefined>>();
  /** One look at a time, so that a server that hangs holds one thread only. */
  #turn: Promise<unknown> = Promise.resolve();
  #isHanging = false;

  constructor(calls: LibvirtCalls, clock: Pick<Clock, "monotonicMs">, look: LookAt = stat) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#look = look;
  }

  /** Never throws: storage that cannot be looked at has no further names. */
  async of(ats: Iterable<string>): Promise<SameStorage> {
    if (this.#names.size > MAX_KEPT) this.#names.clear();
    const found = new Map<string, readonly string[]>();
    const slice = new Slice();
    for (const at of new Set(ats)) {
      const kept = this.#fresh(this.#names, at);
      found.set(at, kept === undefined ? await this.#namesOf(at) : kept.value);
      if (slice.over) await slice.rest();
    }
    return (at) => found.get(at) ?? [];
  }

  async #namesOf(at: string): Promise<readonly string[]> {
    return await this.#kept(this.#names, at, () =>
      at.startsWith("/") ? this.#ofPath(at) : this.#ofVolume(at),
    );
  }

  async #ofVolume(key: string): Promise<readonly string[]> {
    const slash = key.indexOf("/");
    const pool = key.slice(0, slash);
    const directory = await this.#kept(this.#pools, pool, () => this.#directoryOf(pool));
    return directory === undefined ? [] : await this.#ofPath(join(directory, key.slice(slash + 1)));
  }

  async #ofPath(path: string): Promise<readonly string[]> {
    const file = await this.#seen(path);
    const directory = await this.#seen(dirname(path));
    return [
      ...(file?.isFile() === true ? [`file ${file.dev}:${file.ino}`] : []),
      ...(file?.isBlockDevice() === true ? [`device ${file.rdev}`] : []),
      ...(directory === undefined ? [] : [`entry ${directory.dev}:${directory.ino}/${basename(path)}`]),
    ];
  }

  async #directoryOf(name: string): Promise<string | undefined> {
    try {
      const { pool } = await this.#libvirt.call(libvirt.storagePoolLookupByName, { name }, OBSERVING);
      const { xml } = await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 }, OBSERVING);
      return parsePool(xml).path;
    } catch {
      return undefined; // A pool that is gone, or on the network: its volumes are known by name alone.
    }
  }

  async #seen(path: string): Promise<Awaited<ReturnType<LookAt>> | undefined> {
    const before = this.#turn;
    const look = before.then(async () => {
      if (this.#isHanging) return undefined;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<"late">((resolve) => {
        timer = setTimeout(() => resolve("late"), LOOK_WITHIN_MS);
      });
      const looking = this.#look(path).catch(() => undefined);
      const found = await Promise.race([looking, late]);
      clearTimeout(timer);
      if (found !== "late") return found;
      this.#isHanging = true;
      void looking.then(() => (this.#isHanging = false));
      return undefined;
    });
    this.#turn = look;
    return await look;
  }

  #fresh<T>(cache: Map<string, Kept<T>>, key: string): Kept<T> | undefined {
    const kept = cache.get(key);
    return kept !== undefined && this.#clock.monotonicMs() - kept.atMs < KEPT_MS ? kept : undefined;
  }

  async #kept<T>(cache: Map<string, Kept<T>>, key: string, find: () => Promise<T>): Promise<T> {
    const nowMs = this.#clock.monotonicMs();
    const kept = this.#fresh(cache, key);
    if (kept !== undefined) return kept.value;
    const value = await find();
    // What a server that hangs kept from being seen is looked at again the next time.
    if (!this.#isHanging) cache.set(key, { value, atMs: nowMs });
    return value;
  }
}
