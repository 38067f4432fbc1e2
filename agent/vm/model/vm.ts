import type { Accelerator, VmSpec, VolumeRef } from "../../contract/spec.ts";
import type { QueueItem } from "../../kernel/concurrency/bounded-queue.ts";
import type { Rescue } from "./rescue.ts";
import type { Backups } from "./backups.ts";
import type { Snapshots } from "./snapshots.ts";
import type { SeedNote } from "./seed-note.ts";
import type { Unstarted } from "./unstarted.ts";
import type { diskReadings, nicReadings, Readings, vcpuReadings, vmReadings } from "./readings.ts";

export type VmState = "running" | "paused" | "stopping" | "stopped" | "crashed" | "suspended" | "unknown";

/**
 * One VM as last seen in libvirt. Immutable: a change makes a new object. An absent VM has no object; `unknown` means
 * that libvirt has not answered since `observedAtMs`.
 */
export interface Vm {
  readonly id: string;
  readonly name: string;
  readonly presence: "present" | "unknown";
  /** Wall clock of libvirt's last report on it. */
  readonly observedAtMs: number;
  readonly state: VmState;
  /** Upper snake, in libvirt's terms: BOOTED, USER, SHUTDOWN, CRASHED, IO_ERROR, INTERNAL_ERROR, ... */
  readonly stateReason: string;
  /** Made by Socle. Other VMs are listed and counted, never changed. */
  readonly managed: boolean;
  readonly accelerator?: Accelerator;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** NUMA cells that its memory is bound to; empty: any. */
  readonly cells: readonly number[];
  readonly hugepageBytes?: number;
  /** The host CPUs of each bound vCPU, in the order of vCPUs; unbound ones are left out. */
  readonly vcpuPins?: readonly (readonly number[])[];
  /** The host CPUs that QEMU's own threads are bound to. */
  readonly emulatorPin?: readonly number[];
  /** PCI addresses of the host devices that it holds: those in its domain, and the placed ones. */
  readonly devices?: readonly string[];
  /** PCI addresses of the host devices that Socle placed for it, in the order of its spec's `placement.devices`. */
  readonly placedDevices?: readonly string[];
  readonly tenant: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAtMs?: number;
  readonly placementEpoch: number;
  /** Of managed VMs: identifies it among all VMs that ever have this id. */
  readonly instance?: string;
  /** The newest recorded operation that had an effect on it. The etag does not cover it. */
  readonly newestOperation?: string;
  /** Of managed VMs, unless unreadable. */
  readonly spec?: VmSpec;
  /** Its snapshots, and the layers of its disks; absent without any. */
  readonly snapshots?: Snapshots;
  /** The rescue system that it boots, or whose volume it still has; absent without one. */
  readonly rescue?: Rescue;
  /** It runs the rescue system now. */
  readonly isRescued?: true;
  /** Its open backup and the newest whole one; absent without any. */
  readonly backups?: Backups;
  /** Absent once it has started. */
  readonly unstarted?: Unstarted;
  /** Its cloud-init seeds; absent until one was changed. */
  readonly seed?: SeedNote;
  /**
   * Why its metadata or its XML cannot be read. Its size is libvirt's. A managed VM without a spec has no tenant, since
   * its metadata is not trusted. Only a stop or a delete may change it.
   */
  readonly unreadable?: string;
  /** With an unreadable spec: the tenant in the metadata. It grants no access; its quota counts the VM. */
  readonly claimedTenant?: string;
  /** Of a stopped VM: its memory is saved, and a start continues from it. Undefined: not known, or the VM is active. */
  readonly savedState?: boolean | undefined;
  /** What its guest can take once it continues from there: it may be more than the definition has. */
  readonly savedMemoryBytes?: number | undefined;
  /** Its guest was given memory beyond its start, in devices of its own. */
  readonly isGrown?: true;
  /** Ids of the volume keys that sealed its passphrases. */
  readonly sealedBy?: readonly string[];
  readonly disks: readonly VmDisk[];
  readonly nics: readonly VmNic[];
  /**
   * While it runs: the DHCP leases of its NICs; another array only if they changed. The etag does not cover them, since the
   * guest decides when it takes one.
   */
  readonly leases?: readonly NicLease[] | undefined;
  /** Absent until the first time. A reading, as leases are. */
  readonly watchdog?: WatchdogReading | undefined;
  /** Changes with everything but readings and observedAtMs. */
  readonly etag: string;
  /** Only while it runs. */
  readonly stats?: VmStats | undefined;
}

/** How often the guest's watchdog expired since the first observation. */
export interface WatchdogReading {
  readonly expirations: number;
  readonly lastAtMs: number;
}

export interface VmDisk {
  /** The spec's name, if Socle made it. */
  readonly name?: string;
  /** The guest's device, e.g. vda. */
  readonly device: string;
  readonly path?: string;
  /** The volume by which the domain names it, as in domains that Socle did not make. */
  readonly volume?: VolumeRef;
  readonly readOnly?: true;
  /** Its backing images, which the guest only reads. Known while the domain runs. */
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
  /** The network of libvirt that it is on, if it is on one. */
  readonly network?: string;
}

/** An address that libvirt's DHCP server of a network leased to a MAC address. */
export interface NicLease {
  readonly network: string;
  readonly mac: string;
  readonly address: string;
  readonly prefixLength: number;
}

/** Whether both are the same but for readings: what a watcher was sent is still current. */
export const isSameVm = (a: ShownVm, b: ShownVm): boolean =>
  a.etag === b.etag && a.leases === b.leases && a.watchdog === b.watchdog;
type ShownVm = Pick<Vm, "etag" | "leases" | "watchdog">;

/** Means over the time between the last two samplings. Unknown values are undefined. */
export interface VmRates {
  /** CPU seconds per second, over all vCPUs and QEMU's own threads. */
  readonly cpuCores?: number | undefined;
  readonly diskReadBytesPerSecond?: number | undefined;
  readonly diskWriteBytesPerSecond?: number | undefined;
  readonly receiveBytesPerSecond?: number | undefined;
  readonly transmitBytesPerSecond?: number | undefined;
}

/** One sampling of a VM. Counters start with the guest. */
export interface VmStats extends Readings<typeof vmReadings> {
  /** Wall clock, for display; its age is on the monotonic clock. */
  readonly sampledAtMs: number;
  readonly sampledAtMonotonicMs: number;
  /** The guest's process did not answer; the values are from sampledAtMs. */
  readonly unresponsive: boolean;
  /** What the guest has. Not known of one that has grown: libvirt adds each of its devices again at each reset. */
  readonly balloonBytes?: number | undefined;
  readonly vcpus: readonly VcpuStats[];
  readonly nics: readonly NicStats[];
  readonly disks: readonly DiskStats[];
  /** During an outgoing migration: memory and disks together. */
  readonly migrationProcessedBytes?: number | undefined;
  readonly migrationRemainingBytes?: number | undefined;
  /** Undefined in a guest's first sampling, and while it does not answer. */
  readonly rates?: VmRates | undefined;
}

/** Incident counters since the first observation, at the earliest since the agent's start. */
export interface VmIncidents {
  readonly panics: number;
  readonly ioErrors: number;
}

export interface VcpuStats extends Readings<typeof vcpuReadings> {
  readonly index: number;
}

export interface NicStats extends Readings<typeof nicReadings> {
  readonly device: string;
}

export interface DiskStats extends Readings<typeof diskReadings> {
  readonly device: string;
}

/** `added` and `changed` carry the VM as it is now. `resync`: read all VMs again. */
export type VmChange =
  | { readonly kind: "added" | "changed"; readonly vm: Vm }
  | { readonly kind: "removed"; readonly vm: Vm }
  | { readonly kind: "resync" };

/** A sampling round: its end, its duration, and whether guests could be asked for their readings. */
export interface SamplingRound {
  /** Wall clock, for display; its age is on the monotonic clock. */
  readonly atMs: number;
  readonly atMonotonicMs: number;
  readonly durationMs: number;
  readonly ok: boolean;
}

/** Read access to VMs for api, scheduler link and metrics: answers from memory, at once. */
export interface VmView {
  get(idOrName: string): Vm | undefined;
  /** All, ordered by id. */
  all(): readonly Vm[];
  /** Whether `all()` has all VMs: a complete listing over a connection that is healthy now. */
  readonly complete: boolean;
  readonly observedAtMs: number;
  /**
   * For a caller restricted to a tenant: a VM that may be its tenant's, hidden since its spec is unreadable. `wasOwn`:
   * also a VM whose metadata names no tenant any more.
   */
  hidden?(idOrName: string, wasOwn?: boolean): Vm | undefined;
  /** Number of managed VMs whose spec is unreadable, so that they have neither tenant nor labels. */
  readonly specUnreadable: number;
  /** The last sampling round; undefined before the first. */
  readonly lastSample: SamplingRound | undefined;
  /** The last round with guest readings. */
  readonly lastReadings: SamplingRound | undefined;
  subscribe(signal: AbortSignal): AsyncIterable<QueueItem<VmChange>>;
}

/** Adds the sampling rounds. */
export interface SampledVms extends VmView {
  /** An item after each round, successful or not. */
  rounds(signal: AbortSignal): AsyncIterable<{ readonly kind: "item" | "overflow" }>;
  /** Resolves at the first complete list. Rejects with the signal's reason. */
  untilComplete(signal: AbortSignal): Promise<void>;
}
