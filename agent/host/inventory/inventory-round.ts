import type { Config } from "../../config/schema.ts";
import { allOf } from "../../kernel/concurrency/all-of.ts";
import { readCpuModel } from "../../hardware/cpu/cpu.ts";
import { readCpuTopology } from "../../hardware/cpu/cpu-topology.ts";
import type { FilesystemProbe, FilesystemSpace } from "../../hardware/storage/filesystem.ts";
import { readKvm } from "../../hardware/cpu/kvm.ts";
import { readMemory } from "../../hardware/memory/memory.ts";
import { readMounts } from "../../hardware/storage/mounts.ts";
import { readNuma } from "../../hardware/memory/numa.ts";
import { readOfflineCpus, readPoisonedPages } from "../../hardware/memory/out-of-use.ts";
import { readPciFunctions, type PciFunctions } from "../../hardware/pci/pci.ts";
import { valueOf, type Reading } from "../../hardware/reading.ts";
import type { Roots } from "../../hardware/roots.ts";
import type { DomainCapabilities, HostCapabilities } from "../../libvirt/xml/index.ts";
import { productKey, type DeviceNames } from "./devices.ts";
import { directoriesOf, type InventorySources } from "./inventory.ts";
import { patienceOf, type LibvirtFacts, type Patience } from "./libvirt-facts.ts";
import { offeredTypes } from "./traits.ts";
import { VolumeSizes } from "./volume-sizes.ts";

const NOT_ASKED = { kind: "failed", reason: "libvirt has not been queried yet" } as const;

interface RoundOptions {
  readonly roots: Roots;
  readonly facts: LibvirtFacts;
  readonly filesystems: FilesystemProbe;
  readonly accelerator: Config["vm"]["accelerator"];
}

/** Reads all sources of the inventory. */
export class InventoryRound {
  readonly #options: RoundOptions;
  readonly #volumes: VolumeSizes;
  #capabilities: Reading<HostCapabilities> = NOT_ASKED;
  #domain: Reading<DomainCapabilities> = NOT_ASKED;
  readonly #names = new Map<string, DeviceNames>();

  constructor(options: RoundOptions) {
    this.#options = options;
    this.#volumes = new VolumeSizes(options.facts);
  }

  /** Capabilities are large, and change only with the machine or its libvirt: read once per connection. */
  forgetCapabilities(): void {
    this.#capabilities = NOT_ASKED;
    this.#domain = NOT_ASKED;
  }

  get hostUuid(): string | undefined {
    return valueOf(this.#capabilities)?.hostUuid;
  }

  /** Whether libvirt reports that QEMU can use KVM; undefined if unreachable. */
  get offersKvm(): boolean | undefined {
    const capabilities = valueOf(this.#capabilities);
    return capabilities === undefined ? undefined : offeredTypes(capabilities).has("kvm");
  }

  /** Parts that libvirt does not answer in time are missing. */
  async read(
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<Omit<InventorySources, "reasons" | "kvmFails" | "thinRatio">> {
    const { roots, facts } = this.#options;
    const patience = patienceOf(signal, timeoutMs);
    const functions = readPciFunctions(roots);
    const read = await allOf({
      offers: this.#offers(patience),
      nodes: readNuma(roots),
      offlineCpus: readOfflineCpus(roots),
      poisonedPages: readPoisonedPages(roots),
      memory: readMemory(roots),
      cpu: readCpuModel(roots),
      topology: readCpuTopology(roots),
      mounts: readMounts(roots),
      pci: functions,
      names: functions.then((pci) => this.#namesOf(pci, patience)),
      kvm: readKvm(roots),
      memoryBytes: facts.memoryBytes(patience),
      pools: facts.pools(patience),
      networks: facts.networks(patience),
    });
    const { offers, ...others } = read;
    const pools = valueOf(read.pools) ?? [];
    const spaces = await this.#spaces(directoriesOf(pools.flatMap(({ details }) => valueOf(details) ?? [])));
    // A separate deadline: one hung pool uses up the deadline of its details.
    const volumes = await this.#volumes.read(pools, spaces, patienceOf(signal, timeoutMs));
    return { ...others, ...offers, versions: facts.versions, spaces, volumes };
  }

  async #offers(
    patience: Patience,
  ): Promise<{ capabilities: Reading<HostCapabilities>; domain: Reading<DomainCapabilities> }> {
    const { facts, accelerator } = this.#options;
    if (this.#capabilities.kind !== "read") this.#capabilities = await facts.capabilities(patience);
    const capabilities = this.#capabilities;
    if (capabilities.kind !== "read") return { capabilities, domain: capabilities };
    if (this.#domain.kind !== "read") {
      const isKvm = accelerator !== "tcg" && offeredTypes(capabilities.value).has("kvm");
      const { arch } = capabilities.value.cpu;
      this.#domain = await facts.domainCapabilities(arch, isKvm ? "kvm" : "qemu", patience);
    }
    return { capabilities, domain: this.#domain };
  }

  /** Reads each product once; retries products that libvirt could not answer. */
  async #namesOf(pci: Reading<PciFunctions>, patience: Patience): Promise<ReadonlyMap<string, DeviceNames>> {
    const unnamed = new Map<string, string>();
    for (const found of valueOf(pci)?.functions ?? []) {
      const key = productKey(found);
      if (!this.#names.has(key)) unnamed.set(key, found.address);
    }
    for (const [key, address] of unnamed) {
      const names = await this.#options.facts.deviceNames(address, patience);
      if (names.kind !== "read") break;
      this.#names.set(key, names.value);
    }
    return this.#names;
  }

  /** Filesystem space by path, read sequentially. */
  async #spaces(paths: Iterable<string>): Promise<Map<string, Reading<FilesystemSpace>>> {
    const spaces = new Map<string, Reading<FilesystemSpace>>();
    for (const path of new Set(paths)) spaces.set(path, await this.#options.filesystems.read(path));
    return spaces;
  }
}
