// The next start does not find a refused operation, and an operation it may find was not refused.
import assert from "node:assert/strict";
import { cp, mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import type { Operations } from "../../../../agent/state/operations/operations.ts";
import { unbound } from "../../../../agent/state/reservations/placement.ts";
import { anywhere } from "../../../../agent/contract/spec.ts";
import { ReservationBook } from "../../../../agent/state/reservations/reservation-book.ts";
import type { Reservation, ReservationRequest } from "../../../../agent/state/reservations/reservation.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { folder } from "../../../support/state/folder.ts";
import { killed, nothing, open, refusedAs, request } from "../../../support/state/operations-stage.ts";

const refused = refusedAs("unavailable", "JOURNAL_FAILED");
const unknown = refusedAs("outcome_unknown", "JOURNAL_FAILED");

test("an operation that a failed sync refused is not executed by the next start", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { failing, restore } = await failingDisk(t);
  failing.datasync = 1;
  await assert.rejects(operations.begin(request("delete", { kind: "DELETE_VM" })), refused);
  restore();
  await operations.drain(0);
  const after = await open(directory);
  assert.deepEqual(after.interrupted, []);
  assert.equal((await after.begin(request("delete", { kind: "DELETE_VM" }))).fresh, true);
  await after.drain(0);
});

test("an operation that the next start may find is outcome_unknown at every query", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { failing, restore } = await failingDisk(t);
  failing.datasync = 1;
  failing.truncate = true;
  await assert.rejects(operations.begin(request("a")), unknown);
  restore();
  await assert.rejects(operations.begin(request("a")), unknown);
  await assert.rejects(operations.begin(request("b")), refused);
  await operations.drain(0);
  const after = await open(directory);
  assert.deepEqual(
    after.interrupted.map(({ requestId }) => requestId),
    ["a"],
  );
  const { operation, fresh } = await after.begin(request("a"));
  assert.deepEqual([operation.id, fresh], [after.interrupted[0]?.id, false]);
  await after.drain(0);
});

test("an operation whose sync failed is refused after the watermark is raised", async (t) => {
  const order = await orderOfRefusal(t, () => Promise.resolve(), refused);
  assert.deepEqual(order, ["marked", "answered"]);
});

test("an operation whose sync failed is outcome_unknown while the watermark cannot be raised", async (t) => {
  const order = await orderOfRefusal(t, () => Promise.reject(new Error("libvirt is away")), unknown);
  assert.deepEqual(order, ["marked", "answered"]);
});

async function orderOfRefusal(
  t: TestContext,
  mark: () => Promise<void>,
  answer: (error: unknown) => boolean,
): Promise<string[]> {
  const order: string[] = [];
  const beforeRefused = async (): Promise<void> => {
    await mark().finally(() => order.push("marked"));
  };
  const operations = await open(await folder(t), { beforeRefused });
  const { failing, restore } = await failingDisk(t);
  failing.datasync = 1;
  await assert.rejects(operations.begin(request("a")), answer);
  order.push("answered");
  restore();
  // None of it was in the file: it needs no mark.
  await assert.rejects(operations.begin(request("b")), refused);
  await operations.drain(0);
  return order;
}

test("a request that no copy can contain completely is refused, whatever the mark", async (t) => {
  const beforeRefused = (): Promise<void> => Promise.reject(new Error("libvirt is away"));
  const operations = await open(await folder(t), { beforeRefused });
  const { failing } = await failingDisk(t, { code: "EROFS" });
  failing.write = true;
  await assert.rejects(operations.begin(request("a")), refused);
  await operations.drain(0);
});

test("a full disk that tore a request behind a complete progress record refuses it definitely, and recovers", async (t) => {
  const beforeRefused = (): Promise<void> => Promise.reject(new Error("libvirt is away"));
  const operations = await open(await folder(t), { beforeRefused });
  const { operation } = await operations.begin(request("a"));
  let release = (): void => undefined;
  const gone = new Promise<void>((resolve) => (release = resolve));
  const { ended } = operations.run(operation, async (step) => {
    await gone;
    return await step("one", nothing);
  });
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", tornWrites: 300 });
  failing.write = true;
  release();
  await Promise.resolve();
  await assert.rejects(
    operations.begin(request("b", { vmId: "other", intent: "x".repeat(1000) })),
    refusedAs("exhausted", "JOURNAL_FAILED"),
  );
  restore();
  await operations.tryAgain();
  assert.equal(operations.failure, undefined);
  await ended;
  await operations.drain(0);
});

test("after requests of unknown outcome the journal accepts no more until a restart has read it", async (t) => {
  const directory = await folder(t);
  const beforeRefused = (): Promise<void> => Promise.reject(new Error("libvirt is away"));
  const operations = await open(directory, { beforeRefused });
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", tornWrites: true });
  failing.write = 1;
  const both = ["a", "b"].map((id) => operations.begin(request(id)));
  await Promise.all(both.map((begun) => assert.rejects(begun, unknown)));
  restore();
  await operations.tryAgain();
  await assert.rejects(operations.begin(request("c")), { reason: "JOURNAL_FAILED" });
  await operations.drain(0);
  const after = await open(directory);
  assert.equal((await after.begin(request("c"))).fresh, true);
  await after.drain(0);
});

test("refused ends are written once there is space, also where an older copy may have them", async (t) => {
  const beforeRefused = (): Promise<void> => Promise.reject(new Error("libvirt is away"));
  const operations = await open(await folder(t), { beforeRefused });
  const begun = ["a", "b"].map((id) => operations.begin(request(id, { vmId: id })));
  const both = (await Promise.all(begun)).map(({ operation }) => operation);
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", tornWrites: true });
  failing.write = 1;
  await Promise.all(both.map((operation) => operations.run(operation, nothing).ended));
  restore();
  await operations.tryAgain();
  assert.equal(operations.failure, undefined);
  for (const { id } of both) assert.equal((await operations.endAgain(id))?.state, "succeeded");
  await operations.drain(0);
});

test("a request whose sync fails while a copy with it replaces the state is outcome_unknown", async (t) => {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  await mkdir(directory);
  const operations = await open(directory, { beforeRefused: () => Promise.resolve() });
  const { failing, restore } = await failingDisk(t);
  failing.datasync = async () => {
    await cp(directory, copy, { recursive: true });
    await rename(directory, join(base, "aside"));
    await rename(copy, directory);
    throw Object.assign(new Error("EIO"), { code: "EIO" });
  };
  await assert.rejects(operations.begin(request("a")), unknown);
  restore();
  await operations.drain(0);
});

test("a settlement that waits while the compacted journal takes over is not in it before it is written", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory, { compactAboveBytes: 2_500_000 });
  const padding = "x".repeat(250_000);
  for (let count = 0; count < 9; count += 1)
    await operations.begin(request(`before-${count}`, { intent: padding, vmId: `before-${count}` }));
  const { operation } = await operations.begin(request("u", { vmId: "u" }));
  const lost = new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "lost");
  await operations.run(operation, () => Promise.reject(lost)).ended;
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", of: /operations\.journal$/ });
  await operations.begin(request("large", { intent: padding, vmId: "large" }));
  let settled: Promise<unknown> = Promise.resolve();
  // The snapshot of live records has not reached the operation yet, and is written while this sync lasts.
  failing.datasync = async () => {
    settled = assert.rejects(
      operations.settle(operation.id, { state: "succeeded" }),
      refusedAs("exhausted", "JOURNAL_FAILED"),
    );
    for (let turn = 0; turn < 2000; turn += 1) await new Promise(setImmediate);
    failing.write = 1;
  };
  await operations.begin(request("slow", { vmId: "slow" }));
  await settled;
  restore();
  const after = await openAfterKill(t, operations, directory);
  assert.equal(after.get(operation.id).state, "outcome_unknown");
  await after.drain(0);
});

test("a settlement refused while the journal is compacted is not in the compacted one", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory, { compactAboveBytes: 4096 });
  const { operation } = await operations.begin(request("u", { vmId: "u" }));
  const lost = new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "lost");
  await operations.run(operation, () => Promise.reject(lost)).ended;
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", of: /operations\.journal$/ });
  const { ino } = await stat(join(directory, "operations.journal"));
  await operations.begin(request("large", { intent: "x".repeat(4096), vmId: "large" })).then(async () => {
    failing.write = 2;
    const settled = operations.settle(operation.id, { state: "succeeded" });
    await assert.rejects(settled, refusedAs("exhausted", "JOURNAL_FAILED"));
    failing.write = 0;
  });
  await untilCompacted(operations, directory, ino);
  restore();
  const after = await openAfterKill(t, operations, directory);
  assert.equal(after.get(operation.id).state, "outcome_unknown");
  await after.drain(0);
});

test("an operation refused while the journal is compacted is not in the compacted one", async (t) => {
  const directory = await folder(t);
  const padding = "x".repeat(4096);
  const operations = await open(directory, { compactAboveBytes: 4096 });
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", of: /operations\.journal$/ });
  const { ino } = await stat(join(directory, "operations.journal"));
  // Its write fails while the snapshot of live records is taken.
  const large = operations.begin(request("large", { intent: padding, vmId: "large" }));
  const full = large.then(async () => {
    failing.write = 2;
    await assert.rejects(operations.begin(request("refused")), refusedAs("exhausted", "JOURNAL_FAILED"));
    failing.write = 0;
  });
  await full;
  await untilCompacted(operations, directory, ino);
  restore();
  const after = await openAfterKill(t, operations, directory);
  const found = after.interrupted.map(({ requestId }) => requestId);
  assert.ok(found.includes("large") && !found.includes("refused"), found.join(" "));
  await after.drain(0);
});

/** Begins operations until another file has the journal's place. */
async function untilCompacted(operations: Operations, directory: string, ino: number): Promise<void> {
  for (let count = 0; (await stat(join(directory, "operations.journal"))).ino === ino; count += 1) {
    assert.ok(count < 1000, "the journal is never compacted");
    await operations.begin(request(`more-${count}`, { vmId: `more-${count}` }));
  }
}

async function openAfterKill(t: TestContext, operations: Operations, directory: string): Promise<Operations> {
  const into = await folder(t);
  await killed(directory, into);
  await operations.drain(0);
  return await open(into);
}

const openBook = (directory: string): Promise<ReservationBook> =>
  ReservationBook.open({
    directory,
    clock: systemClock,
    boot: { bootId: "boot", ms: () => performance.now() },
    log: silentLog,
    retentionMs: 86_400_000,
  });

const byRequest = (requestId: string): ReservationRequest => ({
  requestId,
  caller: "scheduler",
  fingerprint: "same",
});

const held = (book: ReservationBook): Reservation => ({
  id: book.newId(),
  caller: "scheduler",
  tenant: "",
  vcpus: 1,
  memoryBytes: 2 ** 20,
  accelerator: "tcg",
  placementRequest: anywhere,
  state: "held",
  placement: unbound,
  ttlMs: 3_600_000,
  createdAtMs: 0,
});

test("a refused reservation is not held by the next start; an undecided one stays unavailable until then", async (t) => {
  for (const isCertain of [true, false]) {
    const directory = await folder(t);
    const book = await openBook(directory);
    const kept = held(book);
    await book.add(kept, byRequest("kept"));
    const { failing, restore } = await failingDisk(t);
    failing.datasync = 1;
    if (!isCertain) failing.truncate = true;
    const lost = held(book);
    await assert.rejects(book.add(lost, byRequest("lost")), isCertain ? refused : unknown);
    restore();
    if (isCertain) assert.equal(book.find("reserve", byRequest("lost")), undefined);
    else await assert.rejects(book.find("reserve", byRequest("lost")) ?? Promise.resolve(), unknown);
    const into = await folder(t);
    await cp(directory, into, { recursive: true });
    await book.close();
    const after = await openBook(into);
    const ids = Array.from(after.after("", true), ({ id }) => id);
    assert.deepEqual(ids, isCertain ? [kept.id] : [kept.id, lost.id]);
    await after.close();
  }
});
