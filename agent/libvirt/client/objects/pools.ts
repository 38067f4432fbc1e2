import * as protocol from "../../protocol/index.ts";
import { buildPool, parsePool, type StoragePool } from "../../xml/storage/pool.ts";
import { buildVolume, type StorageVolume } from "../../xml/storage/volume.ts";
import { namer, type NameOf } from "../events.ts";
import type { CallSettings } from "../options.ts";
import { listArgs, xmlOf, type ActSettings, type Caller, type ListSettings } from "./caller.ts";
import { LibvirtObject } from "./object.ts";
import { LibvirtVolume } from "./volume.ts";

const stateName = namer(protocol.StoragePoolState);

export interface PoolInfo {
  readonly state: NameOf<typeof protocol.StoragePoolState>;
  readonly capacityBytes: number;
  readonly allocationBytes: number;
  readonly availableBytes: number;
}

/** The storage pools of a host. Each function throws as `Libvirt.call`. */
export class Pools {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** All pools, or those that are `active` (or not). `flags` adds ConnectListAllStoragePoolsFlags. */
  async list(settings: ListSettings = {}): Promise<LibvirtPool[]> {
    const args = listArgs(settings, protocol.ConnectListAllStoragePoolsFlags);
    const { pools } = await this.#caller.call(protocol.connectListAllStoragePools, args, settings);
    return pools.map((pool) => this.of(pool));
  }

  /** Throws `not_found` LIBVIRT_NO_STORAGE_POOL, as does `lookupByUuid`. */
  async lookupByName(name: string, settings?: CallSettings): Promise<LibvirtPool> {
    return this.of((await this.#caller.call(protocol.storagePoolLookupByName, { name }, settings)).pool);
  }

  async lookupByUuid(uuid: string, settings?: CallSettings): Promise<LibvirtPool> {
    return this.of((await this.#caller.call(protocol.storagePoolLookupByUuid, { uuid }, settings)).pool);
  }

  /** Defines a persistent pool and does not start it. */
  async define(
    definition: string | StoragePool,
    { flags = 0, ...settings }: ActSettings = {},
  ): Promise<LibvirtPool> {
    const xml = xmlOf(definition, buildPool);
    return this.of((await this.#caller.call(protocol.storagePoolDefineXml, { xml, flags }, settings)).pool);
  }

  /** Starts a transient pool, which libvirt forgets once it stops. */
  async create(
    definition: string | StoragePool,
    { flags = 0, ...settings }: ActSettings = {},
  ): Promise<LibvirtPool> {
    const xml = xmlOf(definition, buildPool);
    return this.of((await this.#caller.call(protocol.storagePoolCreateXml, { xml, flags }, settings)).pool);
  }

  /** The object for a pool that a raw call or an event named. */
  of(pool: protocol.StoragePool): LibvirtPool {
    return new LibvirtPool(this.#caller, pool);
  }
}

export class LibvirtPool extends LibvirtObject<protocol.StoragePool> {
  get uuid(): string {
    return this.ref.uuid;
  }

  /** `flags`: StoragePoolCreateFlags. */
  async start({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.storagePoolCreate, { pool: this.ref, flags }, settings);
  }

  /** Stops the pool; its volumes stay. */
  async destroy(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.storagePoolDestroy, { pool: this.ref }, settings);
  }

  /** Makes what is below the pool, such as its directory. `flags`: StoragePoolBuildFlags. */
  async build({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.storagePoolBuild, { pool: this.ref, flags }, settings);
  }

  /** Looks for volumes that others made or removed. */
  async refresh({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.storagePoolRefresh, { pool: this.ref, flags }, settings);
  }

  /** Removes the definition of a pool that is stopped; its volumes stay. */
  async undefine(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.storagePoolUndefine, { pool: this.ref }, settings);
  }

  /** Whether libvirt starts it with the host. */
  async setAutostart(autostart: boolean, settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.storagePoolSetAutostart, { pool: this.ref, autostart }, settings);
  }

  async info(settings?: CallSettings): Promise<PoolInfo> {
    const info = await this.caller.call(protocol.storagePoolGetInfo, { pool: this.ref }, settings);
    return {
      state: stateName(info.state),
      capacityBytes: info.capacity,
      allocationBytes: info.allocation,
      availableBytes: info.available,
    };
  }

  /** `flags`: StorageXMLFlags. */
  async xml({ flags = 0, ...settings }: ActSettings = {}): Promise<string> {
    return (await this.caller.call(protocol.storagePoolGetXmlDesc, { pool: this.ref, flags }, settings)).xml;
  }

  /** The definition as data, with sizes in bytes. */
  async document(settings?: ActSettings): Promise<StoragePool> {
    return parsePool(await this.xml(settings));
  }

  /** The volumes that libvirt saw at the last refresh. The pool must be active. */
  async volumes(settings?: CallSettings): Promise<LibvirtVolume[]> {
    const args = { pool: this.ref, needResults: true, flags: 0 };
    const { vols } = await this.caller.call(protocol.storagePoolListAllVolumes, args, settings);
    return vols.map((vol) => new LibvirtVolume(this.caller, vol));
  }

  /** Throws `not_found` LIBVIRT_NO_STORAGE_VOL. */
  async lookupVolume(name: string, settings?: CallSettings): Promise<LibvirtVolume> {
    const args = { pool: this.ref, name };
    const { vol } = await this.caller.call(protocol.storageVolLookupByName, args, settings);
    return new LibvirtVolume(this.caller, vol);
  }

  /** `flags`: StorageVolCreateFlags. Throws `already_exists` LIBVIRT_STORAGE_VOL_EXIST. */
  async createVolume(
    definition: string | StorageVolume,
    { flags = 0, ...settings }: ActSettings = {},
  ): Promise<LibvirtVolume> {
    const xml = xmlOf(definition, buildVolume);
    const args = { pool: this.ref, xml, flags };
    return new LibvirtVolume(
      this.caller,
      (await this.caller.call(protocol.storageVolCreateXml, args, settings)).vol,
    );
  }
}
