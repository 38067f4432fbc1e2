import { basename, join } from "node:path";
import type { Clock } from "../kernel/clock.ts";
import { toSocleError } from "../kernel/errors.ts";
import { Slice } from "../kernel/slice.ts";
import * as libvirt from "../libvirt/index.ts";
import { parsePool } from "../libvirt/xml/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import { StorageLooks } from "./storage-looks.ts";

/** Further names of the storage at a path or `pool/volume`; two that share one are the same bytes. */
export interface SameStorage {
  (at: string): readonly string[];
  /**
   * One of `own` of which it is not known whether one of `theirs` is the same, because a look at one of both hangs.
   * `theirs` are read only where something hangs.
   */
  readonly doubtOf: (own: Iterable<string>, theirs: Iterable<string>) => string | undefined;
}

export const noOtherNames: SameStorage = Object.assign(() => [], { doubtOf: () => undefined });

interface Identity {
  readonly names: readonly string[];
  /** The filesystems that it is on, as far as they are known. */
  readonly devices: readonly number[];
  readonly isSeen: boolean;
}

/** A file may be replaced: the names of its path are looked up again after this time. */
const KEPT_MS = 60_000;
const MAX_KEPT = 20_000;
const UNKNOWN: Identity = { names: [], devices: [], isSeen: false };
const NAMELESS: Identity = { names: [], devices: [], isSeen: true };
const OBSERVING = { lane: "observation", timeoutMs: 5000 } as const;

interface Kept<T> {
  readonly value: T;
  readonly atMs: number;
}

/**
 * Names storage by what the kernel calls it: a file by device and inode, a block device by its number, and a file that
 * may not be there yet by its directory. So two pools over one directory, a bind mount and a link are seen as the same.
 * Not recognized: storage on the network by two paths of its own protocol, and what the agent may not look at.
 */
export class StorageNames {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #looks: Pick<StorageLooks, "at">;
  readonly #identities = new Map<string, Kept<Identity>>();
  /** By the pool's name. null: a pool that is gone, or on the network. Undefined: libvirt did not answer. */
  readonly #pools = new Map<string, Kept<string | null | undefined>>();

  constructor(
    calls: LibvirtCalls,
    clock: Pick<Clock, "monotonicMs">,
    looks: Pick<StorageLooks, "at"> = new StorageLooks(),
  ) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#looks = looks;
  }

  /** Never throws: what cannot be looked at has no further names, and is in doubt where the look hangs. */
  async of(ats: Iterable<string>): Promise<SameStorage> {
    const found = new Map<string, Identity>();
    let areAllSeen = true;
    const slice = new Slice();
    for (const at of new Set(ats)) {
      const kept = this.#fresh(this.#identities, at);
      const identity = kept === undefined ? await this.#identityOf(at) : kept.value;
      found.set(at, identity);
      areAllSeen &&= identity.isSeen;
      if (slice.over) await slice.rest();
    }
    const of = (at: string): Identity => found.get(at) ?? NAMELESS;
    return Object.assign((at: string) => of(at).names, {
      doubtOf: (own: Iterable<string>, theirs: Iterable<string>) =>
        areAllSeen ? undefined : doubtOf([...own], theirs, of),
    });
  }

  async #identityOf(at: string): Promise<Identity> {
    const isKept = ({ isSeen }: Identity): boolean => isSeen;
    const find = (): Promise<Identity> => (at.startsWith("/") ? this.#ofPath(at) : this.#ofVolume(at));
    return await this.#kept(this.#identities, at, find, isKept);
  }

  async #ofVolume(key: string): Promise<Identity> {
    const slash = key.indexOf("/");
    const pool = key.slice(0, slash);
    const directory = await this.#kept(this.#pools, pool, () => this.#directoryOf(pool));
    if (directory === undefined) return UNKNOWN;
    return directory === null ? NAMELESS : await this.#ofPath(join(directory, key.slice(slash + 1)));
  }

  async #ofPath(path: string): Promise<Identity> {
    const sight = await this.#looks.at(path);
    if (!sight.isSeen) return sight.device === undefined ? UNKNOWN : { ...UNKNOWN, devices: [sight.device] };
    const { file, directory } = sight;
    const names = [
      ...(file?.isFile() === true ? [`file ${file.dev}:${file.ino}`] : []),
      ...(file?.isBlockDevice() === true ? [`device ${file.rdev}`] : []),
      ...(directory === undefined ? [] : [`entry ${directory.dev}:${directory.ino}/${basename(path)}`]),
    ];
    return { names, devices: [file, directory].flatMap((facts) => facts?.dev ?? []), isSeen: true };
  }

  async #directoryOf(name: string): Promise<string | null | undefined> {
    try {
      const { pool } = await this.#libvirt.call(libvirt.storagePoolLookupByName, { name }, OBSERVING);
      const { xml } = await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 }, OBSERVING);
      return parsePool(xml).path ?? null;
    } catch (thrown) {
      const { kind } = toSocleError(thrown);
      return kind === "timeout" || kind === "unavailable" ? undefined : null;
    }
  }

  #fresh<T>(cache: Map<string, Kept<T>>, key: string): Kept<T> | undefined {
    const kept = cache.get(key);
    return kept !== undefined && this.#clock.monotonicMs() - kept.atMs < KEPT_MS ? kept : undefined;
  }

  async #kept<T>(
    cache: Map<string, Kept<T>>,
    key: string,
    find: () => Promise<T>,
    isKept: (value: T) => boolean = () => true,
  ): Promise<T> {
    const nowMs = this.#clock.monotonicMs();
    const kept = this.#fresh(cache, key);
    if (kept !== undefined) return kept.value;
    const value = await find();
    if (cache.size >= MAX_KEPT) cache.clear();
    // What could not be seen is looked at again the next time.
    if (isKept(value)) cache.set(key, { value, atMs: nowMs });
    return value;
  }
}

function doubtOf(
  own: readonly string[],
  theirs: Iterable<string>,
  of: (at: string) => Identity,
): string | undefined {
  const unseen = own.find((at) => !of(at).isSeen);
  if (unseen !== undefined) return unseen;
  const devices = new Map(own.flatMap((at) => of(at).devices.map((device) => [device, at] as const)));
  for (const at of theirs) {
    const { isSeen, devices: where } = of(at);
    const shared = isSeen ? undefined : where.find((device) => devices.has(device));
    if (shared !== undefined) return devices.get(shared);
  }
  return undefined;
}
