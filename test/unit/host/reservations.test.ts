import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Ledger } from "../../../agent/host/ledger.ts";
import { Reservations } from "../../../agent/host/reservations.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Journal } from "../../../agent/state/journal.ts";
import { anywhere } from "../../../agent/state/placement.ts";
import { ReservationBook } from "../../../agent/state/reservation-book.ts";
import type { ReservedRoom } from "../../../agent/state/reservation.ts";
import { folder } from "../state/folder.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRecord } from "./fake-record.ts";

const GIB = 1024 ** 3;
const HOUR_MS = 3_600_000;
const room: ReservedRoom = {
  tenant: "blue",
  vcpus: 2,
  memoryBytes: GIB,
  accelerator: "kvm",
  wish: { ...anywhere, dedicatedCpus: true },
};
const blue = { caller: "scheduler", mayAll: false };
const request = (requestId: string, body = "", caller = "scheduler") => ({
  requestId,
  caller,
  fingerprint: `f ${body}`,
});

/** A machine with six dedicated CPUs: its agents come and go, its clocks run on. */
class Machine {
  readonly directory: string;
  readonly clock = new FakeClock();
  readonly record = new FakeRecord();
  /** Of the wall clock, against the one that nobody can set. */
  bootId = "boot-1";
  bootedAtMs = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(context: TestContext): Promise<Machine> {
    return new Machine(await folder(context));
  }

  reboot(): void {
    this.bootId += "'";
    this.bootedAtMs = this.clock.monotonicMs();
  }

  async start(limits: { maxHeld?: number } = {}) {
    const { clock, directory, bootId } = this;
    const policy = {
      reservedCpus: 0,
      reservedMemoryBytes: 0,
      cpuOvercommitRatio: 1,
      memoryOvercommitRatio: 1,
      dedicatedCpus: [2, 3, 4, 5, 6, 7],
    };
    const ledger = new Ledger({
      policy,
      scheduling: () => this.record.scheduling,
      clock,
      changed: () => undefined,
    });
    const boot = { bootId, ms: () => clock.monotonicMs() - this.bootedAtMs };
    const retentionMs = 24 * HOUR_MS;
    const book = await ReservationBook.open({
      directory,
      clock,
      boot,
      log: silentLog,
      retentionMs,
      ...limits,
    });
    const reservations = new Reservations({ book, ledger, clock, log: silentLog });
    ledger.setCells([
      { id: 0, cpus: [0, 1, 2, 3, 4, 5, 6, 7], memoryBytes: 64 * GIB, pages: [], distances: [] },
    ]);
    ledger.setFootprints([], true);
    const free = (): number | undefined =>
      ledger.capacity.cells[0]?.resources.find(({ resource }) => resource === "cpu_dedicated")?.available;
    return { book, ledger, reservations, free, crash: () => book.close() };
  }
}

async function refusal(act: () => unknown): Promise<SocleError> {
  try {
    await act();
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    return thrown;
  }
  assert.fail("it was accepted");
}

test("what is reserved is held until its time is over, and not a moment longer", async (context) => {
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

test("the service itself ends what is over, when it is over", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start();
  const stop = new AbortController();
  const running = reservations.run(stop.signal, () => undefined);
  await reservations.reserve(request("r1"), () => room, 10_000);
  await setImmediate();
  machine.clock.advance(10_000);
  const deadline = performance.now() + 5000;
  while (free() !== 6 && performance.now() < deadline) await setImmediate();
  assert.equal(free(), 6);
  stop.abort();
  await running;
});

test("the same request gives the same reservation, after a restart too; with another body it is refused", async (context) => {
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

test("a restart of the agent takes nothing of a reservation and gives nothing to it, wherever the wall clock goes", async (context) => {
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

test("after a boot, which says nothing of how long it took, a reservation begins its time anew", async (context) => {
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

test("a renewal is for the whole time again, and survives as well", async (context) => {
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

test("a late repetition of an earlier renewal changes nothing, nor may its id be used for another, after a restart too", async (context) => {
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
  // Sixteen are known, and no more: the record of a reservation does not grow for ever.
  await after.reservations.renew(request("n2", "10 s"), id, 10_000, blue);
  assert.equal(after.reservations.leftMs(id), 9000);
  await after.reservations.renew(request("n1", "30 s"), id, 30_000, blue);
  assert.equal(after.reservations.leftMs(id), 30_000);
});

test("what an agent wrote that kept one renewal alone is read as it was", async (context) => {
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

test("no caller takes all that can be held", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start({ maxHeld: 3 });
  const { id } = await before.reservations.reserve(request("r1"), () => room, 10_000);
  await before.reservations.renew(request("n1"), id, 10_000, blue);
  await before.crash();
  const { reservations } = await machine.start({ maxHeld: 3 });
  await reservations.reserve(request("r2"), () => room, 10_000);
  const refused = await refusal(() => reservations.reserve(request("r3"), () => room, 10_000));
  assert.deepEqual([refused.kind, refused.reason], ["exhausted", "TOO_MANY_RESERVATIONS"]);
  assert.match(refused.message, /^2 reservations of this caller are held/);
  await reservations.reserve(request("r3", "", "another"), () => room, 10_000);
  const full = await refusal(() => reservations.reserve(request("r4", "", "another"), () => room, 10_000));
  assert.match(full.message, /^3 reservations are held/);
  await reservations.release(request("x1"), id, blue);
  await reservations.reserve(request("r3"), () => room, 10_000);
});

test("a VM gets exactly what was reserved, and nobody a second time", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, ledger, free, crash } = await machine.start();
  const { id, placement } = await reservations.reserve(request("r1"), () => room, 10_000);
  const { wish: _, ...asked } = room;
  const taken = reservations.take(id, { vmId: "vm-1", caller: "scheduler", room: asked });
  assert.deepEqual([taken.claim.placement, taken.wish, free()], [placement, room.wish, 4]);
  const twice = await refusal(() =>
    reservations.take(id, { vmId: "vm-2", caller: "scheduler", room: asked }),
  );
  assert.equal(twice.reason, "RESERVATION_ENDED");
  // Its time is over while the VM is being made: the VM has it.
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
    next.reservations.take(id, { vmId: "vm-3", caller: "scheduler", room: asked }),
  );
  assert.deepEqual([late.reason, late.details.metadata?.["state"]], ["RESERVATION_ENDED", "consumed"]);
});

test("what a VM did not take after all is held on, and can be taken again", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, free } = await machine.start();
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  reservations.take(id, { vmId: "vm-1", caller: "scheduler", room }).giveBack();
  assert.deepEqual([reservations.get(id).state, free()], ["held", 4]);
  await reservations.take(id, { vmId: "vm-2", caller: "scheduler", room }).consume();
  assert.equal(reservations.get(id).vmId, "vm-2");
});

test("what an agent let a VM take and could not write down is not held again by the next", async (context) => {
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

test("what an agent let a VM take is nobody else's while the journal refuses to say so, and is said once it can be", async (context) => {
  const machine = await Machine.make(context);
  const before = await machine.start();
  const { id, placement } = await before.reservations.reserve(request("r1"), () => room, 10_000);
  before.reservations.take(id, { vmId: "vm-1", caller: "scheduler", room });
  await before.crash();
  const { reservations, book, ledger, free } = await machine.start();
  const full = new SocleError("exhausted", "STATE_UNWRITABLE", "the disk is full");
  const refusing = context.mock.method(book, "end", () => Promise.reject(full));
  // Twice, as at the start and when its work goes on.
  for (let time = 0; time < 2; time += 1) {
    reservations.taken(id, "vm-1");
    ledger.reclaim({ holder: "vm-1", vcpus: 2, memoryBytes: GIB, placement });
  }
  assert.equal(await reservations.expire(), false);
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

test("another caller's, another tenant's, or another size's reservation is not to be had", async (context) => {
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
    [take("scheduler", { wish: anywhere }), "RESERVATION_MISMATCH"],
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

test("so many at once and no more, and none too short or too long", async (context) => {
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

test("where the journal refuses, nothing is taken, and what is held stays held", async (context) => {
  const machine = await Machine.make(context);
  const { reservations, book, free } = await machine.start();
  const { id } = await reservations.reserve(request("r1"), () => room, 10_000);
  await book.close();
  await refusal(() => reservations.reserve(request("r2"), () => room, 10_000));
  await refusal(() => reservations.release(request("x1"), id, blue));
  assert.deepEqual([reservations.get(id).state, free(), reservations.list().length], ["held", 4, 1]);
});

test("a cordoned host gives no reservation and lets no VM take one; what is reserved stays reserved", async (context) => {
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
