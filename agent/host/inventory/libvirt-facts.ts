import { asNamed } from "../../contract/spec-named-volume.ts";
import type { Reading } from "../../hardware/reading.ts";
import { toSocleError } from "../../kernel/errors.ts";
import {
  connectGetCapabilities,
  connectGetDomainCapabilities,
  connectGetLibVersion,
  connectListAllNetworks,
  connectListAllStoragePools,
  networkGetAutostart,
  networkGetXmlDesc,
  networkIsActive,
  networkIsPersistent,
  nodeDeviceGetXmlDesc,
  nodeGetMemoryStats,
  StoragePoolState,
  storagePoolGetAutostart,
  storagePoolGetInfo,
  storagePoolGetXmlDesc,
  storagePoolListAllVolumes,
  storagePoolLookupByName,
  storageVolGetXmlDesc,
  type Libvirt,
  type Network,
  type StoragePool,
  type StorageVol,
} from "../../libvirt/index.ts";
import {
  parseCapabilities,
  parseDomainCapabilities,
  parseNetwork,
  parseNodeDevice,
  parsePool,
  parseVolume,
  type DomainCapabilities,
  type HostCapabilities,
  type Network as NetworkDocument,
  type PoolSource,
} from "../../libvirt/xml/index.ts";
import type { DeviceNames } from "./devices.ts";
import type { HostNetwork } from "../host.ts";
import { defined } from "../../kernel/defined.ts";

export interface Versions {
  readonly libvirt: string;
  readonly hypervisor?: string;
}

/** A pool as reported by libvirt. */
export interface PoolFacts {
  readonly name: string;
  readonly details: Reading<PoolDetails>;
}

/** Sizes are from the pool's last refresh, and 0 while it is inactive. */
export interface PoolDetails {
  readonly type: string;
  readonly active: boolean;
  /** False if the pool is active but libvirt cannot reach its storage. */
  readonly accessible: boolean;
  /** Autostart: it starts with the host. */
  readonly autostart: boolean;
  readonly path?: string;
  readonly source?: PoolSource;
  readonly capacityBytes: number;
  readonly allocatedBytes: number;
  readonly availableBytes: number;
}

/** A network as reported by libvirt. */
export interface NetworkFacts extends Omit<HostNetwork, "presence" | "observedAtMs"> {
  /** Why its XML cannot be read; its bridge is then unknown. */
  readonly problem?: string;
  /** libvirt did not answer for this network: whether it is active is unknown as well. */
  readonly silent?: true;
}

/** A volume as libvirt finds it. */
export interface VolumeSize {
  /** The size that it may grow to. */
  readonly capacityBytes: number;
  readonly allocatedBytes: number;
  /** The format that libvirt found in place of the one that the name means. */
  readonly suspicious?: string;
}

/** Deadline of a reading, for all its calls together. */
export interface Patience {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

interface Options extends Patience {
  readonly lane: "observation";
}

/** The remaining time is for the next call. */
export function patienceOf(signal: AbortSignal, timeoutMs: number): Options {
  const deadlineMs = performance.now() + timeoutMs;
  return {
    signal,
    lane: "observation",
    get timeoutMs() {
      return Math.max(1, deadlineMs - performance.now());
    },
  };
}

/** Codes of failures of libvirt itself, independent of a pool or volume. */
export const OF_LIBVIRT: ReadonlySet<string | undefined> = new Set(["unavailable", "exhausted", "cancelled"]);

const usablePoolStates = new Set<number>([StoragePoolState.RUNNING, StoragePoolState.DEGRADED]);

/** Reads host facts from libvirt, over the lane that commands never wait for. */
export class LibvirtFacts {
  readonly #libvirt: Pick<Libvirt, "call" | "status">;

  constructor(libvirt: Pick<Libvirt, "call" | "status">) {
    this.#libvirt = libvirt;
  }

  /** The cheapest call. Rejects if libvirt does not answer in time. */
  async probe(signal: AbortSignal, timeoutMs: number): Promise<void> {
    await this.#libvirt.call(connectGetLibVersion, {}, { signal, timeoutMs, lane: "observation" });
  }

  /** Undefined while libvirt is not connected. */
  get versions(): Versions | undefined {
    const { status } = this.#libvirt;
    if (!status.connected) return undefined;
    const { libVersion, hypervisorVersion } = status;
    return defined({
      libvirt: versionText(libVersion),
      hypervisor: hypervisorVersion === undefined ? undefined : versionText(hypervisorVersion),
    });
  }

  capabilities(patience: Patience): Promise<Reading<HostCapabilities>> {
    return this.#ask(patience, async (options) => {
      const { capabilities } = await this.#libvirt.call(connectGetCapabilities, {}, options);
      return parseCapabilities(capabilities);
    });
  }

  /** Domain capabilities of this type's default machine. */
  domainCapabilities(
    arch: string,
    virttype: "kvm" | "qemu",
    patience: Patience,
  ): Promise<Reading<DomainCapabilities>> {
    return this.#ask(patience, async (options) => {
      const machine = arch === "x86_64" ? "q35" : "virt";
      const args = { emulatorbin: null, arch, machine, virttype, flags: 0 };
      const { capabilities } = await this.#libvirt.call(connectGetDomainCapabilities, args, options);
      return parseDomainCapabilities(capabilities);
    });
  }

  /** `address` as in sysfs. */
  deviceNames(address: string, patience: Patience): Promise<Reading<DeviceNames>> {
    return this.#ask(patience, async (options) => {
      const name = `pci_${address.replaceAll(/[:.]/g, "_")}`;
      const { xml } = await this.#libvirt.call(nodeDeviceGetXmlDesc, { name, flags: 0 }, options);
      const { capability } = parseNodeDevice(xml);
      if (capability.type !== "pci") return {};
      const [vendor, product] = [capability.vendor.name, capability.product.name];
      return defined({ vendor, product });
    });
  }

  /** Memory of the whole machine. Not from node info, which omits hot-plugged memory. */
  memoryBytes(patience: Patience): Promise<Reading<number>> {
    return this.#ask(patience, async (options) => {
      const all = { cellNum: -1, flags: 0 };
      const { nparams } = await this.#libvirt.call(nodeGetMemoryStats, { ...all, nparams: 0 }, options);
      const { params } = await this.#libvirt.call(nodeGetMemoryStats, { ...all, nparams }, options);
      const total = params.find(({ field }) => field === "total");
      if (total === undefined) throw new Error("libvirt's memory statistics have no total");
      return total.value * 1024;
    });
  }

  pools(patience: Patience): Promise<Reading<readonly PoolFacts[]>> {
    return this.#ask(patience, async (options) => {
      const list = { needResults: true, flags: 0 };
      const { pools } = await this.#libvirt.call(connectListAllStoragePools, list, options);
      const facts = pools.map(async (pool) => {
        const details = await this.#ask(options, () => this.#pool(pool, options));
        return { name: pool.name, details };
      });
      return (await Promise.all(facts)).filter(({ details }) => !isGone(details));
    });
  }

  async #pool(pool: StoragePool, options: Options): Promise<PoolDetails> {
    const { xml } = await this.#libvirt.call(storagePoolGetXmlDesc, { pool, flags: 0 }, options);
    const info = await this.#libvirt.call(storagePoolGetInfo, { pool }, options);
    const { autostart } = await this.#libvirt.call(storagePoolGetAutostart, { pool }, options);
    const { type, path, source } = parsePool(xml);
    return defined({
      type,
      active: usablePoolStates.has(info.state),
      accessible: info.state !== StoragePoolState.INACCESSIBLE,
      autostart,
      path,
      source,
      capacityBytes: info.capacity,
      allocatedBytes: info.allocation,
      availableBytes: info.available,
    });
  }

  /** From the pool's last refresh. */
  volumes(poolName: string, patience: Patience): Promise<Reading<readonly StorageVol[]>> {
    return this.#ask(patience, async (options) => {
      const { pool } = await this.#libvirt.call(storagePoolLookupByName, { name: poolName }, options);
      const list = { pool, needResults: true, flags: 0 };
      return (await this.#libvirt.call(storagePoolListAllVolumes, list, options)).vols;
    });
  }

  /** libvirt inspects the volume itself for this. */
  volumeSize(vol: StorageVol, patience: Patience): Promise<Reading<VolumeSize>> {
    return this.#ask(patience, async (options) => {
      const { xml } = await this.#libvirt.call(storageVolGetXmlDesc, { vol, flags: 0 }, options);
      const volume = parseVolume(xml);
      const { capacityBytes, suspicious } = asNamed(volume);
      return defined({ capacityBytes, allocatedBytes: volume.allocationBytes ?? 0, suspicious });
    });
  }

  networks(patience: Patience): Promise<Reading<readonly NetworkFacts[]>> {
    return this.#ask(patience, async (options) => {
      const list = { needResults: true, flags: 0 };
      const { nets } = await this.#libvirt.call(connectListAllNetworks, list, options);
      const facts = nets.map(async (net): Promise<Reading<NetworkFacts>> => {
        const network = await this.#ask(options, () => this.#network(net, options));
        if (network.kind === "read" || isGone(network) || isOfLibvirt(network)) return network;
        const { name, uuid } = net;
        const value = {
          name,
          uuid,
          bridge: "",
          active: false,
          problem: network.reason,
          silent: true,
        } as const;
        return { kind: "read", value };
      });
      const there = (await Promise.all(facts)).filter((network) => !isGone(network));
      return there.map((network) => {
        if (network.kind !== "read") throw new Error(network.reason);
        return network.value;
      });
    });
  }

  async #network(net: Network, options: Options): Promise<NetworkFacts> {
    const { active } = await this.#libvirt.call(networkIsActive, { net }, options);
    const { autostart } = await this.#libvirt.call(networkGetAutostart, { net }, options);
    const { persistent } = await this.#libvirt.call(networkIsPersistent, { net }, options);
    const { xml } = await this.#libvirt.call(networkGetXmlDesc, { net, flags: 0 }, options);
    const known = { name: net.name, uuid: net.uuid, active, autostart, persistent };
    try {
      return { ...known, ...fromDocument(parseNetwork(xml)) };
    } catch (thrown) {
      return { ...known, bridge: "", problem: toSocleError(thrown).message };
    }
  }

  async #ask<T>({ signal, timeoutMs }: Patience, ask: (options: Options) => Promise<T>): Promise<Reading<T>> {
    try {
      return { kind: "read", value: await ask(patienceOf(signal, timeoutMs)) };
    } catch (thrown) {
      signal.throwIfAborted();
      const { kind, message } = toSocleError(thrown);
      if (kind === "unsupported") return { kind, reason: message };
      return { kind: "failed", reason: message, code: kind };
    }
  }
}

const fromDocument = ({ bridge, forwardMode = "", addresses }: NetworkDocument) => ({
  bridge: bridge?.name ?? "",
  forwardMode,
  dhcp: addresses.some(({ dhcp }) => dhcp !== undefined),
  addresses: addresses.map(({ address, prefixLength }) =>
    prefixLength === undefined ? address : `${address}/${prefixLength}`,
  ),
});

/** It disappeared after the listing, so nothing is missing. */
const isGone = (found: Reading<unknown>): boolean => found.kind === "failed" && found.code === "not_found";

const isOfLibvirt = (found: Reading<unknown>): boolean =>
  found.kind === "failed" && OF_LIBVIRT.has(found.code);

/** libvirt encodes versions as major * 1,000,000 + minor * 1,000 + micro. */
const versionText = (version: number): string =>
  [Math.floor(version / 1_000_000), Math.floor(version / 1000) % 1000, version % 1000].join(".");
