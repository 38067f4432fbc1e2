import { ifPresent, toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { PoolRefresh } from "./pool-refresh.ts";

const ASK = { lane: "observation" } as const;

/** The bytes that volumes take now, and those that pools have left. */
export class VolumeRoom {
  readonly #libvirt: LibvirtCalls;
  readonly #pools: PoolRefresh;

  constructor(calls: LibvirtCalls, log: Logger) {
    this.#libvirt = calls;
    this.#pools = new PoolRefresh(calls, log);
  }

  /** Undefined: the volume, or its pool, does not exist. */
  async allocatedBytes({ pool: name, volume }: VolumeRef): Promise<number | undefined> {
    const found = await ifPresent("LIBVIRT_NO_STORAGE_POOL", () =>
      this.#libvirt.call(libvirt.storagePoolLookupByName, { name }, ASK),
    );
    if (found === undefined) return undefined;
    return await ifPresent("LIBVIRT_NO_STORAGE_VOL", async () => {
      const args = { pool: found.pool, name: volume };
      const { vol } = await this.#libvirt.call(libvirt.storageVolLookupByName, args, ASK);
      return (await this.#libvirt.call(libvirt.storageVolGetInfo, { vol }, ASK)).allocation;
    });
  }

  /** As of now; undefined if the pool does not tell. */
  async freeBytes(name: string): Promise<number | undefined> {
    try {
      const { pool } = await this.#libvirt.call(libvirt.storagePoolLookupByName, { name }, ASK);
      // Without a refresh libvirt knows the room of the last one. While a volume is being made, it refuses.
      await this.#pools.refresh(pool).catch(() => undefined);
      return (await this.#libvirt.call(libvirt.storagePoolGetInfo, { pool }, ASK)).available;
    } catch (thrown) {
      if (toSocleError(thrown).reason === "LIBVIRT_CLOSED") throw thrown;
      return undefined;
    }
  }
}
