// How much one tenant may hold, and what a list costs at any number of kept operations.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { OperationTable } from "../../../../agent/state/operations/operation-table.ts";
import { OrderedIds } from "../../../../agent/state/operations/ordered-ids.ts";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import type { Operations } from "../../../../agent/state/operations/operations.ts";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import { folder } from "../../../support/state/folder.ts";
import { done, open, refusedAs, request, soonMs } from "../../../support/state/operations-stage.ts";

test("a tenant at its bound is refused for every caller; other tenants and other callers are not", async (t) => {
  const operations = await open(await folder(t), { maxRetainedPerTenant: 4, maxRunningPerTenant: 2 });
  let count = 0;
  const begin = (tenant: string | undefined, more: object = {}) =>
    operations.begin(request(`request-${(count += 1)}`, { tenant, vmId: `vm-${count}`, ...more }));
  const isRefused = refusedAs("exhausted", "TOO_MANY_OPERATIONS");
  await begin("red");
  await begin("red", { caller: "other" });
  await assert.rejects(begin("red"), isRefused, "two are running");
  await assert.rejects(begin("red", { caller: "third" }), isRefused);
  await begin("blue");
  await begin(undefined);
  await begin("red", { kind: "STOP_VM", urgent: true });

  for (const { id, tenant } of operations.list({ limit: 10 }))
    if (tenant === "red") await operations.settle(id, { state: "succeeded" });
  const { operation } = await begin("red");
  await operations.settle(operation.id, { state: "succeeded" });
  await assert.rejects(begin("red"), isRefused, "four are kept");
  await begin("blue");
  const again = await operations.begin(request("request-1", { tenant: "red", vmId: "vm-1" }));
  assert.equal(again.fresh, false, "a repeated request still returns its operation");
  await operations.drain(0);
});

test("the bound of a tenant holds over a restart", async (t) => {
  const directory = await folder(t);
  const before = await open(directory, { maxRetainedPerTenant: 1 });
  await before.begin(request("a", { tenant: "red" }));
  await before.drain(0);
  const operations = await open(directory, { maxRetainedPerTenant: 1 });
  await assert.rejects(
    operations.begin(request("b", { tenant: "red" })),
    refusedAs("exhausted", "TOO_MANY_OPERATIONS"),
  );
  await operations.drain(0);
});

/** How many ids are read while `run` runs. */
function visited(t: TestContext, run: () => unknown): number {
  let count = 0;
  const below = Reflect.get(OrderedIds.prototype, "below") as (bound: string) => Iterable<string>;
  const counting = t.mock.method(OrderedIds.prototype, "below", function* (this: OrderedIds, bound: string) {
    for (const id of below.call(this, bound)) {
      count += 1;
      yield id;
    }
  });
  run();
  counting.mock.restore();
  return count;
}

test("a list reads no more than it shows, however many are kept", (t) => {
  const table = new OperationTable({ retentionMs: 1e9, clock: systemClock });
  const operation = (at: number): Operation => ({
    id: `op-${String(at).padStart(6, "0")}`,
    requestId: `r-${at}`,
    kind: "START_VM",
    vmId: `vm-${at % 50}`,
    tenant: at % 1000 === 0 ? "small" : "large",
    caller: "c",
    state: at % 500 === 0 ? "running" : "succeeded",
    steps: [],
    progress: 0,
    createdAtMs: 0,
    result: {},
    intent: null,
  });
  for (let at = 0; at < 50_000; at += 1) {
    const entry = table.add({ operation: operation(at), fingerprint: "f" });
    entry.shown = entry.recorded;
  }
  const list = (selection: object, limit: number): number =>
    visited(t, () => assert.equal(table.list({ ...selection, limit }).length, limit));
  assert.equal(list({}, 100), 100);
  assert.equal(list({ tenant: "small" }, 50), 50, "all of them, out of 50,000");
  assert.equal(list({ onlyRunning: true }, 10), 10);
  assert.equal(list({ tenant: "small", onlyRunning: true }, 50), 50);
  assert.equal(list({ vmId: "vm-7" }, 10), 10);
  assert.equal(list({ vmId: "vm-7", tenant: "large" }, 10), 10);
  assert.equal(list({ vmId: "vm-0", tenant: "small" }, 50), 50, "beside 950 of another tenant on this id");
  assert.equal(list({ tenant: "green" }, 0), 0);
});

test("operations of a tenant's callers leave the provider capacity on the tenant's VMs, for stops and others", async (t) => {
  const operations = await open(await folder(t), { maxRetainedPerTenant: 1000, maxRunningPerVm: 16 });
  let count = 0;
  const begin = (more: object) =>
    operations.begin(request(`request-${(count += 1)}`, { tenant: "red", vmId: "vm", ...more }));
  const isRefused = refusedAs("exhausted", "TOO_MANY_OPERATIONS");
  const asMany = async (more: object): Promise<number> => {
    for (let taken = 0; ; taken += 1)
      try {
        await begin(more);
      } catch (thrown) {
        assert.ok(isRefused(thrown));
        return taken;
      }
  };
  const own = { byTenant: true, caller: "tenant's" };
  const taken = (await asMany(own)) + (await asMany({ ...own, kind: "STOP_VM", urgent: true }));
  assert.equal(taken, 14, "with every stop they can begin");
  await begin({ kind: "DELETE_VM" });
  await begin({ kind: "STOP_VM", urgent: true });
  await operations.drain(0);
});

test("the configured quota overrides the default bound, and its refusal names dimension and limit", async (t) => {
  const operations = await open(await folder(t), {
    quotaOf: (tenant) => ({ kept: tenant === "red" ? 2 : null, running: tenant === "blue" ? 1 : null }),
  });
  let count = 0;
  const begin = (tenant: string) =>
    operations.begin(request(`request-${(count += 1)}`, { tenant, vmId: `vm-${count}` }));
  await begin("red");
  await begin("red");
  await begin("blue");
  for (const [tenant, dimension, limit] of [
    ["red", "kept_operations", "2"],
    ["blue", "running_operations", "1"],
  ] as const)
    await assert.rejects(begin(tenant), (error: SocleError) => {
      assert.deepEqual(error.details.metadata, { tenant, dimension, limit, used: limit });
      return error.reason === "TOO_MANY_OPERATIONS";
    });
  await begin("green");
  await operations.drain(0);
});

/** Ends `count` operations that the tenant's own caller began, one per VM. */
async function fill(operations: Operations, tenant: string, count: number, more: object = {}): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    const own = { tenant, vmId: `${tenant}-${at}`, caller: `scheduler/${tenant}`, byTenant: true, ...more };
    await done(operations, `${tenant}-${at}`, own);
  }
}

test("kept operations of ten tenants keep out neither another tenant nor the provider", async (t) => {
  const directory = await folder(t);
  const bounds = { maxRetained: 100, maxRetainedPerTenant: 20 };
  let operations = await open(directory, bounds);
  await fill(operations, "victim", 4);
  for (let at = 0; at < 10; at += 1) await fill(operations, `hostile-${at}`, 15);
  const isKept = async (tenant: string, at: number): Promise<boolean> => {
    const own = { tenant, vmId: `${tenant}-${at}`, caller: `scheduler/${tenant}`, byTenant: true };
    return !(await operations.begin(request(`${tenant}-${at}`, own))).fresh;
  };
  for (const restarted of [false, true]) {
    if (restarted) {
      await operations.drain(soonMs);
      operations = await open(directory, bounds);
    }
    const name = restarted ? "after" : "before";
    await done(operations, `victim-${name}`, { tenant: "victim", byTenant: true, vmId: "v" });
    await done(operations, `provider-${name}`, { vmId: "p" });
    await done(operations, `of-victims-${name}`, { tenant: "victim", vmId: "v" });
    for (let at = 0; at < 4; at += 1) assert.equal(await isKept("victim", at), true, `victim-${at} ${name}`);
    assert.ok(operations.retained <= 100, `${operations.retained} are kept`);
  }
  await operations.drain(soonMs);
});

test("neither the provider's operations nor running ones are forgotten before their time", async (t) => {
  const operations = await open(await folder(t), { maxRetained: 4 });
  const own = { tenant: "red", byTenant: true, caller: "scheduler/red" };
  await done(operations, "provider", { tenant: "red", vmId: "a" });
  await operations.begin(request("running", { ...own, vmId: "b" }));
  await done(operations, "own", { ...own, vmId: "c" });
  await done(operations, "next", { vmId: "d" });
  await done(operations, "more", { vmId: "d" });
  const kept = operations.list({ limit: 10 }).map(({ requestId }) => requestId);
  assert.deepEqual(kept, ["more", "next", "running", "provider"]);
  await assert.rejects(
    operations.begin(request("full", { vmId: "e" })),
    refusedAs("exhausted", "TOO_MANY_OPERATIONS"),
  );
  await operations.drain(0);
});

test("a request id that was forgotten early belongs to the newer operation, also over a restart", async (t) => {
  const directory = await folder(t);
  const own = { tenant: "red", byTenant: true, caller: "scheduler/red", vmId: "a" };
  let operations = await open(directory, { maxRetained: 4 });
  const first = await done(operations, "again", own);
  for (const id of ["p-1", "p-2"]) await done(operations, id, { vmId: "b" });
  await done(operations, "other", own);
  assert.throws(() => operations.get(first.id), refusedAs("not_found", "OPERATION_NOT_FOUND"));
  const newer = await done(operations, "again", own);
  assert.notEqual(newer.id, first.id);
  await operations.drain(soonMs);

  operations = await open(directory, { maxRetained: 6 });
  const held = async (): Promise<string> => (await operations.begin(request("again", own))).operation.id;
  assert.equal(operations.get(first.id).id, first.id, "the journal still had it");
  assert.equal(await held(), newer.id);
  for (const id of ["p-3", "p-4"]) await done(operations, id, { vmId: "b" });
  assert.throws(() => operations.get(first.id), refusedAs("not_found", "OPERATION_NOT_FOUND"));
  assert.equal(await held(), newer.id);
  await operations.drain(soonMs);
});
