import * as z from "../../kernel/zod.ts";
import type { PlacementRequest } from "../../contract/spec.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import type { Reservation, ReservationRequest } from "./reservation.ts";

/**
 * A reservation after a change. The journal's last record of each reservation counts, except for requests: each record
 * has the requests of its own change.
 */
export interface Kept {
  readonly reservation: Reservation;
  /** Requests that made it, renewed it (the last ones), and released it. */
  readonly requests: Requests;
  /** Of a held reservation: its expiry, on the kernel's clock of that boot. */
  readonly deadline: { readonly bootId: string; readonly sinceBootMs: number };
}

export type Requests = Readonly<Partial<Record<RequestKind, readonly ReservationRequest[]>>>;

export type RequestKind = "reserve" | "renew" | "release";

const text = z.string();
const request = z.looseObject({ requestId: text, caller: text, fingerprint: text });
const placementRequest = z.looseObject({});

const reservation = z
  .looseObject({
    id: text,
    caller: text,
    tenant: text,
    state: z.enum(["held", "consumed", "released", "expired"]),
    vcpus: z.number().int().min(0),
    memoryBytes: z.number().int().min(0),
    accelerator: z.enum(specEnums.accelerator.words),
    placementRequest: placementRequest.optional(),
    wish: placementRequest.optional(),
    placement: z.looseObject({}),
    ttlMs: z.number(),
    createdAtMs: z.number(),
    endedAtMs: z.number().optional(),
    vmId: text.optional(),
  })
  .refine((stored) => (stored.placementRequest ?? stored.wish) !== undefined);

/** A record of the journal, of this version or an earlier one. */
export const keptSchema = z.looseObject({
  reservation,
  requests: z.record(text, z.union([request, z.array(request)])),
  deadline: z.looseObject({ bootId: text, sinceBootMs: z.number() }),
});

/** Earlier versions wrote the placement request as `wish`, and up to 0.1.0 one request of each kind in place of a list. */
interface Stored extends Pick<Kept, "deadline"> {
  readonly reservation: Reservation & { readonly wish?: PlacementRequest };
  readonly requests: Readonly<
    Partial<Record<RequestKind, ReservationRequest | readonly ReservationRequest[]>>
  >;
}

/** Reads a record that `keptSchema` accepts. */
export function keptOf(record: unknown): Kept {
  const { reservation: stored, requests, deadline } = record as Stored;
  const { wish, ...rest } = stored;
  return {
    reservation: wish === undefined ? rest : { ...rest, placementRequest: wish },
    requests: Object.fromEntries(Object.entries(requests).map(([kind, of]) => [kind, [of].flat()])),
    deadline,
  };
}
