import type { Accelerator, VmSpec, VolumeRef } from "./spec.ts";

export type VmState = "running" | "paused" | "stopping" | "stopped" | "crashed" | "suspended" | "unknown";

/**
 * What is known of one VM, as last seen in libvirt. Immutable: a change makes a new one. There is no record of a VM
 * that is absent; `unknown` means that libvirt could not be asked since `observedAtMs`.
 */
export interface Vm {
  readonly id: string;
  readonly name: string;
  readonly presence: "present" | "unknown";
  /** Wall clock of the last time libvirt told about it. */
  readonly observedAtMs: number;
  readonly state: VmState;
  /** Upper snake, in libvirt's terms: BOOTED, USER, SHUTDOWN, CRASHED, IO_ERROR, INTERNAL_ERROR, ... */
  readonly stateReason: string;
  /** Made by Socle. Others are seen and counted, never touched. */
  readonly managed: boolean;
  readonly accelerator?: Accelerator;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** NUMA cells that its memory is bound to; empty when it may use any. */
  readonly cells: readonly number[];
  readonly hugepageBytes?: number;
  /** The host CPUs of each vCPU that is bound to some, by the vCPU's order; one that is bound to none is left out. */
  readonly vcpuPins?: readonly (readonly number[])[];
  /** The host CPUs that QEMU's own threads are bound to. */
  readonly emulatorPin?: readonly number[];
  /** PCI addresses of the host's devices that it has. */
  readonly devices?: readonly string[];
  readonly tenant: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAtMs?: number;
  readonly placementEpoch: number;
  /** Of managed VMs: which of all VMs that had or will have this id. */
  readonly instance?: string;
  /** The newest operation that had an effect on it, where one is on record. The etag does not cover it. */
  readonly newestOperation?: string;
  /** Of managed VMs, unless unreadable. */
  readonly spec?: VmSpec;
  /**
   * Why its metadata or its XML cannot be read. Its size is libvirt's. A managed one without spec has no tenant: what its
   * metadata claims is not trusted. Only a stop or a delete may change it.
   */
  readonly unreadable?: string;
  /** With an unreadable spec: the tenant in the metadata. It grants no access; its quota counts the VM. */
  readonly claimedTenant?: string;
  /** Ids of the volume keys that its passphrases are sealed by, where it has any. */
  readonly sealedBy?: readonly string[];
  readonly disks: readonly VmDisk[];
  readonly nics: readonly VmNic[];
  /** Changes with everything but stats and observedAtMs. */
  readonly etag: string;
  /** Of one that runs. */
  readonly stats?: VmStats | undefined;
}

export interface VmDisk {
  /** The spec's name where Socle made it. */
  readonly name?: string;
  /** The guest's device, e.g. vda. */
  readonly device: string;
  readonly path?: string;
  /** Where libvirt finds it by its volume, as in domains that Socle did not make. */
  readonly volume?: VolumeRef;
  readonly readOnly?: true;
  /** The images below it, which its guest only reads. Known while the domain runs. */
  readonly backing?: readonly VmImage[];
  /** The image that a block job copies it to. */
  readonly mirror?: VmImage;
}

/** A file or a volume. */
export type VmImage = Pick<VmDisk, "path" | "volume">;

export interface VmNic {
  readonly name?: string;
  /** The host's device, e.g. vnet0; absent while stopped. */
  readonly device?: string;
  readonly mac: string;
}

/** Means over the time between the last two samplings. What is not known is undefined. */
export interface VmRates {
  /** CPU seconds per second, over all vCPUs and QEMU's own threads. */
  readonly cpuCores?: number | undefined;
  readonly diskReadBytesPerSecond?: number | undefined;
  readonly diskWriteBytesPerSecond?: number | undefined;
  readonly receiveBytesPerSecond?: number | undefined;
  readonly transmitBytesPerSecond?: number | undefined;
}

/** One sampling of a VM. What could not be read is undefined, never zero. Counters are totals since the guest's start. */
export interface VmStats {
  /** Wall clock, for showing; its age is on the monotonic one. */
  readonly sampledAtMs: number;
  readonly sampledAtMonotonicMs: number;
  /** The guest's process did not answer; the values are from sampledAtMs. */
  readonly unresponsive: boolean;
  readonly cpuSeconds?: number | undefined;
  readonly cpuUserSeconds?: number | undefined;
  readonly cpuSystemSeconds?: number | undefined;
  readonly vcpus: readonly VcpuStats[];
  readonly balloonBytes?: number | undefined;
  readonly balloonMaximumBytes?: number | undefined;
  readonly rssBytes?: number | undefined;
  /** When the guest's balloon driver last told what follows; the rest is what libvirt itself knows. */
  readonly guestSaidAtMs?: number | undefined;
  readonly guestAvailableBytes?: number | undefined;
  readonly guestUsableBytes?: number | undefined;
  readonly guestUnusedBytes?: number | undefined;
  readonly guestDiskCachesBytes?: number | undefined;
  readonly guestSwapInBytes?: number | undefined;
  readonly guestSwapOutBytes?: number | undefined;
  readonly guestMajorFaults?: number | undefined;
  readonly guestMinorFaults?: number | undefined;
  readonly nics: readonly NicStats[];
  readonly disks: readonly DiskStats[];
  /** While it migrates away from here: memory and disks together. */
  readonly migrationProcessedBytes?: number | undefined;
  readonly migrationRemainingBytes?: number | undefined;
  /** Undefined in a guest's first sampling, and while it does not answer. */
  readonly rates?: VmRates | undefined;
}

/** What befell a VM since the agent saw it first or started, whichever was later. */
export interface VmIncidents {
  readonly panics: number;
  readonly ioErrors: number;
}

export interface VcpuStats {
  readonly index: number;
  readonly seconds?: number | undefined;
  readonly waitSeconds?: number | undefined;
  /** Runnable but not run: steal. */
  readonly delaySeconds?: number | undefined;
}

export interface NicStats {
  readonly device: string;
  readonly receiveBytes?: number | undefined;
  readonly receivePackets?: number | undefined;
  readonly receiveErrors?: number | undefined;
  readonly receiveDrops?: number | undefined;
  readonly transmitBytes?: number | undefined;
  readonly transmitPackets?: number | undefined;
  readonly transmitErrors?: number | undefined;
  readonly transmitDrops?: number | undefined;
}

export interface DiskStats {
  readonly device: string;
  readonly readOps?: number | undefined;
  readonly readBytes?: number | undefined;
  readonly readSeconds?: number | undefined;
  readonly writeOps?: number | undefined;
  readonly writeBytes?: number | undefined;
  readonly writeSeconds?: number | undefined;
  readonly flushOps?: number | undefined;
  readonly flushSeconds?: number | undefined;
  readonly capacityBytes?: number | undefined;
  readonly allocatedBytes?: number | undefined;
  readonly physicalBytes?: number | undefined;
}

/** `added` and `changed` carry the VM as it is now; `stats` says that a sampling round ended. `resync`: read all again. */
export type VmChange =
  | { readonly kind: "added" | "changed"; readonly vm: Vm }
  | { readonly kind: "removed"; readonly vm: Vm }
  | { readonly kind: "resync" };

/** When a sampling round ended, how long it took, and whether guests could be asked for their readings. */
export interface SamplingRound {
  /** Wall clock, for showing; its age is on the monotonic one. */
  readonly atMs: number;
  readonly atMonotonicMs: number;
  readonly durationMs: number;
  readonly ok: boolean;
}

/** The door that readers of VMs use (api, scheduler link, metrics): answers from memory, at once. */
export interface VmView {
  get(idOrName: string): Vm | undefined;
  /** All, ordered by id. */
  all(): readonly Vm[];
  /** Whether `all()` is the whole truth: a complete listing over a connection that is healthy now. */
  readonly complete: boolean;
  readonly observedAtMs: number;
  /**
   * Of a caller restricted to a tenant: a VM that may be its own, and is not shown since its spec is unreadable. `wasOwn`:
   * also one that names no tenant any more.
   */
  hidden?(idOrName: string, wasOwn?: boolean): Vm | undefined;
  /** How many managed VMs have an unreadable spec, and so neither tenant nor labels. */
  readonly specUnreadable: number;
  /** The last sampling round; undefined before the first. */
  readonly lastSample: SamplingRound | undefined;
  /** The last of them that read what guests tell. */
  readonly lastReadings: SamplingRound | undefined;
  subscribe(
    signal: AbortSignal,
  ): AsyncIterable<
    | { readonly kind: "item"; readonly value: VmChange }
    | { readonly kind: "overflow"; readonly dropped: number }
  >;
}

/** For those who keep what every sampling round told. */
export interface SampledVms extends VmView {
  /** An item when a round has ended, well or not. */
  rounds(signal: AbortSignal): AsyncIterable<{ readonly kind: "item" | "overflow" }>;
  /** Resolves at the first complete list. Rejects with the signal's reason. */
  untilComplete(signal: AbortSignal): Promise<void>;
}
