import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { parsePool, parseVolume } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { isGone } from "./pool-refresh.ts";

export const NO_VOLUME = "LIBVIRT_NO_STORAGE_VOL";

/** Pools whose volumes are files that other users may add; in other pools libvirt's own paths are links. */
export const directories: ReadonlySet<string> = new Set(["dir", "fs", "netfs", "vstorage"]);

type Described = ReturnType<typeof parseVolume> & { readonly vol: libvirt.StorageVol };

/** Finds pools and volumes by their names. */
export class VolumeLookup {
  readonly #libvirt: Pick<LibvirtCalls, "call">;

  constructor(calls: Pick<LibvirtCalls, "call">) {
    this.#libvirt = calls;
  }

  /** Also of a volume whose file is gone or unreadable. Undefined: the pool has no such volume. Throws as `activePool` does. */
  async reference({ pool: name, volume }: VolumeRef): Promise<libvirt.StorageVol | undefined> {
    const pool = await this.activePool(name);
    const lookup = () => this.#libvirt.call(libvirt.storageVolLookupByName, { pool, name: volume });
    return (await ifPresent(NO_VOLUME, lookup))?.vol;
  }

  /** libvirt reads its file. Undefined: the pool has no such volume. Throws as `activePool` does. */
  async describe({ pool, volume: name }: VolumeRef): Promise<Described | undefined> {
    // libvirt finds a volume by the two names: neither the pool nor the volume is looked up before.
    const vol = { pool, name, key: "" };
    try {
      return await ifPresent(NO_VOLUME, async () => {
        const { xml } = await this.#libvirt.call(libvirt.storageVolGetXmlDesc, { vol, flags: 0 });
        return { ...parseVolume(xml), vol };
      });
    } catch (thrown) {
      if (isGone(toSocleError(thrown))) await this.activePool(pool);
      throw thrown;
    }
  }

  /** Throws `not_found` POOL_NOT_FOUND, `unavailable` POOL_INACTIVE. */
  async activePool(name: string): Promise<libvirt.StoragePool> {
    const pool = await this.pool(name);
    const { active } = await this.#ofPool(name, this.#libvirt.call(libvirt.storagePoolIsActive, { pool }));
    if (active) return pool;
    throw new SocleError(
      "unavailable",
      "POOL_INACTIVE",
      `storage pool ${name} is not active; start it (virsh pool-start ${name})`,
    );
  }

  /** Throws `not_found` POOL_NOT_FOUND. */
  async pool(name: string): Promise<libvirt.StoragePool> {
    return (await this.#ofPool(name, this.#libvirt.call(libvirt.storagePoolLookupByName, { name }))).pool;
  }

  /** The directory of a pool of files; undefined for other pools. Throws libvirt's errors. */
  async directoryOf(pool: libvirt.StoragePool): Promise<string | undefined> {
    const { xml } = await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 });
    const { type, path } = parsePool(xml);
    return directories.has(type) ? (path ?? "") : undefined;
  }

  async #ofPool<T>(name: string, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (thrown) {
      if (toSocleError(thrown).reason !== "LIBVIRT_NO_STORAGE_POOL") throw thrown;
      throw new SocleError("not_found", "POOL_NOT_FOUND", `there is no storage pool ${name} on this host`, {
        cause: thrown,
      });
    }
  }
}
