import assert from "node:assert/strict";
import test from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { anywhere } from "../../../../agent/contract/spec.ts";
import type { ReservedRoom } from "../../../../agent/contract/spec.ts";
import { GIB, room, blue, request, Machine, refusal } from "../../../support/host/reservations-stage.ts";

test("a VM gets exactly its reservation, and no other VM gets it again", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, ledger, free, crash } = await machine.start();
  const { id, placement } = await reservations.reserve(request("r1"), () => room, 10_000);
  const { placementRequest: _, ...requested } = room;
  const taken = reservations.take(id, { vmId: "vm-1", caller: "scheduler", room: requested });
  assert.deepEqual(
    [taken.claim.placement, taken.placementRequest, free()],
    [placement, room.placementRequest, 4],
  );
  const twice = await refusal(() =>
    reservations.take(id, { vmId: "vm-2", caller: "scheduler", room: requested }),
  );
  assert.equal(twice.reason, "RESERVATION_ENDED");
  // The reservation expires while the VM is being created: the VM keeps it.
  machine.clock.advance(10_000);
  await reservations.expire();
  await taken.consume();
  assert.deepEqual([reservations.get(id).state, reservations.get(id).vmId, free()], ["consumed", "vm-1", 4]);
  ledger.release(taken.claim);
  assert.equal(free(), 6);
  await crash();
  const next = await machine.start();
  assert.equal(next.free(), 6);
  const late = await refusal(() =>
    next.reservations.take(id, { vmId: "vm-3", caller: "scheduler", room: requested }),
  );
  assert.deepEqual([late.reason, late.details.metadata?.["state"]], ["RESERVATION_ENDED", "consumed"]);
});

test("the part that a failed VM did not take is held on, and can be taken again", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start();
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  reservations.take(id, { vmId: "vm-1", caller: "scheduler", room }).giveBack();
  assert.deepEqual([reservations.get(id).state, free()], ["held", 4]);
  await reservations.take(id, { vmId: "vm-2", caller: "scheduler", room }).consume();
  assert.equal(reservations.get(id).vmId, "vm-2");
});

test("a taken reservation that could not be journaled is not held again by the next agent", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const { id, placement } = await before.reservations.reserve(request("r1"), () => room, 10_000);
  before.reservations.take(id, { vmId: "vm-1", caller: "scheduler", room });
  await before.crash();
  const { reservations, ledger, free } = await machine.start();
  reservations.taken(id, "vm-1");
  ledger.reclaim({ holder: "vm-1", vcpus: 2, memoryBytes: GIB, placement });
  await reservations.expire();
  assert.deepEqual([reservations.get(id).state, free()], ["consumed", 4]);
});

test("a taken reservation stays with its VM while the journal fails, and is journaled once afterwards", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const { id, placement } = await before.reservations.reserve(request("r1"), () => room, 10_000);
  before.reservations.take(id, { vmId: "vm-1", caller: "scheduler", room });
  await before.crash();
  const { reservations, book, ledger, free } = await machine.start();
  const full = new SocleError("exhausted", "STATE_UNWRITABLE", "the disk is full");
  const refusing = context.mock.method(book, "end", () => Promise.reject(full));
  // Twice: at the start and when its work continues.
  for (let time = 0; time < 2; time += 1) {
    reservations.taken(id, "vm-1");
    ledger.reclaim({ holder: "vm-1", vcpus: 2, memoryBytes: GIB, placement });
  }
  const warned = context.mock.method(silentLog, "warn");
  for (let time = 0; time < 3; time += 1) assert.equal(await reservations.expire(), false);
  assert.equal(warned.mock.callCount(), 1, "a full disk is not filled with retries");
  assert.equal(free(), 4);
  for (const act of [
    () => reservations.take(id, { vmId: "vm-2", caller: "scheduler", room }),
    () => reservations.release(request("x1"), id, blue),
  ])
    assert.equal((await refusal(act)).reason, "RESERVATION_ENDED");
  refusing.mock.restore();
  assert.equal(await reservations.expire(), true);
  assert.deepEqual([reservations.get(id).state, reservations.get(id).vmId, free()], ["consumed", "vm-1", 4]);
});

test("a reservation of another caller, another tenant or another size is refused", async (context) => {
  const machine = await Machine.make(context);
  const { reservations } = await machine.start();
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  const take = (caller: string, changes: Partial<ReservedRoom>) => () =>
    reservations.take(id, { vmId: "vm-1", caller, room: { ...room, ...changes } });
  for (const [act, reason] of [
    [take("stranger", {}), "RESERVATION_FOREIGN"],
    [take("scheduler", { tenant: "red" }), "RESERVATION_FOREIGN"],
    [take("scheduler", { vcpus: 3 }), "RESERVATION_MISMATCH"],
    [take("scheduler", { accelerator: "tcg" }), "RESERVATION_MISMATCH"],
    [take("scheduler", { placementRequest: anywhere }), "RESERVATION_MISMATCH"],
    [
      () => reservations.release(request("x1", "", "stranger"), id, { caller: "stranger", mayAll: false }),
      "RESERVATION_FOREIGN",
    ],
    [
      () => reservations.take("nothing", { vmId: "vm-1", caller: "scheduler", room }),
      "RESERVATION_NOT_FOUND",
    ],
  ] as const) {
    assert.equal((await refusal(act)).reason, reason);
  }
  assert.equal(reservations.get(id).state, "held");
  const operator = { caller: "unix:operator", mayAll: true };
  assert.equal(
    (await reservations.release(request("x2", "", "unix:operator"), id, operator)).state,
    "released",
  );
});

test("a cordoned host grants no reservation and lets no VM take one; existing ones stay", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start();
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  machine.record.scheduling = { state: "cordoned", reason: "" };
  for (const act of [
    () => reservations.reserve(request("r2"), () => room, 10_000),
    () => reservations.take(id, { vmId: "vm-1", caller: "scheduler", room }),
  ])
    assert.equal((await refusal(act)).reason, "HOST_CORDONED");
  assert.deepEqual([reservations.get(id).state, free()], ["held", 4]);
  const renewed = await reservations.renew(request("n1"), id, 20_000, blue);
  assert.equal(renewed.ttlMs, 20_000);
});
