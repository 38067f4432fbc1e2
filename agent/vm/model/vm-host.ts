import type { Placement } from "../../state/reservations/placement.ts";
import type { PlacementWish } from "../../contract/spec.ts";
import type { KvmState } from "./accelerator.ts";
import type { Accelerator, VolumeRef } from "../../contract/spec.ts";

/** The host's functions that the VM layer needs; the composition root provides them. */
export interface VmHost {
  /**
   * Claims capacity for a VM, or its reserved capacity, and returns the placement, synchronously. Throws `exhausted`
   * NO_CAPACITY or TENANT_QUOTA_EXCEEDED with the dimension, and the error for a reservation that it cannot use.
   */
  claim(vm: VmSize & { readonly reservation?: ReservationUse }): RoomClaim;
  /** Restores the claim of an earlier run of the agent, even without free capacity. */
  reclaim(vm: VmSize & { readonly placement: Placement; readonly reservationId?: string }): RoomClaim;
  /** Waits a few seconds at most for the first read of the storage pools, so that `claim` knows their free space. */
  storageRead(): Promise<void>;
  /** Volumes that were deleted with their VM. */
  deleted(volumes: readonly VolumeRef[]): void;
  /** Whether the host has a trait (host/inventory/traits.ts); undefined: not known now. */
  trait(name: string): boolean | undefined;
  /** Whether KVM can be used: `broken` carries the evidence that it opens but cannot run guests. */
  kvm(): KvmState;
}

export interface VmSize {
  readonly vmId: string;
  /** The tenant whose quota it counts against; empty: none. */
  readonly tenant: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly accelerator: Accelerator;
  readonly wish?: PlacementWish;
  /** Volumes to be made for it. */
  readonly volumes: readonly (VolumeRef & { readonly capacityBytes: number })[];
}

/** The reservation that a VM uses up. */
export interface ReservationUse {
  readonly id: string;
  readonly caller: string;
  readonly tenant: string;
}

export interface RoomClaim {
  readonly placement: Placement;
  /** From the reservation, if the VM's spec has none. */
  readonly wish?: PlacementWish;
  /** The VM's creation is recorded, and uses up its reservation. Durable when it resolves. */
  begun(): Promise<void>;
  /** The VM exists: observation counts it from now on. */
  consume(): void;
  /** The VM was not created. */
  release(): void;
}
