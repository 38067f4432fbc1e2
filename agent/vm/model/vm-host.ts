import type { Placement, PlacementWish } from "../../state/reservations/placement.ts";
import type { KvmState } from "./accelerator.ts";
import type { Accelerator, VolumeRef } from "./spec.ts";

/** What the VM layer needs to know of its host, handed in by the composition root. */
export interface HostDoor {
  /**
   * Takes room for a VM at once, or what was reserved for it, and says where. Throws `exhausted` NO_CAPACITY or
   * TENANT_QUOTA_EXCEEDED naming the dimension, and what a reservation that it cannot have throws.
   */
  claim(vm: VmSize & { readonly reservation?: ReservationUse }): RoomClaim;
  /** Takes what was promised to a VM before the agent was started again, whether there is room or not. */
  reclaim(vm: VmSize & { readonly placement: Placement; readonly reservationId?: string }): RoomClaim;
  /** Once the storage pools were read a first time; for a few seconds at most, what `claim` then says is how it is. */
  storageRead(): Promise<void>;
  /** Volumes that are gone with their VM. */
  deleted(volumes: readonly VolumeRef[]): void;
  /** Whether this host can do something, by its trait (host/inventory/traits.ts); undefined: not known now. */
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
  /** Volumes that are to be made for it. */
  readonly volumes: readonly (VolumeRef & { readonly capacityBytes: number })[];
}

/** Whose reservation a VM is to take the place of. */
export interface ReservationUse {
  readonly id: string;
  readonly caller: string;
  readonly tenant: string;
}

export interface RoomClaim {
  readonly placement: Placement;
  /** As reserved, where the VM did not say. */
  readonly wish?: PlacementWish;
  /** The VM's creation is on record: a reservation is used up now. Durable when it resolves. */
  begun(): Promise<void>;
  /** The VM is there: observation counts it from now on. */
  consume(): void;
  /** The VM is not made. */
  release(): void;
}
