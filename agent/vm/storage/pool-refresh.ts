import { toSocleError, type SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";

type Options = NonNullable<Parameters<LibvirtCalls["call"]>[2]>;

const ASK = { lane: "observation", timeoutMs: 5000 } as const;
const unanswered: ReadonlySet<SocleError["kind"]> = new Set(["timeout", "unavailable", "outcome_unknown"]);

/**
 * Refreshes storage pools. libvirt stops a pool whose refresh fails, as after an input/output error of one file, and
 * does not start it again. Such pools are recorded and logged.
 */
export class PoolRefresh {
  readonly #libvirt: LibvirtCalls;
  readonly #log: Logger;
  readonly #stopped = new Set<string>();

  constructor(calls: LibvirtCalls, log: Logger) {
    this.#libvirt = calls;
    this.#log = log;
  }

  /** Throws libvirt's error. During the creation of a volume libvirt rejects a refresh, and leaves the pool active. */
  async refresh(pool: libvirt.StoragePool, options?: Options): Promise<void> {
    try {
      await this.#libvirt.call(libvirt.storagePoolRefresh, { pool, flags: 0 }, options);
    } catch (thrown) {
      const error = toSocleError(thrown);
      // The pool was stopped before the refresh.
      if (!isGone(error)) await this.#noteFailure(pool, error);
      throw error;
    }
    this.#stopped.delete(pool.name);
  }

  /** Pools that a failed refresh stopped, or may have stopped, without a refresh since. */
  get stopped(): ReadonlySet<string> {
    return this.#stopped;
  }

  async #noteFailure(pool: libvirt.StoragePool, error: SocleError): Promise<void> {
    this.#stopped.add(pool.name);
    if (unanswered.has(error.kind)) return;
    const status = await this.#statusOf(pool);
    if (status === "active") this.#stopped.delete(pool.name);
    if (status === "inactive" || status === "gone")
      this.#log.error({ pool: pool.name, err: error }, advice(pool, status));
  }

  async #statusOf(pool: libvirt.StoragePool): Promise<"active" | "inactive" | "gone" | "unknown"> {
    try {
      const { active } = await this.#libvirt.call(libvirt.storagePoolIsActive, { pool }, ASK);
      return active ? "active" : "inactive";
    } catch (thrown) {
      return isGone(toSocleError(thrown)) ? "gone" : "unknown";
    }
  }
}

/** The pool does not exist, or is not active. */
export const isGone = ({ reason }: SocleError): boolean =>
  reason === "LIBVIRT_NO_STORAGE_POOL" || reason === "LIBVIRT_OPERATION_INVALID";

/** libvirt forgets a transient pool that it stops. */
const advice = ({ name }: libvirt.StoragePool, status: "inactive" | "gone"): string =>
  `libvirt stopped storage pool ${name} because its refresh failed: check its files, then ` +
  (status === "inactive"
    ? `start it again (virsh pool-start ${name})`
    : "create it again (virsh pool-create), since it had no configuration");
