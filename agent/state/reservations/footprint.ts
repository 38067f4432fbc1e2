import type { Accelerator, PlacementRequest, VolumeRef } from "../../contract/spec.ts";

// What a VM takes of the host: vm/ requests and observes it, host/ claims and counts it.

/** A VM's size, independent of its placement. */
export interface VmSize {
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** What the running guest can be given, where that is more. */
  readonly maxMemoryBytes?: number;
  /** Under tcg, QEMU also caches translated code. Absent: not known. */
  readonly accelerator?: Accelerator;
}

/** A volume to be created. */
export interface NewVolume extends VolumeRef {
  readonly capacityBytes: number;
}

/** Resources for a VM that is being created, or for a reservation. */
export interface ClaimRequest extends VmSize {
  /** The id of the VM or the reservation. */
  readonly holder: string;
  /** The tenant whose quota it uses; absent or empty: none. */
  readonly tenant?: string;
  /** Absent: any cell. */
  readonly placementRequest?: PlacementRequest;
  /** Volumes to create for it. */
  readonly volumes?: readonly NewVolume[];
}

/** The size that a change gives an existing VM, where it is greater than now. */
export interface SizeTarget extends Partial<Pick<VmSize, "vcpus" | "memoryBytes">> {
  /** The VM's id. */
  readonly id: string;
  /** PCI addresses of the host devices that it gets besides those that it has. */
  readonly devices?: readonly string[];
}

/** A device of the host for an existing VM. */
export interface DeviceRequest {
  readonly vmId: string;
  /** A PCI address, or an alias. */
  readonly device: string;
  /** What the VM's spec asks for. */
  readonly placementRequest: PlacementRequest;
  /** The NUMA cells that the VM is bound to; empty: any. */
  readonly cells: readonly number[];
}

/** Capacity for a change of an existing VM. */
export interface Growth {
  /** The VM's tenant; empty: none. */
  readonly tenant: string;
  readonly size?: SizeTarget;
  /** Volumes to create or to enlarge, with the capacity that they get. */
  readonly volumes: readonly NewVolume[];
  /** How much the capacity of the disks made for the VM grows. */
  readonly diskBytes: number;
}

/** A VM's resource use, defined or running, managed by Socle or not. */
export interface Footprint extends VmSize {
  readonly id: string;
  /**
   * Tenant of a VM that Socle made; absent or empty: no tenant. An unreadable VM counts for the tenant that it had, or
   * claims.
   */
  readonly tenant?: string;
  /** Capacity of the disks created for it. */
  readonly diskBytes?: number;
  /** Cells that it is bound to; empty: any. */
  readonly cells: readonly number[];
  /** Size of the huge pages behind its memory. */
  readonly hugepageBytes?: number;
  /** The host CPUs of each pinned vCPU; unlisted vCPUs may run on any CPU. */
  readonly vcpuPins?: readonly (readonly number[])[];
  /** The host CPUs of QEMU's own threads. */
  readonly emulatorPin?: readonly number[];
  /** PCI addresses of its host devices. */
  readonly devices?: readonly string[];
  /** Its QEMU process exists. */
  readonly active: boolean;
}
