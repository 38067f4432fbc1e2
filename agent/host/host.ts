import type { Accelerator } from "../contract/spec.ts";
import type { CpuModel } from "../hardware/cpu/cpu.ts";
import type { CacheGroup } from "../hardware/cpu/cpu-topology.ts";
import type { PciFunction } from "../hardware/pci/pci.ts";

/** Identity, inventory, capacity and health of this machine. Answered from memory. */
export interface HostSnapshot {
  readonly identity: HostIdentity;
  readonly inventory: HostInventory;
  /** Wall clock of the last observation; absent before the first. */
  readonly inventoryReadAtMs?: number;
  readonly capacity: HostCapacity;
  readonly health: HostHealth;
  /** Set by an operator; never changed automatically. */
  readonly scheduling: { readonly state: "active" | "cordoned"; readonly reason: string };
}

export interface HostIdentity {
  /** The host's UUID: from configuration, else libvirt's host uuid, else the machine id. */
  readonly id: string;
  readonly hostname: string;
  readonly agentVersion: string;
  readonly vendor: string;
  readonly model: string;
  readonly serial: string;
  readonly os: string;
  readonly kernel: string;
  readonly libvirtVersion?: string;
  readonly hypervisorVersion?: string;
  readonly bootId: string;
  readonly bootedAtMs?: number;
  readonly agentStartedAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface HostInventory {
  /** False if any part could not be read; `incompleteReasons` has the reasons. */
  readonly complete: boolean;
  readonly incompleteReasons: readonly string[];
  readonly cpu?: CpuModel;
  readonly cells: readonly NumaCell[];
  readonly storagePools: readonly StoragePool[];
  readonly networks: readonly HostNetwork[];
  readonly devices: readonly PciDevice[];
  readonly traits: readonly string[];
  /** Absent until libvirt has reported domain capabilities. */
  readonly compatibility?: Compatibility;
}

/** A PCI function that can be assigned to a guest, without those of the board (bridges, memory). */
export interface PciDevice extends PciFunction {
  readonly kind: "network" | "storage" | "gpu" | "accelerator" | "usb" | "other";
  /** Names, if libvirt knows them. */
  readonly vendor?: string;
  readonly product?: string;
}

/** Properties that a migrating guest depends on: hosts with the same digest are compatible. */
export interface Compatibility {
  readonly digest: string;
  readonly accelerator: Accelerator;
  /** The CPU model of host-model on this host. */
  readonly cpuModel: string;
  readonly cpuVendor: string;
  /** Features beyond the model, as policy:name (require:aes, disable:svm); ascending. */
  readonly cpuFeatures: readonly string[];
  /** Features of the host CPU, for guests with host-passthrough; ascending. */
  readonly hostCpuFeatures: readonly string[];
  /** Without aliases; ascending. */
  readonly machineTypes: readonly string[];
}

export interface NumaCell {
  readonly id: number;
  /** Online CPUs. */
  readonly cpus: readonly number[];
  /** Present but offline CPUs; absent: none. */
  readonly offlineCpus?: readonly number[];
  readonly memoryBytes: number;
  /** Poisoned memory, out of use; absent: none. */
  readonly poisonedBytes?: number;
  readonly pages: readonly { readonly sizeBytes: number; readonly total: number; readonly free?: number }[];
  readonly distances: readonly number[];
  /** Hardware threads by core; absent if unknown: each CPU then counts as a core. */
  readonly siblings?: readonly (readonly number[])[];
  /** Last-level caches with the CPUs that share each, if known. */
  readonly caches?: readonly CacheGroup[];
}

export interface StoragePool {
  readonly name: string;
  readonly type: string;
  readonly active: boolean;
  readonly presence: "present" | "unknown";
  readonly observedAtMs: number;
  /** Sizes are absent if unknown: the pool is inactive, or was never read. */
  readonly capacityBytes?: number;
  readonly allocatedBytes?: number;
  readonly availableBytes?: number;
  /** Total size that its volumes may grow to; absent if unreadable. */
  readonly provisionedBytes?: number;
  /** The files that begin as another format than their name means; absent if unreadable. */
  readonly suspiciousVolumes?: number;
  readonly path?: string;
  /** Pools with the same id, on any host, are the same storage and count once. Absent: not shared. */
  readonly sharedId?: string;
  /** Overcommit ratio for thin volumes. */
  readonly thinRatio?: number;
}

export interface HostNetwork {
  readonly name: string;
  readonly bridge: string;
  readonly active: boolean;
  /** "unknown": as last seen. */
  readonly presence: "present" | "unknown";
  readonly observedAtMs: number;
  readonly uuid?: string;
  /** It starts with the host. */
  readonly autostart?: boolean;
  /** False: libvirt forgets it when it stops. */
  readonly persistent?: boolean;
  /** In libvirt's terms; "" for an isolated network. Absent, as the following, if its XML was never read. */
  readonly forwardMode?: string;
  /** libvirt's DHCP server serves it while it is active. */
  readonly dhcp?: boolean;
  /** The host's addresses, with prefix lengths. */
  readonly addresses?: readonly string[];
}

/** The pools or networks of the last reading, and those that libvirt listed but could not read. */
export interface Listing<Item> {
  readonly items: readonly Listed<Item>[];
  /** False: libvirt did not list them last; they are as last seen. */
  readonly complete: boolean;
  /** Wall clock of the last list; undefined before the first. */
  readonly observedAtMs: number | undefined;
}

export interface Listed<Item> {
  readonly name: string;
  /** Undefined: listed, but never read. */
  readonly item: Item | undefined;
  /** Why it, or a part of it, could not be read last. */
  readonly problem?: string;
}

/** The volumes of a pool, as last read. */
export interface SeenVolumes {
  readonly bytes: ReadonlyMap<string, number>;
  readonly allocatedBytes: ReadonlyMap<string, number>;
  /** Volumes that libvirt lists but cannot open, with the reason. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Files that begin as another format than their name means, with the format that libvirt found. */
  readonly suspicious: ReadonlyMap<string, string>;
}

export interface HostCapacity {
  readonly generation: number;
  /** False while the resource use of VMs is unknown or outdated; see `incompleteReasons`. */
  readonly complete: boolean;
  readonly incompleteReasons: readonly string[];
  readonly cells: readonly { readonly id: number; readonly resources: readonly ResourceCapacity[] }[];
  /** CPUs that serve one VM each, by configuration. */
  readonly dedicatedCpus: readonly number[];
  readonly devices: readonly DeviceCapacity[];
}

/** A host device that a VM can use. */
export interface DeviceCapacity {
  /** PCI address as in sysfs. */
  readonly address: string;
  /** The operator's alias for it, or for all of its kind. */
  readonly alias?: string;
  /** Its NUMA cell, if any. */
  readonly cell?: number;
  /** All devices of a group go to the same VM. */
  readonly iommuGroup: number;
  /** "unknown": no known holder, but the VMs were not listed yet. */
  readonly state: "free" | "allocated" | "claimed" | "unhealthy" | "unknown";
  /** The VM or reservation that holds it, or another device of its IOMMU group. */
  readonly holder?: string;
}

/** available = (total - reserved - unhealthy) * overcommitRatio - allocated - claimed; may be negative. */
export interface ResourceCapacity {
  /** cpu in vCPUs on shared CPUs, cpu_dedicated in exclusive CPUs, the others in bytes. */
  readonly resource: "cpu" | "cpu_dedicated" | "memory" | "memory_2m" | "memory_1g";
  readonly total: number;
  readonly reserved: number;
  /** Absent, as is `available`, before the first VM listing. */
  readonly allocated?: number;
  readonly claimed: number;
  /** Present but unusable: offline CPUs, poisoned memory. */
  readonly unhealthy: number;
  readonly overcommitRatio: number;
  readonly available?: number;
  /** Bounds of one VM's request: minimum, maximum on a host without VMs, and step. */
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/** From the least to the worst. */
export const effects = ["none", "degraded", "no_schedule", "evacuate", "fence_requested"] as const;
export type Effect = (typeof effects)[number];
export const truths = ["true", "false", "unknown"] as const;
export type Truth = (typeof truths)[number];

export interface Condition {
  /** LibvirtUnresponsive, KvmUnavailable, DiskSpace, MemoryPressure, AgentImpaired, ... */
  readonly type: string;
  readonly status: Truth;
  /** What a scheduler should do now: "none" while the status is false, or the condition is not watched. */
  readonly effect: Effect;
  /** Upper camel, e.g. ProbeFailed. */
  readonly reason: string;
  readonly evidence: string;
  /** Affected subjects, if not the whole host: disks, DIMMs, pools, ... Ascending. */
  readonly subjects: readonly string[];
  readonly sinceMs: number;
  readonly lastProbeMs: number;
  /** Held until an operator acknowledges it. */
  readonly latched: boolean;
  /** Acknowledged by an operator; held only until the reboot. */
  readonly acknowledged: boolean;
  /** Held until the host reboots. */
  readonly untilReboot: boolean;
}

export interface HostHealth {
  /** The worst effect of all conditions. */
  readonly state: Effect;
  readonly conditions: readonly Condition[];
  /** The agent and its probes work. Never false, since a dead host does not answer. */
  readonly alive: Truth;
  /** New VMs may be placed here: no condition forbids it or is unknown, and the host is not cordoned. */
  readonly schedulable: Truth;
  /** The conditions that prevent scheduling: first those that forbid it, then unknown ones that could. */
  readonly blockingConditions: readonly string[];
  /** Cutting the power would lose no guest. The agent itself never requests a fence because of metrics. */
  readonly safeToFence: Truth;
}

/** Current resource use of the machine. Parts without a recent reading are absent. */
export interface HostUsage {
  readonly readAtMs: number;
  /** 0 to 1, average of all CPUs between the last two readings. */
  readonly cpuBusyRatio?: number;
  readonly memoryTotalBytes?: number;
  readonly memoryAvailableBytes?: number;
  readonly cells: readonly { readonly id: number; readonly memoryFreeBytes: number }[];
}

/** The read interface for api, scheduler link and metrics. */
export interface HostView {
  /** Unchanged parts are the same objects as before. */
  snapshot(): HostSnapshot;
  /** Yields an item after every change of the snapshot, except for continuously changing readings. */
  subscribe(signal: AbortSignal): AsyncIterable<{ readonly kind: "item" | "overflow" }>;
}
