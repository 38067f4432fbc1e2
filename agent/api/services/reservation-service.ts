import type { Slice } from "../../kernel/concurrency/slice.ts";
import { createHash } from "node:crypto";
import type { Reservation } from "../../state/reservations/reservation.ts";
import type { Accelerator, ReservedRoom } from "../../contract/spec.ts";
import { requireReadWhole } from "../../state/journal/refusals.ts";
import { checkRoom } from "../../vm/model/spec-check.ts";
import type { ListReservationsRequest__Output } from "../../gen/socle/v1/ListReservationsRequest.ts";
import type { ListReservationsResponse } from "../../gen/socle/v1/ListReservationsResponse.ts";
import type { Reservation as ProtoReservation } from "../../gen/socle/v1/Reservation.ts";
import type { ReservationServiceHandlers } from "../../gen/socle/v1/ReservationService.ts";
import type { ReserveRequest__Output } from "../../gen/socle/v1/ReserveRequest.ts";
import { enumWords } from "../../contract/enum.ts";
import {
  placementToProto,
  placementRequestFromProto,
  placementRequestToProto,
} from "../convert/placement.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { durationMs, toDuration, toTimestamp } from "../convert/time.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";
import type { Caller } from "../auth/identity.ts";
import { afterIdOf, convertPage, pageSize, pageToken } from "../limits/paging.ts";

const DEFAULT_TTL_MS = 60_000;

const states = enumWords("STATE", ["held", "consumed", "released", "expired"]);

export function reservationService(dependencies: ServiceDependencies): Methods<ReservationServiceHandlers> {
  const { reservations } = dependencies;
  const leftMs = ({ state, id }: Reservation): number | undefined =>
    state === "held" ? reservations.leftMs(id) : undefined;
  const shown = (reservation: Reservation): ProtoReservation => toProto(reservation, leftMs(reservation));
  return {
    Reserve: async (request, { caller }) => {
      const ttlMs = request.ttl === null ? DEFAULT_TTL_MS : durationMs("ttl", request.ttl);
      const room = (): ReservedRoom => checkRoom(roomOf(request, dependencies.defaultAccelerator));
      return shown(await reservations.reserve(asked("RESERVE", request, caller), room, ttlMs));
    },
    RenewReservation: async (request, { caller }) => {
      const ttlMs = request.ttl === null ? undefined : durationMs("ttl", request.ttl);
      const { reservationId } = request;
      return shown(
        await reservations.renew(asked("RENEW", request, caller), reservationId, ttlMs, asker(caller)),
      );
    },
    ReleaseReservation: async (request, { caller }) => {
      const { reservationId } = request;
      return shown(
        await reservations.release(asked("RELEASE", request, caller), reservationId, asker(caller)),
      );
    },
    GetReservation: ({ reservationId }) => shown(reservations.get(reservationId)),
    ListReservations: (request, context) => list(reservations, request, { leftMs, slice: context.slice() }),
  };
}

const asker = ({ name, role }: Caller): { caller: string; mayAll: boolean } => ({
  caller: name,
  mayAll: role === "operator" || role === "admin",
});

/** Digests are stored: a request repeated after an upgrade must have the same, so a field keeps its first name in them. */
const FIRST_NAMES: Readonly<Record<string, string>> = { placementRequest: "wish" };

/** The caller, and a digest of the request: messages have their fields in the contract's order. */
function asked(kind: string, request: { readonly requestId: string }, caller: Caller) {
  const { requestId, ...fields } = request;
  const body = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [FIRST_NAMES[name] ?? name, value]),
  );
  const fingerprint = createHash("sha256")
    .update(`${kind}\n${JSON.stringify(body)}`)
    .digest("hex");
  return { requestId, caller: caller.name, fingerprint };
}

function roomOf(request: ReserveRequest__Output, defaultAccelerator: () => Accelerator): unknown {
  const { vcpus, memoryBytes, tenant, placementRequest } = request;
  return {
    vcpus,
    memoryBytes,
    tenant,
    accelerator: specEnums.accelerator.fromProto("accelerator", request.accelerator) ?? defaultAccelerator(),
    placementRequest:
      placementRequest === null ? {} : placementRequestFromProto("placementRequest", placementRequest),
  };
}

async function list(
  reservations: ServiceDependencies["reservations"],
  { includeEnded, pageToken: token, pageSize: asked }: ListReservationsRequest__Output,
  {
    leftMs,
    slice,
  }: { readonly leftMs: (reservation: Reservation) => number | undefined; readonly slice: Slice },
): Promise<ListReservationsResponse> {
  requireReadWhole(reservations.failure, "the list of reservations");
  const query = { includeEnded };
  const afterId = afterIdOf(token, query) ?? "";
  const size = pageSize(asked);
  const found = reservations.list({ includeEnded, afterId, limit: size + 1 });
  const totalSize = reservations.count(includeEnded);
  // Reservations end while the page is made: it shows them at one moment.
  const seen = found.slice(0, size).map((reservation) => ({ reservation, leftMs: leftMs(reservation) }));
  const convert = (shown: (typeof seen)[number]): ProtoReservation =>
    toProto(shown.reservation, shown.leftMs);
  const page = await convertPage(seen, convert, slice);
  const last = found[page.length - 1];
  const nextPageToken = last === undefined || page.length === found.length ? "" : pageToken(last.id, query);
  return { reservations: page, nextPageToken, totalSize };
}

function toProto(reservation: Reservation, leftMs: number | undefined): ProtoReservation {
  const {
    id,
    state,
    accelerator,
    placementRequest,
    placement,
    ttlMs,
    createdAtMs,
    endedAtMs,
    vmId = "",
    ...same
  } = reservation;
  return {
    ...same,
    reservationId: id,
    state: states.toProto(state),
    accelerator: specEnums.accelerator.toProto(accelerator),
    placementRequest: placementRequestToProto(placementRequest),
    placement: placementToProto(placement),
    ttl: toDuration(ttlMs),
    remaining: leftMs === undefined ? null : toDuration(leftMs),
    createdAt: toTimestamp(createdAtMs),
    endedAt: endedAtMs === undefined ? null : toTimestamp(endedAtMs),
    vmId,
  };
}
