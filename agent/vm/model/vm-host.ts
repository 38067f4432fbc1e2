import type { PlacementRequest, VolumeRef } from "../../contract/spec.ts";
import type { KvmState } from "../../hardware/cpu/kvm.ts";
import type { ClaimRequest, DeviceRequest, Growth } from "../../state/reservations/footprint.ts";
import type { Placement } from "../../state/reservations/placement.ts";

/** The host's functions that the VM layer needs; the composition root provides them. */
export interface VmHost {
  /**
   * Claims capacity for a VM, or its reserved capacity, and returns the placement, synchronously. Throws `exhausted`
   * NO_CAPACITY or TENANT_QUOTA_EXCEEDED with the dimension, and the error for a reservation that it cannot use.
   */
  claim(vm: VmClaim & { readonly reservation?: { readonly id: string; readonly caller: string } }): RoomClaim;
  /** Restores the claim of an earlier run of the agent, even without free capacity. */
  reclaim(vm: VmClaim & { readonly placement: Placement; readonly reservationId?: string }): RoomClaim;
  /** The address of a device that is free to a VM that exists, for `grow` in the same step. Throws as `claim` does for devices. */
  placeDevice(request: DeviceRequest): string;
  /** Claims capacity for a change of a VM, synchronously. Throws as `claim` does. */
  grow(growth: Growth): GrowthClaim;
  /** Restores the claim of an earlier run of the agent, even without free capacity. */
  regrow(growth: Growth): GrowthClaim;
  /** Waits a few seconds at most for the first read of the storage pools, so that `claim` knows their free space. */
  storageRead(): Promise<void>;
  /** Volumes that were deleted with their VM. */
  deleted(volumes: readonly VolumeRef[]): void;
  /** Whether the host has a trait (host/inventory/traits.ts); undefined: not known now. */
  trait(name: string): boolean | undefined;
  /** Whether KVM can be used: `broken` carries the evidence that it opens but cannot run guests. */
  kvm(): KvmState;
}

/** For a VM that is being created. */
export type VmClaim = ClaimRequest & Required<Pick<ClaimRequest, "tenant" | "accelerator" | "volumes">>;

export interface GrowthClaim {
  /** The VM was, or may have been, changed: observation counts it from now on. */
  made(): void;
  /** The VM was not changed. */
  released(): void;
}

export interface RoomClaim {
  readonly placement: Placement;
  /** From the reservation, if the VM's spec has none. */
  readonly placementRequest?: PlacementRequest;
  /** The VM's creation is recorded, and uses up its reservation. Durable when it resolves. */
  begun(): Promise<void>;
  /** The VM exists: observation counts it from now on. */
  consume(): void;
  /** The VM was not created. */
  release(): void;
}
