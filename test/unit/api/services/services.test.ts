import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { status, type ServiceError } from "@grpc/grpc-js";
import type { Event__Output } from "../../../../agent/gen/socle/v1/Event.ts";
import type { Operation__Output } from "../../../../agent/gen/socle/v1/Operation.ts";
import type { WatchVmsResponse__Output } from "../../../../agent/gen/socle/v1/WatchVmsResponse.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { CreateRequest } from "../../../../agent/vm/operations/vms.ts";
import { eventually } from "../../../support/wait.ts";
import {
  ApiClient,
  errorOf,
  hostSnapshot,
  protos,
  startApi,
  vm,
  type Harness,
} from "../../../support/api/harness.ts";

const ids = (list: readonly { vmId: string }[]): string[] => list.map(({ vmId }) => vmId);
const begin = { caller: "c", vmId: "v", fingerprint: "f", intent: {} };

async function connect(t: Parameters<typeof startApi>[0]): Promise<Harness & { client: ApiClient }> {
  const harness = await startApi(t);
  return { ...harness, client: new ApiClient(t, `unix:${harness.socket}`) };
}

test("mutations carry their request to the VM layer", async (t) => {
  const { client, requests } = await connect(t);
  const spec = { name: "web", vcpus: 2, memoryBytes: 2 ** 31, labels: { app: "x" } };
  const created = await client.call(protos.vms.CreateVm, { requestId: "1", spec, placementEpoch: 3 });
  assert.deepEqual([created.kind, created.state, created.done], ["CREATE_VM", "STATE_RUNNING", false]);
  await client.call(protos.vms.StopVm, {
    requestId: "2",
    vm: "web",
    gracefulTimeout: { seconds: 1, nanos: 5e8 },
  });
  await client.call(protos.vms.StopVm, {
    requestId: "3",
    vm: "web",
    gracefulTimeout: { seconds: 0 },
    force: true,
  });
  await client.call(protos.vms.StopVm, { requestId: "4", vm: "web" });
  await client.call(protos.vms.DeleteVm, { requestId: "5", vm: "web", keepDisks: true, etag: "e" });
  await client.call(protos.vms.DeleteVm, { requestId: "6", vm: "web" });
  const create = requests[0]?.[1] as CreateRequest;
  assert.equal(create.placementEpoch, 3);
  assert.deepEqual(create.spec["labels"], { app: "x" });
  assert.deepEqual(
    requests.slice(1).map(([, request]) => request),
    [
      { requestId: "2", vm: "web", force: false, gracefulTimeoutMs: 1500 },
      { requestId: "3", vm: "web", force: true, gracefulTimeoutMs: 0 },
      { requestId: "4", vm: "web", force: false, gracefulTimeoutMs: undefined },
      { requestId: "5", vm: "web", keepDisks: true, force: false, etag: "e" },
      { requestId: "6", vm: "web", keepDisks: false, force: false, etag: undefined },
    ],
  );
  const negative = client.call(protos.vms.StopVm, {
    requestId: "7",
    vm: "w",
    gracefulTimeout: { seconds: -1 },
  });
  assert.ok("graceful_timeout" in (await errorOf(negative)).fields);
});

test("a list is paged without losses or repetitions while VMs come and go", async (t) => {
  const { client, table } = await connect(t);
  for (const id of ["a", "c", "e", "g"]) table.put(vm(id, { tenant: "blue" }));
  table.put(vm("d", { tenant: "red" }));
  const filter = { tenant: "blue" };
  const first = await client.call(protos.vms.ListVms, { pageSize: 2, filter });
  assert.deepEqual([ids(first.vms), first.totalSize], [["a", "c"], 4]);
  table.remove("c");
  table.put(vm("b", { tenant: "blue" }));
  table.put(vm("f", { tenant: "blue" }));
  const second = await client.call(protos.vms.ListVms, {
    pageSize: 2,
    filter,
    pageToken: first.nextPageToken,
  });
  assert.deepEqual(ids(second.vms), ["e", "f"]);
  const third = await client.call(protos.vms.ListVms, {
    pageSize: 2,
    filter,
    pageToken: second.nextPageToken,
  });
  assert.deepEqual([ids(third.vms), third.nextPageToken], [["g"], ""]);

  const other = client.call(protos.vms.ListVms, { pageToken: first.nextPageToken });
  assert.equal((await errorOf(other)).info.reason, "PAGE_TOKEN_INVALID");
  for (const pageToken of ["x", "bm9uc2Vuc2U", "W10"]) {
    const error = await errorOf(client.call(protos.vms.ListVms, { filter, pageToken }));
    assert.equal(error.code, status.INVALID_ARGUMENT);
  }
});

test("a filter matches when all of its set fields match", async (t) => {
  const { client, table } = await connect(t);
  table.put(vm("a", { name: "web-1", labels: { app: "x", tier: "1" } }));
  table.put(vm("b", { name: "web-2", labels: { app: "x" }, state: "stopped" }));
  table.put(vm("c", { name: "db-1", managed: false }));
  const list = async (filter: Parameters<typeof client.call<object, unknown>>[1]) =>
    ids((await client.call(protos.vms.ListVms, { filter })).vms);
  assert.deepEqual(await list({ namePrefix: "web" }), ["a", "b"]);
  assert.deepEqual(await list({ labels: { app: "x", tier: "1" } }), ["a"]);
  assert.deepEqual(await list({ labels: { toString: "x" } }), []);
  assert.deepEqual(await list({ states: ["VM_STATE_STOPPED", "VM_STATE_PAUSED"] }), ["b"]);
  assert.deepEqual(await list({ managed: "MANAGED_FILTER_UNMANAGED" }), ["c"]);
  assert.deepEqual(await list({ managed: "MANAGED_FILTER_MANAGED", states: ["VM_STATE_RUNNING"] }), ["a"]);
});

test("the VM list has no time before libvirt has answered, and a VM that hangs counts as running", async (t) => {
  const { client, table } = await connect(t);
  table.completed(0);
  table.markUnknown();
  const never = await client.call(protos.vms.ListVms, {});
  assert.deepEqual(never.observation, { presence: "PRESENCE_UNKNOWN", observedAt: null });
  for (const id of ["a", "b"]) table.put(vm(id));
  const at = { sampledAtMs: 5, sampledAtMonotonicMs: 5 };
  table.putStats("a", { ...at, unresponsive: true, vcpus: [], nics: [], disks: [] });
  table.completed(5);
  const { vms } = await client.call(protos.host.GetHost, {});
  assert.deepEqual([vms?.running, vms?.unresponsive, vms?.complete], [2, 1, true]);
  const listed = await client.call(protos.vms.ListVms, {});
  assert.deepEqual(listed.observation?.observedAt, { seconds: 0, nanos: 5e6 });
});

test("an etag spares an unchanged list, and shows a change", async (t) => {
  const { client, table } = await connect(t);
  table.put(vm("a"));
  const { etag } = await client.call(protos.vms.ListVms, {});
  table.putStats("a", {
    sampledAtMs: 5,
    sampledAtMonotonicMs: 5,
    unresponsive: false,
    vcpus: [],
    nics: [],
    disks: [],
  });
  const same = await client.call(protos.vms.ListVms, { etag });
  assert.deepEqual([same.notModified, same.vms, same.totalSize], [true, [], 1]);
  table.put(vm("a", { state: "paused" }));
  assert.equal((await client.call(protos.vms.ListVms, { etag })).notModified, false);
  const paused = (await client.call(protos.vms.ListVms, {})).etag;
  table.markUnknown();
  const unsure = await client.call(protos.vms.ListVms, { etag: paused });
  assert.deepEqual([unsure.notModified, unsure.observation?.presence], [false, "PRESENCE_UNKNOWN"]);
  assert.equal(unsure.vms[0]?.observation?.presence, "PRESENCE_UNKNOWN");
});

test("a watch sends the current VMs, then changes, both filtered", async (t) => {
  const { client, table } = await connect(t);
  table.put(vm("a"));
  table.put(vm("b", { state: "stopped" }));
  const call = client.stream(protos.vms.WatchVms, { filter: { states: ["VM_STATE_RUNNING"] } });
  call.on("error", () => undefined);
  const received: string[] = [];
  call.on("data", ({ kind, vm: of }: WatchVmsResponse__Output) =>
    received.push(`${kind.slice(5)} ${of?.vmId ?? ""}`.trim()),
  );
  await eventually(() => received.length === 2);
  table.put(vm("b"));
  table.put(vm("a", { labels: { x: "y" } }));
  await eventually(() => received.length === 4);
  table.put(vm("a", { state: "paused" }));
  table.remove("b");
  table.put(vm("c", { state: "crashed" }));
  await eventually(() => received.length === 6);
  table.markUnknown();
  await eventually(() => received.includes("RESYNC") && received.at(-1) === "SYNCED");
  assert.deepEqual(received, [
    "ADDED a",
    "SYNCED",
    "ADDED b",
    "CHANGED a",
    "REMOVED a",
    "REMOVED b",
    "RESYNC",
    "SYNCED",
  ]);
  call.cancel();
});

test("a reader that falls far behind costs a bounded queue, gets RESYNC, and ends with the current state", async (t) => {
  const { client, table } = await connect(t);
  const call = client.stream(protos.vms.WatchVms, {});
  call.on("error", () => undefined);
  const received: WatchVmsResponse__Output[] = [];
  call.on("data", (change: WatchVmsResponse__Output) => received.push(change));
  await eventually(() => received.length === 1);
  call.pause();
  // More than the connection's windows and the queue hold together, in turns, so that sending blocks first.
  const filler = "x".repeat(1000);
  for (let round = 0; round < 60; round += 1) {
    for (let i = 0; i < 200; i += 1) table.put(vm(`v${i}`, { labels: { round: String(round), filler } }));
    await new Promise((resolve) => setImmediate(resolve));
  }
  call.resume();
  const last = new Map<string, string | undefined>();
  // The server may send several snapshots before the reader blocks; the test waits for the newest.
  const count = (kind: string): number => received.filter((message) => message.kind === kind).length;
  await eventually(() => {
    for (const { vm: of } of received) if (of !== null) last.set(of.vmId, of.labels["round"]);
    const newest = last.size === 200 && [...last.values()].every((round) => round === "59");
    return newest && count("KIND_SYNCED") === count("KIND_RESYNC") + 1;
  });
  assert.ok(count("KIND_RESYNC") > 0, "the server sends RESYNC to a reader that lost changes");
  assert.ok(received.length < 12_000, "dropped changes were not sent");
  call.cancel();
});

test("operations are read, awaited, watched and cancelled", async (t) => {
  const { client, operations } = await connect(t);
  const { operation } = await operations.begin({ ...begin, requestId: "1", kind: "START_VM" });
  for (const requestId of ["2", "3"])
    await operations.begin({ ...begin, requestId, kind: "STOP_VM", vmId: "w" });
  const listed = await client.call(protos.operations.ListOperations, { pageSize: 2 });
  assert.equal(listed.operations.length, 2);
  const rest = await client.call(protos.operations.ListOperations, {
    pageSize: 2,
    pageToken: listed.nextPageToken,
  });
  assert.deepEqual([rest.operations.map(({ requestId }) => requestId), rest.nextPageToken], [["1"], ""]);
  const ofOne = await client.call(protos.operations.ListOperations, { vmId: "w" });
  assert.equal(ofOne.operations.length, 2);

  const watch = client.stream(protos.operations.WatchOperations, { operationId: operation.id });
  const watched = once(watch, "end");
  const states: string[] = [];
  watch.on("data", ({ state }: Operation__Output) => states.push(state));
  await eventually(() => states.length === 1);
  const wait = client.call(protos.operations.WaitOperation, {
    operationId: operation.id,
    timeout: { seconds: 5 },
  });
  const metadata = { available_bytes: "12" };
  operations.run(operation, () => {
    const details = { metadata };
    throw new SocleError("exhausted", "NO_CAPACITY", "no memory is left", { details });
  });
  const ended = await wait;
  assert.deepEqual(
    [ended.state, ended.done, ended.error?.code],
    ["STATE_FAILED", true, status.RESOURCE_EXHAUSTED],
  );
  const [detail] = ended.error?.details ?? [];
  assert.deepEqual(protos.errorInfo.deserialize(detail?.value ?? Buffer.alloc(0)), {
    reason: "NO_CAPACITY",
    domain: "socle",
    metadata,
  });
  await watched;
  assert.equal(states.at(-1), "STATE_FAILED");
  const late = client.call(protos.operations.CancelOperation, { operationId: operation.id });
  assert.equal((await errorOf(late)).info.reason, "NOT_CANCELLABLE");
  const stopped = (await operations.begin({ ...begin, requestId: "4", kind: "STOP_VM" })).operation;
  operations.run(stopped, async (step, signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    return await step("never", () => Promise.resolve({}));
  });
  await client.call(protos.operations.CancelOperation, { operationId: stopped.id });
  const cancelled = await client.call(protos.operations.WaitOperation, { operationId: stopped.id });
  assert.deepEqual([cancelled.state, cancelled.cancelledBy], ["STATE_CANCELLED", "unix:operator"]);
  const none = client.call(protos.operations.GetOperation, { operationId: "x" });
  assert.equal((await errorOf(none)).code, status.NOT_FOUND);
});

test("a host watch sends the host, and again when more than readings changed", async (t) => {
  const { client, host, table } = await connect(t);
  table.put(vm("a"));
  const now = await client.call(protos.host.GetHost, {});
  assert.equal(now.identity?.hostId, hostSnapshot.identity.id);
  assert.deepEqual([now.position?.agentEpoch, now.vms?.running], [7, 1]);
  assert.equal(now.capacity?.cells[0]?.resources[1]?.available, 15 * 2 ** 30);
  const watch = client.stream(protos.host.WatchHost, {});
  watch.on("error", () => undefined);
  const reasons: string[] = [];
  watch.on("data", ({ schedulingReason }: { schedulingReason: string }) => reasons.push(schedulingReason));
  await eventually(() => reasons.length === 1);
  host.change({});
  await client.call(protos.host.SetSchedulingState, { state: "LIFECYCLE_STATE_CORDONED", reason: "disk" });
  await eventually(() => reasons.length === 2);
  assert.deepEqual(reasons, ["", "disk"]);
  const bad = client.call(protos.host.SetSchedulingState, { reason: "?" });
  assert.ok("state" in (await errorOf(bad)).fields);
  watch.cancel();
});

test("events continue after the subscriber's last one, or the subscriber learns that they are gone", async (t) => {
  const { client, events } = await connect(t);
  for (let i = 0; i < 1005; i += 1)
    events.append({ kind: i % 2 === 0 ? "vm_defined" : "vm_removed", vmId: `v${i}` });
  await eventually(() => events.newestSequence === 1005);
  const subscribe = (request: object) => {
    const call = client.stream(protos.events.Subscribe, request);
    call.on("error", () => undefined);
    const got: Event__Output[] = [];
    call.on("data", (event: Event__Output) => got.push(event));
    return { call, got };
  };
  const all = subscribe({ afterSequence: 1000 });
  const some = subscribe({ afterSequence: 1000, kinds: ["EVENT_KIND_VM_REMOVED"] });
  const fresh = subscribe({ fromNow: true });
  await eventually(() => all.got.length === 5 && some.got.length === 2);
  events.append({ kind: "vm_state_changed", vmId: "v", vmState: "running", reason: "BOOTED" });
  await eventually(() => all.got.length === 6 && fresh.got.length === 1);
  assert.deepEqual(
    all.got.map(({ sequence }) => sequence),
    [1001, 1002, 1003, 1004, 1005, 1006],
  );
  assert.deepEqual([fresh.got[0]?.vmState, fresh.got[0]?.agentEpoch], ["VM_STATE_RUNNING", 7]);
  const { call: old } = subscribe({ afterSequence: 2 });
  const [error] = (await once(old, "error")) as [ServiceError];
  assert.equal(error.code, status.OUT_OF_RANGE);
  for (const { call } of [all, some, fresh]) call.cancel();
});

test("a person may settle an operation with an unknown outcome, and no other operation", async (t) => {
  const { client, operations } = await connect(t);
  const lost = async (requestId: string) => {
    const { operation } = await operations.begin({ ...begin, requestId, kind: "STOP_VM" });
    const work = () => Promise.reject(new SocleError("outcome_unknown", "CALL_TIMEOUT", "no answer"));
    await operations.run(operation, work).ended;
    return operation.id;
  };
  const settle = (operationId: string, outcome: string) =>
    client.call(protos.operations.SettleOperation, { operationId, outcome: outcome as "OUTCOME_DONE" });
  const first = await lost("1");
  assert.equal((await errorOf(settle(first, "OUTCOME_UNSPECIFIED"))).info.reason, "OUTCOME_MISSING");
  const done = await settle(first, "OUTCOME_DONE");
  assert.deepEqual([done.state, done.result], ["STATE_SUCCEEDED", { settled_by: "unix:operator" }]);
  const again = await errorOf(settle(first, "OUTCOME_NOT_DONE"));
  assert.deepEqual(
    [again.code, again.info.reason],
    [status.FAILED_PRECONDITION, "OPERATION_ENDED"],
    "a final outcome does not change",
  );
  const notDone = await settle(await lost("2"), "OUTCOME_NOT_DONE");
  assert.deepEqual([notDone.state, notDone.done], ["STATE_FAILED", true]);
  assert.equal((await errorOf(settle("none", "OUTCOME_DONE"))).code, status.NOT_FOUND);
});

test("each settlement is audited with its outcome, also a refused one", async (t) => {
  const { client, operations, audited } = await connect(t);
  const { operation } = await operations.begin({ ...begin, requestId: "1", kind: "STOP_VM" });
  await operations.run(operation, () =>
    Promise.reject(new SocleError("outcome_unknown", "CALL_TIMEOUT", "no answer")),
  ).ended;
  const settle = () =>
    client.call(protos.operations.SettleOperation, { operationId: operation.id, outcome: "OUTCOME_DONE" });
  await settle();
  await errorOf(settle());
  const settlement = { operationId: operation.id, outcome: "OUTCOME_DONE" };
  assert.deepEqual(
    audited.map(({ act, outcome, reason, caller, arguments: about }) => [
      act,
      outcome,
      reason,
      caller?.name,
      about,
    ]),
    [
      ["call_admitted", "allowed", undefined, "unix:operator", settlement],
      ["call_ended", "done", undefined, "unix:operator", undefined],
      ["call_admitted", "allowed", undefined, "unix:operator", settlement],
      ["call_ended", "refused", "OPERATION_ENDED", "unix:operator", undefined],
    ],
  );
});

test("tenants are listed with their usage and quotas, those with the most VMs first", async (t) => {
  const { client } = await connect(t);
  const { tenants, totalSize } = await client.call(protos.host.ListTenants, {});
  assert.deepEqual(
    tenants.map(({ tenant, dimensions }) => [
      tenant,
      ...dimensions.map(({ name, used, limited, limit }) => [name, used, limited, limit]),
    ]),
    [
      [
        "acme",
        ["vms", 2, true, 5],
        ["vcpus", 4, false, 0],
        ["memory", 2 ** 30, true, 2 ** 32],
        ["disk", 2 ** 31, false, 0],
      ],
      [
        "red",
        ["vms", 1, false, 0],
        ["vcpus", 4, false, 0],
        ["memory", 2 ** 30, false, 0],
        ["disk", 2 ** 31, false, 0],
      ],
    ],
  );
  assert.equal(totalSize, 2);
});
