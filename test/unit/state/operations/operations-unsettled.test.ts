// Changes of a VM while the outcome of one of its operations is unknown.
import assert from "node:assert/strict";
import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { OperationIds } from "../../../../agent/state/operations/operation-id.ts";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import type { Operations } from "../../../../agent/state/operations/operations.ts";
import { fill, smallDisk } from "../../../support/small-disk.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { folder } from "../../../support/state/folder.ts";
import {
  killed,
  never,
  nothing,
  open,
  refusedAs,
  request,
  soonMs,
} from "../../../support/state/operations-stage.ts";

const lostAnswer = (): Promise<never> =>
  Promise.reject(new SocleError("outcome_unknown", "CALL_TIMEOUT", "no answer"));

const unsettledBy =
  ({ id }: Operation) =>
  (error: unknown): boolean =>
    refusedAs("conflict", "OPERATION_UNSETTLED")(error) &&
    error instanceof SocleError &&
    error.details.metadata?.["operation_id"] === id &&
    error.message.includes(id);

async function lost(operations: Operations, requestId: string): Promise<Operation> {
  const { operation } = await operations.begin(request(requestId));
  await operations.run(operation, lostAnswer).ended;
  assert.equal(operations.get(operation.id).state, "outcome_unknown");
  return operation;
}

test("while the outcome of an operation is unknown, others of its VM are refused with its id", async (t) => {
  const operations = await open(await folder(t));
  const operation = await lost(operations, "a");
  await assert.rejects(
    operations.begin(request("b", { kind: "STOP_VM", urgent: true })),
    unsettledBy(operation),
  );
  assert.equal((await operations.begin(request("a"))).fresh, false, "its own request is answered as before");
  assert.equal((await operations.begin(request("c", { vmId: "vm-2" }))).fresh, true);
  await operations.settle(operation.id, { state: "succeeded" });
  assert.equal((await operations.begin(request("b"))).fresh, true);
  await operations.drain(0);
});

test("an interrupted operation blocks its VM from the next start on, until it has an end", async (t) => {
  const directory = await folder(t);
  const before = await open(directory);
  const { operation } = await before.begin(request("a"));
  await before.drain(0);
  const after = await open(directory);
  await assert.rejects(after.begin(request("b")), unsettledBy(operation));
  assert.deepEqual(
    after.unsettled().map(({ id }) => id),
    [operation.id],
  );
  await after.run(operation, nothing).ended;
  assert.deepEqual(after.unsettled(), []);
  assert.equal((await after.begin(request("b"))).fresh, true);
  await after.drain(0);
});

test("an operation queued behind one with an unknown outcome does not overtake it", async (t) => {
  const operations = await open(await folder(t));
  const first = (await operations.begin(request("a"))).operation;
  const second = (await operations.begin(request("b"))).operation;
  operations.requireTurn(second);
  await operations.run(first, lostAnswer).ended;
  assert.throws(() => operations.requireTurn(second), unsettledBy(first));
  let goOn: (result: Record<string, string>) => void = () => undefined;
  const { ended } = operations.run(first, () => new Promise((resolve) => (goOn = resolve)));
  assert.throws(() => operations.requireTurn(second), unsettledBy(first), "its outcome is being confirmed");
  operations.requireTurn(first);
  goOn({});
  await ended;
  operations.requireTurn(second);
  await operations.drain(0);
});

test("a new operation is refused while a newer one is unsettled; resumed ones run oldest first", async (t) => {
  const operations = await open(await folder(t));
  const waiting = (await operations.begin(request("a"))).operation;
  const passing = (await operations.begin(request("b"))).operation;
  operations.requireTurn(waiting);
  await operations.run(passing, lostAnswer).ended;
  assert.throws(() => operations.requireTurn(waiting), unsettledBy(passing));
  operations.requireTurn(waiting, "resumed");
  operations.requireTurn(passing, "resumed");
  await operations.drain(0);
});

test("an operation has ended once its end is in the journal, also for the next start", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const left = await lost(operations, "a");
  const { operation } = await operations.begin(request("b", { vmId: "vm-2" }));
  assert.equal(operations.hasEnded(operation.id), false);
  await operations.run(operation, nothing).ended;
  await operations.drain(0);
  const after = await open(directory);
  assert.deepEqual(
    [left.id, operation.id, "unknown"].map((id) => after.hasEnded(id)),
    [false, true, false],
  );
  await after.drain(0);
});

test("an end that a full disk refuses is written later, and the work is not repeated", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const operations = await open(disk);
  const { operation } = await operations.begin(request("a"));
  let effects = 0;
  let filler = "";
  await operations.run(operation, async () => {
    effects += 1;
    filler = await fill(disk);
    return { state: "stopped", more: "x".repeat(16_384) };
  }).ended;
  assert.equal(operations.get(operation.id).state, "outcome_unknown");
  await assert.rejects(operations.begin(request("b")), unsettledBy(operation));
  await rm(filler);
  await operations.tryAgain();
  assert.equal((await operations.endAgain(operation.id))?.state, "succeeded");
  const ended = await operations.wait(operation.id, soonMs, never);
  assert.deepEqual([ended.state, ended.result["state"], effects], ["succeeded", "stopped", 1]);
  assert.equal((await operations.begin(request("b"))).fresh, true);
  await operations.drain(0);
});

test("an end that is not known is not written again", async (t) => {
  const operations = await open(await folder(t));
  const operation = await lost(operations, "a");
  assert.equal(await operations.endAgain(operation.id), undefined);
  await operations.drain(0);
});

test("an operation whose end is being written is neither run nor settled meanwhile", async (t) => {
  const operations = await open(await folder(t));
  const operation = await lost(operations, "a");
  const settling = operations.settle(operation.id, { state: "succeeded" });
  assert.throws(() => operations.run(operation, nothing), refusedAs("conflict", "OPERATION_ENDED"));
  await assert.rejects(
    operations.settle(operation.id, { state: "failed", error: new Error("no") }),
    refusedAs("conflict", "OPERATION_ENDED"),
  );
  assert.equal((await settling).state, "succeeded");
  await operations.drain(0);
});

test("a new operation sorts after the newest in its VM's domain, also after a rollback", async (t) => {
  const newer = new OperationIds(() => Date.now() + 86_400_000).next();
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a", { newestOperation: newer }));
  assert.ok(operation.id > newer);
  const next = (await operations.begin(request("b", { vmId: "vm-2" }))).operation.id;
  assert.ok(next > operation.id);
  await operations.drain(0);
});

test("an id that no agent can have created moves no other", () => {
  const ids = new OperationIds(() => 1_700_000_000_000);
  for (const id of ["ffffffff-ffff-7fff-bfff-ffffffffffff", "ffffffff-ffff-4fff-bfff-ffffffffffff", "x", ""])
    ids.startAfterSeen(id);
  assert.match(ids.next(), /^018bcfe5-6800-7000-/);
});

const away = (): Promise<never> =>
  Promise.reject(new SocleError("outcome_unknown", "LIBVIRT_UNAVAILABLE", "libvirt is away"));

test("an end is visible after beforeShown succeeds; a restart neither shows it sooner nor repeats the work", async (t) => {
  const [directory, copy] = [await folder(t), await folder(t)];
  const seen: string[] = [];
  let isAway = true;
  const operations: Operations = await open(directory, {
    beforeShown:
      ({ id, state }) =>
      async () => {
        await killed(directory, copy);
        const again = await open(copy);
        seen.push(state, again.get(id).state, operations.get(id).state);
        assert.equal((await again.endAgain(id))?.state, "succeeded");
        await again.drain(0);
        if (isAway) await away();
      },
  });
  let works = 0;
  const { operation } = await operations.begin(request("a"));
  await operations.run(operation, () => {
    works += 1;
    return nothing();
  }).ended;
  const { state, error } = operations.get(operation.id);
  assert.deepEqual([state, error?.reason], ["outcome_unknown", "LIBVIRT_UNAVAILABLE"]);
  await assert.rejects(operations.endAgain(operation.id), /libvirt is away/);
  isAway = false;
  assert.equal((await operations.endAgain(operation.id))?.state, "succeeded");
  assert.equal(operations.get(operation.id).state, "succeeded");
  assert.deepEqual(seen.slice(0, 3), ["succeeded", "outcome_unknown", "running"]);
  assert.equal(works, 1);
  await operations.drain(0);
  const next = await open(directory);
  assert.equal(next.get(operation.id).state, "succeeded");
  await next.drain(0);
});

test("a decided end survives compaction and blocks no other operation of its VM", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory, { beforeShown: () => away, compactAboveBytes: 4096 });
  const { operation } = await operations.begin(request("a"));
  await operations.run(operation, nothing).ended;
  assert.deepEqual(operations.unsettled(), []);
  const more = Array.from({ length: 40 }, (_each, at) => `vm-${at}`);
  for (const vmId of more) await operations.begin(request(vmId, { vmId, intent: "x".repeat(200) }));
  await operations.drain(0);
  assert.doesNotMatch(await readFile(join(directory, "operations.journal"), "utf8"), /"t":"decided"/);
  const next = await open(directory);
  assert.equal(next.get(operation.id).state, "outcome_unknown");
  assert.equal((await next.endAgain(operation.id))?.state, "succeeded");
  await next.drain(0);
});

test("an operation of an older copy of the state ends by its observed state, whatever the copy decided", async (t) => {
  const directory = await folder(t);
  const first = await open(directory, { beforeShown: () => away });
  const { operation } = await first.begin(request("a"));
  await first.run(operation, () => Promise.reject(new SocleError("timeout", "GUEST_DEAF", "deaf"))).ended;
  await first.drain(0);
  const copy = await open(directory);
  const ended = await copy.settleOutdated(operation.id, { state: "succeeded" });
  assert.equal(ended.state, "succeeded");
  await copy.drain(0);
});

test("a person's settlement of an operation of an older copy stands, however late it can be shown", async (t) => {
  const directory = await folder(t);
  let isAway = true;
  const copy = await open(directory, { beforeShown: () => () => (isAway ? away() : Promise.resolve()) });
  const operation = await lost(copy, "a");
  await assert.rejects(copy.settleOutdated(operation.id, { state: "succeeded" }), {
    kind: "outcome_unknown",
  });
  isAway = false;
  const error = new SocleError("conflict", "OPERATION_SUPERSEDED", "not known here");
  const ended = await copy.settleOutdated(operation.id, { state: "failed", error });
  assert.equal(ended.state, "succeeded");
  await copy.drain(0);
});

test("settle returns the end that the operation's work has decided", async (t) => {
  let isAway = true;
  const operations = await open(await folder(t), {
    beforeShown: () => () => (isAway ? away() : nothing().then(() => undefined)),
  });
  const { operation } = await operations.begin(request("a"));
  await operations.run(operation, nothing).ended;
  const notDone = { state: "failed", error: new Error("not done") } as const;
  await assert.rejects(
    operations.settle(operation.id, notDone),
    refusedAs("outcome_unknown", "LIBVIRT_UNAVAILABLE"),
  );
  isAway = false;
  assert.equal((await operations.settle(operation.id, notDone)).state, "succeeded");
  await operations.drain(0);
});

test("a settlement that a full disk refused is not retried", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const operations = await open(disk);
  const operation = await lost(operations, "a");
  const filler = await fill(disk);
  const error = new SocleError("conflict", "NOT_DONE", "x".repeat(65_536));
  await assert.rejects(operations.settle(operation.id, { state: "failed", error }));
  assert.equal(operations.get(operation.id).error?.reason, "CALL_TIMEOUT", "it is as before");
  await rm(filler);
  await operations.tryAgain();
  assert.equal(await operations.endAgain(operation.id), undefined);
  assert.equal((await operations.settle(operation.id, { state: "succeeded" })).state, "succeeded");
  await operations.drain(0);
});

test("a copy has no settlement that was refused after it was written", async (t) => {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  await mkdir(directory);
  const operations = await open(directory);
  const operation = await lost(operations, "a");
  const { failing, restore } = await failingDisk(t);
  failing.datasync = async () => {
    await cp(directory, copy, { recursive: true });
    throw Object.assign(new Error("refused on purpose"), { code: "EIO" });
  };
  await assert.rejects(operations.settle(operation.id, { state: "succeeded" }), { kind: "unavailable" });
  restore();
  assert.equal(operations.get(operation.id).state, "outcome_unknown");
  await operations.drain(0);
  const older = await open(copy);
  const error = new SocleError("conflict", "NOT_DONE", "it was not");
  assert.equal((await older.settleOutdated(operation.id, { state: "failed", error })).state, "failed");
  await older.drain(0);
});
