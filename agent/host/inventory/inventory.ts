import type { CpuModel } from "../../hardware/cpu/cpu.ts";
import type { CpuTopology } from "../../hardware/cpu/cpu-topology.ts";
import type { FilesystemSpace } from "../../hardware/storage/filesystem.ts";
import type { Kvm } from "../../hardware/cpu/kvm.ts";
import type { MemoryInfo } from "../../hardware/memory/memory.ts";
import type { Mount } from "../../hardware/storage/mounts.ts";
import type { NumaNode } from "../../hardware/memory/numa.ts";
import type { ByNode } from "../../hardware/memory/out-of-use.ts";
import type { PciFunctions } from "../../hardware/pci/pci.ts";
import { valueOf, type Reading } from "../../hardware/reading.ts";
import type { DomainCapabilities, HostCapabilities } from "../../libvirt/xml/index.ts";
import { assembleCells, type Part } from "./cells.ts";
import { compatibilityOf } from "./compatibility.ts";
import { assembleDevices, type DeviceNames } from "./devices.ts";
import type { Compatibility, HostInventory, HostNetwork, StoragePool } from "../host.ts";
import type { NetworkFacts, PoolFacts, Versions } from "./libvirt-facts.ts";
import { withOutOfUse } from "./out-of-use.ts";
import { sharedIdOf } from "./shared-id.ts";
import type { VolumeCapacities } from "../capacity/storage-ledger.ts";
import { traitsOf } from "./traits.ts";
import { defined } from "../../kernel/defined.ts";

/** Equal for inventories that differ only in continuously changing readings. */
export function changeKey(inventory: HostInventory): string {
  const cells = inventory.cells.map((cell) => ({
    ...cell,
    pages: cell.pages.map(({ sizeBytes, total }) => ({ sizeBytes, total })),
  }));
  const storagePools = inventory.storagePools.map(
    ({ allocatedBytes: _, availableBytes: __, observedAtMs: ___, ...pool }) => pool,
  );
  const networks = inventory.networks.map(({ observedAtMs: _, ...network }) => network);
  return JSON.stringify({ ...inventory, cells, storagePools, networks });
}

/** All readings of one round. */
export interface InventorySources {
  readonly nodes: Reading<readonly NumaNode[]>;
  readonly offlineCpus: Reading<ByNode<readonly number[]>>;
  readonly poisonedPages: Reading<ByNode<number>>;
  readonly memory: Reading<MemoryInfo>;
  readonly cpu: Reading<CpuModel>;
  readonly topology: Reading<CpuTopology>;
  readonly mounts: Reading<readonly Mount[]>;
  readonly pci: Reading<PciFunctions>;
  /** By productKey. */
  readonly names: ReadonlyMap<string, DeviceNames>;
  readonly kvm: Reading<Kvm>;
  readonly capabilities: Reading<HostCapabilities>;
  /** Capabilities of the default domain type on this host. */
  readonly domain: Reading<DomainCapabilities>;
  readonly versions: Versions | undefined;
  readonly memoryBytes: Reading<number>;
  readonly pools: Reading<readonly PoolFacts[]>;
  readonly networks: Reading<readonly NetworkFacts[]>;
  /** Filesystem space by path, for directory pools. */
  readonly spaces: ReadonlyMap<string, Reading<FilesystemSpace>>;
  /** By pool, for active pools. */
  readonly volumes: ReadonlyMap<string, Reading<VolumeCapacities>>;
  /** Guests failed on KVM: an openable device then proves nothing. */
  readonly kvmFails: boolean;
  /** Configured overcommit ratio of pools. */
  readonly thinRatio: number;
  /** Missing parts reported by other readings. */
  readonly reasons: readonly string[];
}

export const emptyInventory: HostInventory = {
  complete: false,
  incompleteReasons: ["the host has not been read yet"],
  cells: [],
  storagePools: [],
  networks: [],
  devices: [],
  traits: [],
};

/** Pools in a mounted filesystem, whose space can be read. */
const directoryPools = new Set(["dir", "fs", "netfs"]);

export const directoriesOf = (pools: readonly Pick<StoragePool, "type" | "active" | "path">[]): string[] =>
  pools.flatMap(({ type, active, path }) =>
    active && directoryPools.has(type) && path !== undefined ? [path] : [],
  );

/** The inventory after a round. Unreadable parts keep their last known values, with the reason. */
export function assembleInventory(
  sources: InventorySources,
  before: HostInventory,
  nowMs: number,
): HostInventory {
  const found = assembleCells({
    nodes: sources.nodes,
    capabilities: sources.capabilities,
    topology: sources.topology,
    machineMemoryBytes: valueOf(sources.memoryBytes) ?? valueOf(sources.memory)?.totalBytes,
    before: before.cells,
  });
  const cells = withOutOfUse(found.value, { ...sources, before: before.cells });
  const pools = assemblePools(sources, before.storagePools, nowMs);
  const devices = assembleDevices(sources.pci, sources.names, before.devices);
  const compatibility = assembleCompatibility(sources) ?? before.compatibility;
  const cpu = assembleCpu(sources.cpu, valueOf(sources.capabilities), before.cpu);
  const reasons = [
    ...sources.reasons,
    ...failures({
      CPU: sources.cpu,
      "CPU topology": sources.topology,
      capabilities: sources.capabilities,
      "domain capabilities": sources.domain,
      mounts: sources.mounts,
      "node memory": sources.memoryBytes,
      memory: sources.memory,
      "storage pools": sources.pools,
      networks: sources.networks,
    }),
    ...found.reasons,
    ...cells.reasons,
    ...pools.reasons,
    ...devices.reasons,
    ...unreadNetworks(sources.networks),
  ];
  return defined({
    complete: reasons.length === 0,
    incompleteReasons: reasons,
    cpu,
    cells: cells.value,
    storagePools: pools.value,
    networks: assembleNetworks(sources.networks, before.networks, nowMs),
    devices: devices.value,
    traits: traitsOf({ ...sources, cells: cells.value, devices: devices.value }),
    compatibility,
  });
}

/** Whether the absence of a trait is certain, rather than unreadable. */
export const provesTraits = (
  sources: Pick<InventorySources, "capabilities" | "domain" | "nodes" | "pci">,
): boolean =>
  [sources.capabilities, sources.domain, sources.nodes, sources.pci].every(({ kind }) => kind !== "failed");

function assembleCompatibility({
  capabilities,
  domain,
  versions,
}: InventorySources): Compatibility | undefined {
  if (capabilities.kind !== "read" || domain.kind !== "read" || versions?.hypervisor === undefined)
    return undefined;
  return compatibilityOf({
    capabilities: capabilities.value,
    domain: domain.value,
    libvirtVersion: versions.libvirt,
    hypervisorVersion: versions.hypervisor,
  });
}

/** "a, b: why" for parts that failed for the same reason. Unsupported parts do not count as missing. */
function failures(parts: Readonly<Record<string, Reading<unknown>>>): string[] {
  const namesByReason = new Map<string, string[]>();
  for (const [name, part] of Object.entries(parts)) {
    if (part.kind !== "failed") continue;
    namesByReason.set(part.reason, [...(namesByReason.get(part.reason) ?? []), name]);
  }
  return [...namesByReason].map(([reason, names]) => `${names.join(", ")}: ${reason}`);
}

function assemblePools(
  sources: InventorySources,
  before: readonly StoragePool[],
  nowMs: number,
): Part<readonly StoragePool[]> {
  const pools = valueOf(sources.pools);
  // Without a list, the state of all pools is unknown.
  if (pools === undefined) return { value: before.map(unknownNow), reasons: [] };
  const reasons: string[] = [];
  const value = pools.flatMap(({ name, details }): StoragePool[] => {
    if (details.kind !== "read") {
      reasons.push(`storage pool ${name}: ${details.reason}`);
      const known = before.find((pool) => pool.name === name);
      return known === undefined ? [] : [unknownNow(known)];
    }
    const { type, active, path, source, capacityBytes, allocatedBytes, availableBytes } = details.value;
    const libvirtSizes = { capacityBytes, allocatedBytes, availableBytes };
    const sharedId = sharedIdOf(defined({ type, source, path }), valueOf(sources.mounts) ?? []);
    const known = before.find((pool) => pool.name === name)?.sharedId;
    const volumes = active ? sources.volumes.get(name) : undefined;
    const missing = volumes?.kind === "failed" ? volumes.reason : valueOf(volumes ?? unread)?.missing;
    if (missing !== undefined) reasons.push(`volumes of storage pool ${name}: ${missing}`);
    const pool = { name, type, active, presence: "present", observedAtMs: nowMs } as const;
    const space = path !== undefined && active ? valueOf(sources.spaces.get(path) ?? unread) : undefined;
    const isWhole = volumes?.kind === "read" && missing === undefined;
    return [
      defined<StoragePool>({
        ...pool,
        thinRatio: sources.thinRatio,
        sharedId: sources.mounts.kind === "read" ? sharedId : (sharedId ?? known),
        path,
        // libvirt's sizes are from the pool's last refresh; the filesystem's are current.
        ...(active && (space === undefined ? libvirtSizes : sizesOf(space))),
        provisionedBytes: isWhole ? sum(volumes.value.bytes.values()) : undefined,
        suspiciousVolumes: isWhole ? volumes.value.suspicious?.size : undefined,
      }),
    ];
  });
  return { value, reasons };
}

const sum = (amounts: Iterable<number>): number => [...amounts].reduce((all, amount) => all + amount, 0);

const unread = { kind: "failed", reason: "not read" } as const;

/** Without a list, the state of all networks is unknown. */
function assembleNetworks(
  networks: InventorySources["networks"],
  before: readonly HostNetwork[],
  nowMs: number,
): readonly HostNetwork[] {
  if (networks.kind !== "read") return before.map(unknownNow);
  return networks.value.map(({ problem, silent, ...network }): HostNetwork => {
    const seen = { presence: "present", observedAtMs: nowMs } as const;
    const known = problem === undefined ? undefined : before.find(({ name }) => name === network.name);
    if (silent === true) return unknownNow(known ?? { ...network, ...seen });
    return { ...known, ...network, bridge: known?.bridge ?? network.bridge, ...seen };
  });
}

const unreadNetworks = (networks: InventorySources["networks"]): string[] =>
  networks.kind !== "read"
    ? []
    : networks.value.flatMap(({ name, problem }) =>
        problem === undefined ? [] : [`network ${name}: ${problem}`],
      );

const unknownNow = <T extends StoragePool | HostNetwork>(one: T): T => ({ ...one, presence: "unknown" });

function sizesOf(
  space: FilesystemSpace,
): Pick<StoragePool, "capacityBytes" | "allocatedBytes" | "availableBytes"> {
  const { sizeBytes, usedBytes, availableBytes } = space;
  return { capacityBytes: sizeBytes, allocatedBytes: usedBytes, availableBytes };
}

function assembleCpu(
  cpu: Reading<CpuModel>,
  capabilities: HostCapabilities | undefined,
  before: HostInventory["cpu"],
): HostInventory["cpu"] {
  if (cpu.kind !== "read") return before;
  const architecture = capabilities?.cpu.arch ?? before?.architecture ?? cpu.value.architecture;
  return { ...cpu.value, architecture };
}
