import type { Placement, PlacementWish } from "./placement.ts";

/** The reserved capacity; a VM made with the reservation has exactly that. */
export interface ReservedRoom {
  readonly tenant: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly accelerator: "kvm" | "tcg";
  readonly wish: PlacementWish;
}

/** A claim on this host with a time to live. Immutable: every change makes a new object with the same id. */
export interface Reservation extends ReservedRoom {
  readonly id: string;
  readonly caller: string;
  readonly state: ReservationState;
  readonly placement: Placement;
  readonly ttlMs: number;
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
  /** The VM that used it up. */
  readonly vmId?: string;
}

export type ReservationState = "held" | "consumed" | "released" | "expired";

/** A request that made or changed a reservation: a repetition changes nothing. */
export interface ReservationRequest {
  readonly requestId: string;
  readonly caller: string;
  /** Digest of its kind and body, without the request id. */
  readonly fingerprint: string;
}
