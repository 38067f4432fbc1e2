import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import type { ReserveRequest } from "../../../../agent/gen/socle/v1/ReserveRequest.ts";
import { ApiClient, errorOf, protos, startApi } from "../../../support/api/harness.ts";

const GIB = 2 ** 30;
const fixtures = join(import.meta.dirname, "../../../fixtures");
const { reservations: service } = protos;
const room = (requestId: string, changes: ReserveRequest = {}): ReserveRequest => ({
  requestId,
  vcpus: 1,
  memoryBytes: GIB,
  tenant: "blue",
  placementRequest: { dedicatedCpus: true },
  ...changes,
});

test("a reservation reports its size and its remaining time; a repeated request returns the same one", async (t) => {
  const { socket } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const made = await client.call(service.Reserve, room("r1", { ttl: { seconds: 30, nanos: 0 } }));
  assert.deepEqual(
    [
      made.state,
      made.placement?.vcpuCpus,
      made.placement?.emulatorCpus,
      made.placementRequest?.dedicatedCpus,
      made.caller,
    ],
    ["STATE_HELD", [2], [0, 1], true, "unix:operator"],
  );
  const seconds = (made.remaining?.seconds ?? 0) + (made.remaining?.nanos ?? 0) / 1e9;
  assert.ok(seconds > 20 && seconds <= 30, `${seconds} s are left`);
  const again = await client.call(service.Reserve, room("r1", { ttl: { seconds: 30, nanos: 0 } }));
  assert.equal(again.reservationId, made.reservationId);
  const reused = await errorOf(client.call(service.Reserve, room("r1", { vcpus: 2 })));
  assert.equal(reused.info.reason, "REQUEST_ID_REUSED");
  const { reservationId } = made;
  const renewed = await client.call(service.RenewReservation, {
    requestId: "n1",
    reservationId,
    ttl: { seconds: 90, nanos: 0 },
  });
  assert.deepEqual(renewed.ttl, { seconds: 90, nanos: 0 });
  for (const requestId of ["x1", "x1"]) {
    const released = await client.call(service.ReleaseReservation, { requestId, reservationId });
    assert.deepEqual([released.state, released.remaining], ["STATE_RELEASED", null]);
  }
  const ended = await errorOf(client.call(service.RenewReservation, { requestId: "n2", reservationId }));
  assert.deepEqual(
    [ended.code, ended.info.reason, ended.info.metadata["state"]],
    [status.FAILED_PRECONDITION, "RESERVATION_ENDED", "released"],
  );
  const unknown = await errorOf(client.call(service.GetReservation, { reservationId: "none" }));
  assert.deepEqual([unknown.code, unknown.info.reason], [status.NOT_FOUND, "RESERVATION_NOT_FOUND"]);
});

test("a reservation of an agent that named the placement request wish is read, and its request repeated", async (t) => {
  const state = join(fixtures, "reservation-wish");
  const { socket } = await startApi(t, {}, undefined, undefined, {}, undefined, {}, undefined, state);
  const client = new ApiClient(t, `unix:${socket}`);
  const repeated = await client.call(service.Reserve, {
    ...room("r1", { ttl: { seconds: 3600, nanos: 0 } }),
    placementRequest: { dedicatedCpus: true, cellPolicy: "CELL_POLICY_STRICT", cell: 0 },
  });
  const { reservations, totalSize } = await client.call(service.ListReservations, {});
  assert.deepEqual([totalSize, reservations[0]?.reservationId], [1, repeated.reservationId]);
  const { dedicatedCpus, cellPolicy, cell } = repeated.placementRequest ?? {};
  assert.deepEqual([dedicatedCpus, cellPolicy, cell], [true, "CELL_POLICY_STRICT", 0]);
});

test("a reservation that does not fit is refused with its dimension, an invalid one with its fields", async (t) => {
  const { socket } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const full = await errorOf(client.call(service.Reserve, room("r1", { vcpus: 3 })));
  assert.equal(full.code, status.RESOURCE_EXHAUSTED);
  const { dimension, wanted, free_cpu_dedicated: free, free_cpu: shared } = full.info.metadata;
  assert.deepEqual(
    [full.info.reason, dimension, wanted, free, shared],
    ["NO_CAPACITY", "cpu_dedicated", "3", "2", "8"],
  );
  const wrong = await errorOf(
    client.call(
      service.Reserve,
      room("r1", { memoryBytes: GIB + 1, placementRequest: { cell: 0, isolatedEmulator: true } }),
    ),
  );
  assert.deepEqual(Object.keys(wrong.fields).sort(), [
    "memoryBytes",
    "placementRequest.cell",
    "placementRequest.isolatedEmulator",
  ]);
  const { reservations } = await client.call(service.ListReservations, {});
  assert.deepEqual(reservations, []);
});

test("reservations are listed page by page, and ended ones on request", async (t) => {
  const { socket } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    const { reservationId } = await client.call(
      service.Reserve,
      room(`r${index}`, { placementRequest: null }),
    );
    ids.push(reservationId);
  }
  await client.call(service.ReleaseReservation, { requestId: "x", reservationId: ids[1] ?? "" });
  const listed = async (includeEnded: boolean): Promise<string[]> => {
    const found: string[] = [];
    for (let pageToken = ""; ;) {
      const page = await client.call(service.ListReservations, { pageSize: 2, pageToken, includeEnded });
      found.push(...page.reservations.map(({ reservationId }) => reservationId));
      pageToken = page.nextPageToken;
      if (pageToken === "") return found;
    }
  };
  assert.deepEqual(await listed(true), ids);
  assert.deepEqual(await listed(false), ids.toSpliced(1, 1));
});
