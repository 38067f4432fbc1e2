import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { isSocleError } from "../../agent/kernel/errors.ts";
import {
  storagePoolBuild,
  storagePoolCreate,
  storagePoolDefineXml,
  storagePoolDelete,
  storagePoolDestroy,
  storagePoolListAllVolumes,
  storagePoolLookupByName,
  storagePoolUndefine,
  storageVolCreateXml,
  storageVolDelete,
  storageVolUpload,
  type Libvirt,
  type StoragePool,
} from "../../agent/libvirt/index.ts";
import { buildPool, buildVolume } from "../../agent/libvirt/xml/index.ts";

const repository = join(import.meta.dirname, "../..");
const FILES = ["vmlinuz", "initrd"];

/** A directory pool with the tiny guest's files, created and filled only through libvirt. */
export class DemoPool {
  static readonly poolName = "socle-demo";
  readonly name = DemoPool.poolName;
  readonly #libvirt: Libvirt;
  readonly #pool: StoragePool;

  private constructor(libvirt: Libvirt, pool: StoragePool) {
    this.#libvirt = libvirt;
    this.#pool = pool;
  }

  static async create(libvirt: Libvirt): Promise<DemoPool> {
    const left = await find(libvirt);
    // An earlier run was killed before its cleanup.
    if (left !== undefined) await new DemoPool(libvirt, left).remove();
    const xml = buildPool({
      type: "dir",
      name: DemoPool.poolName,
      path: `/var/lib/libvirt/images/${DemoPool.poolName}`,
    });
    const { pool } = await libvirt.call(storagePoolDefineXml, { xml, flags: 0 });
    await libvirt.call(storagePoolBuild, { pool, flags: 0 });
    await libvirt.call(storagePoolCreate, { pool, flags: 0 });
    return new DemoPool(libvirt, pool);
  }

  async fill(signal: AbortSignal): Promise<{ name: string; bytes: number }[]> {
    await promisify(execFile)(join(repository, "scripts/guest-image"), [], { timeout: 300_000, signal });
    const filled: { name: string; bytes: number }[] = [];
    for (const name of FILES) {
      signal.throwIfAborted();
      const content = await readFile(join(repository, ".cache/guest", name));
      const xml = buildVolume({ name, capacityBytes: content.length, format: "raw" });
      const { vol } = await this.#libvirt.call(storageVolCreateXml, { pool: this.#pool, xml, flags: 0 });
      const upload = await this.#libvirt.openStream(storageVolUpload, {
        vol,
        offset: 0,
        length: content.length,
        flags: 0,
      });
      await upload.write(content);
      await upload.finish();
      filled.push({ name, bytes: content.length });
    }
    return filled;
  }

  async remove(): Promise<void> {
    const pool = this.#pool;
    const quietly = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (thrown) {
        if (!isSocleError(thrown) || thrown.kind !== "conflict") throw thrown;
      }
    };
    await quietly(() => this.#libvirt.call(storagePoolCreate, { pool, flags: 0 }));
    const { vols } = await this.#libvirt.call(storagePoolListAllVolumes, {
      pool,
      needResults: true,
      flags: 0,
    });
    for (const vol of vols) await this.#libvirt.call(storageVolDelete, { vol, flags: 0 });
    await quietly(() => this.#libvirt.call(storagePoolDestroy, { pool }));
    await this.#libvirt.call(storagePoolDelete, { pool, flags: 0 });
    await this.#libvirt.call(storagePoolUndefine, { pool });
  }
}

async function find(libvirt: Libvirt): Promise<StoragePool | undefined> {
  try {
    return (await libvirt.call(storagePoolLookupByName, { name: DemoPool.poolName })).pool;
  } catch (thrown) {
    if (isSocleError(thrown) && thrown.kind === "not_found") return undefined;
    throw thrown;
  }
}
