import type { ReservedRoom } from "../../contract/spec.ts";
import type { Placement } from "./placement.ts";

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
