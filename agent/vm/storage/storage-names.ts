import { basename, join } from "node:path";
import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { Slice } from "../../kernel/concurrency/slice.ts";
import * as libvirt from "../../libvirt/index.ts";
import { parsePool } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import { StorageLooks } from "./storage-looks.ts";

/** Aliases of the storage at a path or `pool/volume`; two that share an alias are the same bytes. */
export interface SameStorage {
  (at: string): readonly string[];
  /**
   * Returns one of `own` that may be the same storage as one of `theirs`: a look at either hangs, or libvirt does not
   * report its place. `theirs` is read only if some storage of `own` is unidentified.
   */
  readonly doubtOf: (own: Iterable<string>, theirs: Iterable<string>) => Doubt | undefined;
}

interface Doubt {
  readonly at: string;
  readonly silent: Silent;
}

/** The component that did not answer. */
type Silent = "filesystem" | "libvirt";

export const noOtherNames: SameStorage = Object.assign(() => [], { doubtOf: () => undefined });

interface Identity {
  readonly names: readonly string[];
  /** The known filesystems that hold it. */
  readonly devices: readonly number[];
  readonly silent?: Silent;
}

/** A file may be replaced: the aliases of its path are looked up again after this time. */
const KEPT_MS = 60_000;
const MAX_KEPT = 20_000;
/** A pool whose lookup libvirt did not answer is retried after this time, so that a hanging pool delays few calls. */
const SILENT_KEPT_MS = 5000;
const NAMELESS: Identity = { names: [], devices: [] };
const UNTOLD: Identity = { ...NAMELESS, silent: "libvirt" };
const OBSERVING = { lane: "observation", timeoutMs: 5000 } as const;

interface Kept<T> {
  readonly value: T;
  readonly untilMs: number;
}

/** The place of a pool's volumes. `none`: the pool is gone, or on the network. */
type PoolPlace =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "none" }
  /** `isAway`: libvirt itself is away, so the lookup is retried at once. */
  | { readonly kind: "silent"; readonly isAway: boolean };

/**
 * Identifies storage as the kernel does: a file by device and inode, a block device by its number, and a missing file
 * by its directory. Two pools over one directory, a bind mount and a link are thus the same storage. Not recognized:
 * network storage by two paths of its own protocol, and files that the agent may not look at.
 */
export class StorageNames {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #looks: Pick<StorageLooks, "at">;
  readonly #identities = new Map<string, Kept<Identity>>();
  /** By the pool's name. */
  readonly #pools = new Map<string, Kept<PoolPlace>>();

  constructor(
    calls: LibvirtCalls,
    clock: Pick<Clock, "monotonicMs">,
    looks: Pick<StorageLooks, "at"> = new StorageLooks(),
  ) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#looks = looks;
  }

  /** Never throws: storage that cannot be looked at has no further aliases, and is in doubt if a look hangs. */
  async of(ats: Iterable<string>): Promise<SameStorage> {
    const found = new Map<string, Identity>();
    let areAllSeen = true;
    const slice = new Slice();
    for (const at of new Set(ats)) {
      const kept = this.#fresh(this.#identities, at);
      const identity = kept === undefined ? await this.#identityOf(at) : kept.value;
      found.set(at, identity);
      areAllSeen &&= identity.silent === undefined;
      if (slice.over) await slice.rest();
    }
    const of = (at: string): Identity => found.get(at) ?? NAMELESS;
    return Object.assign((at: string) => of(at).names, {
      doubtOf: (own: Iterable<string>, theirs: Iterable<string>) =>
        areAllSeen ? undefined : doubtOf([...own], theirs, of),
    });
  }

  /** `silent`: a look at the directory hangs. `none`: it does not exist, or the agent may not look at it. */
  async lookAt(directory: string): Promise<"seen" | "none" | "silent"> {
    const sight = await this.#looks.at(join(directory, "any"));
    if (!sight.isSeen) return "silent";
    return sight.directory === undefined ? "none" : "seen";
  }

  async #identityOf(at: string): Promise<Identity> {
    // Storage that was not seen is looked at again the next time.
    const keptMs = ({ silent }: Identity): number => (silent === undefined ? KEPT_MS : 0);
    const find = (): Promise<Identity> => (at.startsWith("/") ? this.#ofPath(at) : this.#ofVolume(at));
    return await this.#kept(this.#identities, at, find, keptMs);
  }

  async #ofVolume(key: string): Promise<Identity> {
    const slash = key.indexOf("/");
    const pool = key.slice(0, slash);
    const keptMs = (place: PoolPlace): number =>
      place.kind !== "silent" ? KEPT_MS : place.isAway ? 0 : SILENT_KEPT_MS;
    const place = await this.#kept(this.#pools, pool, () => this.#placeOf(pool), keptMs);
    if (place.kind === "directory") return await this.#ofPath(join(place.path, key.slice(slash + 1)));
    return place.kind === "silent" ? UNTOLD : NAMELESS;
  }

  async #ofPath(path: string): Promise<Identity> {
    const sight = await this.#looks.at(path);
    if (!sight.isSeen)
      return { names: [], devices: sight.device === undefined ? [] : [sight.device], silent: "filesystem" };
    const { file, directory } = sight;
    const names = [
      // If the agent may not look, a pool and its directory still give a volume's path.
      `path ${path}`,
      ...(file?.isFile() === true ? [`file ${file.dev}:${file.ino}`] : []),
      ...(file?.isBlockDevice() === true ? [`device ${file.rdev}`] : []),
      ...(directory === undefined ? [] : [`entry ${directory.dev}:${directory.ino}/${basename(path)}`]),
    ];
    return { names, devices: [file, directory].flatMap((facts) => facts?.dev ?? []) };
  }

  async #placeOf(name: string): Promise<PoolPlace> {
    try {
      const { pool } = await this.#libvirt.call(libvirt.storagePoolLookupByName, { name }, OBSERVING);
      const { xml } = await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 }, OBSERVING);
      const { path } = parsePool(xml);
      return path === undefined ? { kind: "none" } : { kind: "directory", path };
    } catch (thrown) {
      const { kind } = toSocleError(thrown);
      const isAway = kind === "unavailable" || kind === "exhausted";
      return isAway || kind === "timeout" ? { kind: "silent", isAway } : { kind: "none" };
    }
  }

  #fresh<T>(cache: Map<string, Kept<T>>, key: string): Kept<T> | undefined {
    const kept = cache.get(key);
    return kept !== undefined && this.#clock.monotonicMs() < kept.untilMs ? kept : undefined;
  }

  async #kept<T>(
    cache: Map<string, Kept<T>>,
    key: string,
    find: () => Promise<T>,
    keptMs: (value: T) => number,
  ): Promise<T> {
    const kept = this.#fresh(cache, key);
    if (kept !== undefined) return kept.value;
    const value = await find();
    if (cache.size >= MAX_KEPT) cache.clear();
    cache.set(key, { value, untilMs: this.#clock.monotonicMs() + keptMs(value) });
    return value;
  }
}

function doubtOf(
  own: readonly string[],
  theirs: Iterable<string>,
  of: (at: string) => Identity,
): Doubt | undefined {
  for (const at of own) {
    const { silent } = of(at);
    if (silent !== undefined) return { at, silent };
  }
  const devices = new Map(own.flatMap((at) => of(at).devices.map((device) => [device, at] as const)));
  for (const at of theirs) {
    const { silent, devices: where } = of(at);
    if (silent === undefined) continue;
    const mine = where.map((device) => devices.get(device)).find((found) => found !== undefined);
    if (mine !== undefined) return { at: mine, silent };
  }
  return undefined;
}
