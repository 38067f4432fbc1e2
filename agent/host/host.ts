import type { CacheGroup } from "../hardware/cpu/cpu-topology.ts";
import type { PciFunction } from "../hardware/pci/pci.ts";

/** What this machine is, has and how it is. All of it is answered from memory. */
export interface HostSnapshot {
  readonly identity: HostIdentity;
  readonly inventory: HostInventory;
  /** Wall clock of when the machine was looked at last; absent before the first time. */
  readonly inventoryReadAtMs?: number;
  readonly capacity: HostCapacity;
  readonly health: HostHealth;
  /** An operator's word; never changed automatically. */
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
  /** False when any part could not be read; `incompleteReasons` says which and why. */
  readonly complete: boolean;
  readonly incompleteReasons: readonly string[];
  readonly cpu?: {
    readonly architecture: string;
    readonly vendor: string;
    readonly model: string;
    readonly sockets: number;
    readonly cores: number;
    readonly threads: number;
    readonly maxFrequencyHertz?: number;
  };
  readonly cells: readonly NumaCell[];
  readonly storagePools: readonly StoragePool[];
  readonly networks: readonly HostNetwork[];
  readonly devices: readonly PciDevice[];
  readonly traits: readonly string[];
  /** Absent until libvirt has said what a guest would get. */
  readonly compatibility?: Compatibility;
}

/** A PCI function that could be given to a guest; the board's own (bridges, memory) are left out. */
export interface PciDevice extends PciFunction {
  readonly kind: "network" | "storage" | "gpu" | "accelerator" | "usb" | "other";
  /** Names, where libvirt knows them. */
  readonly vendor?: string;
  readonly product?: string;
}

/** What a guest depends on when it moves: two hosts with the same digest give it the same. */
export interface Compatibility {
  readonly digest: string;
  readonly accelerator: "kvm" | "tcg";
  /** What host-model means here. */
  readonly cpuModel: string;
  readonly cpuVendor: string;
  /** Beyond the model, as policy:name (require:aes, disable:svm); ascending. */
  readonly cpuFeatures: readonly string[];
  /** Of the host's own CPU, for guests that get it as it is; ascending. */
  readonly hostCpuFeatures: readonly string[];
  /** Without aliases; ascending. */
  readonly machineTypes: readonly string[];
}

export interface NumaCell {
  readonly id: number;
  /** Those that are online. */
  readonly cpus: readonly number[];
  /** Those that are there and not online; absent: none. */
  readonly offlineCpus?: readonly number[];
  readonly memoryBytes: number;
  /** Of it, what lost data and is not used any more; absent: none. */
  readonly poisonedBytes?: number;
  readonly pages: readonly { readonly sizeBytes: number; readonly total: number; readonly free?: number }[];
  readonly distances: readonly number[];
  /** Hardware threads by core; absent where nobody says: each CPU counts as a core of its own then. */
  readonly siblings?: readonly (readonly number[])[];
  /** Last-level caches with those who share each, where they are known. */
  readonly caches?: readonly CacheGroup[];
}

export interface StoragePool {
  readonly name: string;
  readonly type: string;
  readonly active: boolean;
  readonly presence: "present" | "unknown";
  readonly observedAtMs: number;
  /** Sizes are absent where they are not known: the pool is inactive, or was never read. */
  readonly capacityBytes?: number;
  readonly allocatedBytes?: number;
  readonly availableBytes?: number;
  /** What its volumes may grow to, all together; absent where it could not be read. */
  readonly provisionedBytes?: number;
  readonly path?: string;
  /** Pools with the same one, on whatever host, are the same storage: it counts once. Absent: alone of its kind. */
  readonly sharedId?: string;
  /** Bytes of thin volumes sold per byte that is there. */
  readonly thinRatio?: number;
}

export interface HostNetwork {
  readonly name: string;
  readonly bridge: string;
  readonly active: boolean;
  /** "unknown": as it was seen last. */
  readonly presence: "present" | "unknown";
  readonly observedAtMs: number;
}

export interface HostCapacity {
  readonly generation: number;
  /** False while what VMs take is not known, or only as it was seen last; `incompleteReasons` says which. */
  readonly complete: boolean;
  readonly incompleteReasons: readonly string[];
  readonly cells: readonly { readonly id: number; readonly resources: readonly ResourceCapacity[] }[];
  /** The CPUs that are given to one VM each. Configuration. */
  readonly dedicatedCpus: readonly number[];
  readonly devices: readonly DeviceCapacity[];
}

/** A device of the host that a VM can be given. */
export interface DeviceCapacity {
  /** PCI address as sysfs spells it. */
  readonly address: string;
  /** The operator's name for it, or for all of its kind. */
  readonly alias?: string;
  /** Its NUMA cell, where it has one. */
  readonly cell?: number;
  /** All devices of one group go to the same VM. */
  readonly iommuGroup: number;
  /** "unknown": nobody is known to have it, and the VMs were not listed yet. */
  readonly state: "free" | "allocated" | "claimed" | "unhealthy" | "unknown";
  /** Of the VM or reservation that has it, or another of its IOMMU group. */
  readonly holder?: string;
}

/** available = (total - reserved - unhealthy) * overcommitRatio - allocated - claimed; shown as it is when negative. */
export interface ResourceCapacity {
  /** cpu in vCPUs that share CPUs, cpu_dedicated in CPUs for one VM alone, the others in bytes. */
  readonly resource: "cpu" | "cpu_dedicated" | "memory" | "memory_2m" | "memory_1g";
  readonly total: number;
  readonly reserved: number;
  /** Absent, as is `available`, before the VMs were listed a first time. */
  readonly allocated?: number;
  readonly claimed: number;
  /** There and not usable: CPUs that are offline, memory that lost data. */
  readonly unhealthy: number;
  readonly overcommitRatio: number;
  readonly available?: number;
  /** Bounds of one VM's request: the least, the most on a host without VMs, and the step. */
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export type Effect = "none" | "degraded" | "no_schedule" | "evacuate" | "fence_requested";
export type Truth = "true" | "false" | "unknown";

export interface Condition {
  /** LibvirtUnresponsive, KvmUnavailable, DiskSpace, MemoryPressure, AgentImpaired, ... */
  readonly type: string;
  readonly status: Truth;
  /** What a scheduler should do because of it, now: "none" while the status is false, or nobody watches it. */
  readonly effect: Effect;
  /** Upper camel, e.g. ProbeFailed. */
  readonly reason: string;
  readonly evidence: string;
  /** What it is true of, where that is not the host as a whole: disks, DIMMs, pools, ... Ascending. */
  readonly subjects: readonly string[];
  readonly sinceMs: number;
  readonly lastProbeMs: number;
  /** Held until an operator acknowledges it. */
  readonly latched: boolean;
  /** An operator has; it is held until the reboot alone. */
  readonly acknowledged: boolean;
  /** Held until the host was rebooted. */
  readonly untilReboot: boolean;
}

export interface HostHealth {
  /** The worst effect of all conditions. */
  readonly state: Effect;
  readonly conditions: readonly Condition[];
  /** The agent and its probes work. A dead host does not answer: false is never said. */
  readonly alive: Truth;
  /** New VMs may be put here: no condition forbids it, none that could is unknown, and nobody cordoned the host. */
  readonly schedulable: Truth;
  /** The conditions for which it is not true: those that forbid it, then those that could and are unknown. */
  readonly notSchedulableBy: readonly string[];
  /** Cutting the power would lose no guest. Answered when asked: the agent never asks for a fence on metrics. */
  readonly safeToFence: Truth;
}

/** What of the machine is in use now. A part that could not be read, or lately was not, is absent. */
export interface HostUsage {
  readonly readAtMs: number;
  /** 0 to 1, of all CPUs together, between the last two readings. */
  readonly cpuBusyRatio?: number;
  readonly memoryTotalBytes?: number;
  readonly memoryAvailableBytes?: number;
  readonly cells: readonly { readonly id: number; readonly memoryFreeBytes: number }[];
}

/** The door that readers of the host use (api, scheduler link, metrics). */
export interface HostView {
  /** A part of it that did not change is the same object as before. */
  snapshot(): HostSnapshot;
  /** An item after every change of the snapshot other than readings that move all the time. */
  subscribe(signal: AbortSignal): AsyncIterable<{ readonly kind: "item" | "overflow" }>;
}
