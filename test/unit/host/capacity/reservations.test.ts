import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Journal } from "../../../../agent/state/journal/journal.ts";
import { anywhere } from "../../../../agent/contract/spec.ts";
import { eventually } from "../../../support/wait.ts";
import { HOUR_MS, room, blue, request, Machine, refusal } from "../../../support/host/reservations-stage.ts";

test("a reservation is held until it expires, and not longer", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start();
  const { id, placement } = await reservations.reserve(request("r1"), () => room, 10_000);
  assert.deepEqual([placement.vcpuCpus, free()], [[2, 3], 4]);
  machine.clock.advance(9999);
  await reservations.expire();
  assert.deepEqual([reservations.get(id).state, free(), reservations.leftMs(id)], ["held", 4, 1]);
  machine.clock.advance(1);
  assert.equal(
    (await refusal(() => reservations.renew(request("n1"), id, undefined, blue))).reason,
    "RESERVATION_ENDED",
  );
  await reservations.expire();
  assert.deepEqual([reservations.get(id).state, free()], ["expired", 6]);
});

test("the service ends an expired reservation at its time", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start();
  const stop = new AbortController();
  const running = reservations.run(stop.signal, () => undefined);
  await reservations.reserve(request("r1"), () => room, 10_000);
  await setImmediate();
  machine.clock.advance(10_000);
  await eventually(() => free() === 6, { what: "the reservation to end", intervalMs: 0 });
  stop.abort();
  await running;
});

test("a repeated request returns the same reservation, after a restart too; with another body it is refused", async (context) => {
  const machine = await Machine.make(context);
  const first = await machine.start();
  const made = await first.reservations.reserve(request("r1"), () => room, 10_000);
  const [again, twin] = await Promise.all([
    first.reservations.reserve(request("r1"), () => room, 10_000),
    first.reservations.reserve(request("r1", "", "another"), () => room, 10_000),
  ]);
  assert.equal(again.id, made.id);
  assert.notEqual(twin.id, made.id);
  await first.crash();
  const { reservations, free } = await machine.start();
  assert.equal((await reservations.reserve(request("r1"), () => room, 10_000)).id, made.id);
  assert.equal(free(), 2);
  const reused = await refusal(() => reservations.reserve(request("r1", "other"), () => room, 10_000));
  assert.equal(reused.reason, "REQUEST_ID_REUSED");
  const released = await reservations.release(request("x1"), made.id, blue);
  assert.equal(released.state, "released");
  assert.equal((await reservations.release(request("x1"), made.id, blue)).state, "released");
  assert.equal((await reservations.reserve(request("r1"), () => room, 10_000)).state, "released");
  assert.equal(free(), 4);
});

test("a restart of the agent does not change a reservation's remaining time, at any wall clock step", async (context) => {
  for (const stepMs of [0, HOUR_MS, -HOUR_MS, 24 * HOUR_MS]) {
    const machine = await Machine.make(context);
    const before = await machine.start();
    const { id, placement } = await before.reservations.reserve(request("r1"), () => room, 60_000);
    machine.clock.advance(20_000);
    await before.crash();
    machine.clock.setWall(stepMs);
    const { reservations, free } = await machine.start();
    assert.deepEqual(reservations.get(id).placement, placement);
    assert.deepEqual([reservations.leftMs(id), free()], [40_000, 4], `after a step of ${stepMs} ms`);
    machine.clock.advance(40_000);
    await reservations.expire();
    assert.equal(reservations.get(id).state, "expired");
  }
});

test("after a boot, whose duration is unknown, a reservation begins its time again", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const { id } = await before.reservations.reserve(request("r1"), () => room, 60_000);
  machine.clock.advance(50_000);
  await before.crash();
  machine.reboot();
  machine.clock.advance(5000);
  const { reservations } = await machine.start();
  assert.equal(reservations.leftMs(id), 60_000);
});

test("a renewal restores the whole time, and survives a restart", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const { id } = await before.reservations.reserve(request("r1"), () => room, 10_000);
  machine.clock.advance(9000);
  await before.reservations.renew(request("n1"), id, 30_000, blue);
  await before.crash();
  const { reservations } = await machine.start();
  assert.equal(reservations.leftMs(id), 30_000);
  await reservations.renew(request("n1"), id, 30_000, blue);
  machine.clock.advance(29_999);
  assert.equal(reservations.leftMs(id), 1);
});

test("a late repetition of an earlier renewal changes nothing, and its id stays used, after a restart too", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const { id } = await before.reservations.reserve(request("r1"), () => room, 60_000);
  await before.reservations.renew(request("n1", "30 s"), id, 30_000, blue);
  await before.reservations.renew(request("n2", "10 s"), id, 10_000, blue);
  const repeatEarlier = async ({ reservations }: typeof before): Promise<void> => {
    assert.equal((await reservations.renew(request("n1", "30 s"), id, 30_000, blue)).ttlMs, 10_000);
    assert.equal(reservations.leftMs(id), 10_000);
    for (const requestId of ["n1", "n2", "r1"]) {
      const reused = await refusal(() => reservations.renew(request(requestId, "20 s"), id, 20_000, blue));
      assert.equal(reused.reason, "REQUEST_ID_REUSED");
    }
  };
  await repeatEarlier(before);
  await before.crash();
  const after = await machine.start();
  await repeatEarlier(after);
  for (let count = 3; count <= 17; count += 1)
    await after.reservations.renew(request(`n${count}`, "10 s"), id, 10_000, blue);
  machine.clock.advance(1000);
  // Sixteen are known, and no more: the record of a reservation is bounded.
  await after.reservations.renew(request("n2", "10 s"), id, 10_000, blue);
  assert.equal(after.reservations.leftMs(id), 9000);
  await after.reservations.renew(request("n1", "30 s"), id, 30_000, blue);
  assert.equal(after.reservations.leftMs(id), 30_000);
});

test("a record with a single renewal, as older agents wrote it, is read", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const reservation = await before.reservations.reserve(request("r1"), () => room, 60_000);
  await before.crash();
  const journal = await Journal.open(join(machine.directory, "reservations.journal"), {
    kind: "reservations",
    log: silentLog,
    replay: () => undefined,
    live: () => [],
  });
  const requests = { reserve: request("r1"), renew: request("n1") };
  const deadline = { bootId: machine.bootId, sinceBootMs: 50_000 };
  await journal.append({ reservation, requests, deadline });
  await journal.close();
  const { reservations } = await machine.start();
  await reservations.renew(request("n1"), reservation.id, 30_000, blue);
  assert.equal((await reservations.reserve(request("r1"), () => room, 60_000)).id, reservation.id);
  assert.equal(reservations.leftMs(reservation.id), 50_000);
});

test("one caller holds at most its share of the reservations", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start({ maxHeld: 3 });
  const { id } = await before.reservations.reserve(request("r1"), () => room, 10_000);
  await before.reservations.renew(request("n1"), id, 10_000, blue);
  await before.crash();
  const { reservations } = await machine.start({ maxHeld: 3 });
  await reservations.reserve(request("r2"), () => room, 10_000);
  const refused = await refusal(() => reservations.reserve(request("r3"), () => room, 10_000));
  assert.deepEqual([refused.kind, refused.reason], ["exhausted", "TOO_MANY_RESERVATIONS"]);
  assert.match(refused.message, /^this caller holds 2 reservations/);
  await reservations.reserve(request("r3", "", "another"), () => room, 10_000);
  const full = await refusal(() => reservations.reserve(request("r4", "", "another"), () => room, 10_000));
  assert.match(full.message, /^3 reservations are held/);
  await reservations.release(request("x1"), id, blue);
  await reservations.reserve(request("r3"), () => room, 10_000);
});

test("reservations are bounded in number and in their time to live", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start({ maxHeld: 1 });
  for (const ttlMs of [999, 3_600_001, Number.NaN])
    assert.equal(
      (await refusal(() => reservations.reserve(request("r0"), () => room, ttlMs))).reason,
      "TTL_INVALID",
    );
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  const refused = await refusal(() => reservations.reserve(request("r2"), () => room, 10_000));
  assert.equal(refused.reason, "TOO_MANY_RESERVATIONS");
  await reservations.release(request("x1"), id, blue);
  await reservations.reserve(request("r2"), () => room, 10_000);
  assert.equal(free(), 4);
});

test("while the journal fails, no reservation is granted and existing ones stay", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, book, free } = await machine.start();
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  await book.close();
  await refusal(() => reservations.reserve(request("r2"), () => room, 10_000));
  await refusal(() => reservations.release(request("x1"), id, blue));
  assert.deepEqual([reservations.get(id).state, free(), reservations.count(true)], ["held", 4, 1]);
});

test("a listing visits only the reservations it returns, however many are kept", async (context) => {
  const machine = await Machine.make(context);
  const { book, reservations } = await machine.start();
  const shared = { ...room, placementRequest: anywhere, vcpus: 0 };
  const ids: string[] = [];
  for (let made = 0; made < 100; made += 1) {
    const { id } = await reservations.reserve(request(`r${made}`), () => shared, HOUR_MS);
    ids.push(id);
    if (made % 10 !== 0) await reservations.release(request(`x${made}`), id, blue);
  }
  const visits = context.mock.method(book, "get");
  const list = (includeEnded: boolean, afterId: string, limit: number): [readonly string[], number] => {
    visits.mock.resetCalls();
    const found = reservations.list({ includeEnded, afterId, limit }).map(({ id }) => id);
    return [found, visits.mock.callCount()];
  };
  assert.deepEqual(list(true, ids[41] ?? "", 3), [ids.slice(42, 45), 3]);
  assert.deepEqual(list(false, ids[41] ?? "", 3), [[ids[50], ids[60], ids[70]], 3]);
  assert.deepEqual(list(true, ids[99] ?? "", 3), [[], 0]);
  assert.deepEqual([reservations.count(false), reservations.count(true)], [10, 100]);
  // Ended reservations are forgotten after their time, and only those.
  machine.clock.advance(25 * HOUR_MS);
  await reservations.reserve(request("last"), () => shared, HOUR_MS);
  assert.deepEqual([reservations.count(false), reservations.count(true)], [11, 11]);
});
