// Replies that callers do not read: bounds on their bytes, places and time.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { Outbox } from "../../../../agent/api/limits/outbox.ts";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { eventually } from "../../../support/wait.ts";
import { ApiClient, errorOf, protos, startApi, vm, type Harness } from "../../../support/api/harness.ts";
import { RawClient } from "../../../support/api/raw-client.ts";

const { GetVm, ListVms, WatchVms } = protos.vms;
const KIB = 1024;

/** A host with one VM whose reply has 50 KiB. */
function withLargeVm({ table }: Harness): Buffer {
  const labels = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`l-${at}`, "漢".repeat(255)]));
  table.put(vm("vm-1", { labels }));
  return GetVm.requestSerialize({ vm: "vm-1" });
}

const openOf = ({ api }: Harness, kind: string): number | undefined =>
  api.callCounts.find((each) => each.kind === kind)?.open;

test("calls keep their place and their bytes until their replies are read", async (t) => {
  const api = await startApi(t);
  const request = withLargeVm(api);
  const client = new RawClient(t, api.socket, 0);
  const calls = Array.from({ length: 20 }, () => client.begin(GetVm.path, request));
  await eventually(() => api.api.answerCounts.answers === 20, { what: "20 answers" });
  assert.equal(openOf(api, "read"), 20);
  assert.ok(api.api.answerCounts.bytes >= 20 * 48 * KIB);

  // Another connection of the same caller is not delayed, and leaves nothing behind.
  const other = new ApiClient(t, `unix:${api.socket}`);
  assert.equal((await other.call(GetVm, { vm: "vm-1" })).vmId, "vm-1");
  await eventually(() => openOf(api, "read") === 20 && api.api.answerCounts.answers === 20);

  // One reply is read, one call is cancelled, and one connection is closed.
  client.session.settings({ initialWindowSize: 64 * KIB });
  for (const call of calls.slice(0, 10)) call.resume();
  await Promise.all(calls.slice(0, 10).map((call) => once(call, "end")));
  for (const call of calls.slice(10, 15)) call.close();
  client.session.destroy();
  await eventually(() => openOf(api, "read") === 0, { what: "no place held" });
  assert.deepEqual(api.api.answerCounts, { answers: 0, bytes: 0, abandoned: 0 });
});

test("a caller that does not read is refused beyond its budget; stops still pass", async (t) => {
  const bytesOfOne = 512 * KIB;
  const api = await startApi(t, {}, undefined, undefined, {}, undefined, { bytesOfOne });
  const request = withLargeVm(api);
  const silent = new RawClient(t, api.socket, 0);
  for (let at = 0; at < 60; at += 1) silent.begin(GetVm.path, request);
  await eventually(
    () =>
      openOf(api, "read") === api.api.answerCounts.answers && silent.session.state.outboundQueueSize === 0,
  );
  await eventually(() => api.api.answerCounts.bytes >= bytesOfOne);
  const client = new ApiClient(t, `unix:${api.socket}`);
  const refused = await errorOf(client.call(GetVm, { vm: "vm-1" }));
  assert.deepEqual([refused.code, refused.info.reason], [status.RESOURCE_EXHAUSTED, "REPLIES_NOT_READ"]);
  assert.ok((refused.retryMs ?? 0) > 0);
  assert.ok(api.api.answerCounts.bytes < bytesOfOne + 64 * KIB, "at most one reply beyond the budget");
  assert.equal((await client.call(protos.vms.StopVm, { requestId: "r", vm: "vm-1" })).kind, "STOP_VM");

  silent.session.destroy();
  await eventually(() => api.api.answerCounts.bytes === 0);
  assert.equal((await client.call(GetVm, { vm: "vm-1" })).vmId, "vm-1");
});

test("replies encoded concurrently in slices stay within the caller's budget too", async (t) => {
  const bytesOfOne = 512 * KIB;
  const api = await startApi(t, {}, undefined, undefined, {}, undefined, { bytesOfOne });
  const labels = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`l-${at}`, "a".repeat(255)]));
  for (let at = 0; at < 60; at += 1) api.table.put(vm(`vm-${at}`, { labels }));
  const request = ListVms.requestSerialize({});
  const silent = new RawClient(t, api.socket, 0);
  const calls = 24;
  for (let at = 0; at < calls; at += 1) silent.begin(ListVms.path, request);
  await eventually(() => api.api.answerCounts.bytes >= bytesOfOne);
  await eventually(() => openOf(api, "read") === api.api.answerCounts.answers, {
    what: "all to be answered",
  });
  const { bytes, answers } = api.api.answerCounts;
  assert.ok(answers < calls && bytes < bytesOfOne + bytes / answers, `${bytes} bytes in ${answers} replies`);
});

test("a reply that is not read in time is dropped: its call is reset and holds nothing", async (t) => {
  const api = await startApi(t, {}, undefined, undefined, {}, undefined, { takeWithinMs: 100 });
  const request = withLargeVm(api);
  const silent = new RawClient(t, api.socket, 0);
  const calls = [silent.begin(GetVm.path, request), silent.begin(WatchVms.path, Buffer.alloc(0))];
  await Promise.all(calls.map((call) => once(call, "close")));
  assert.deepEqual(
    calls.map(({ rstCode }) => rstCode),
    [8, 8],
  );
  await eventually(() => api.api.answerCounts.abandoned === 2);
  assert.deepEqual(api.api.answerCounts, { answers: 0, bytes: 0, abandoned: 2 });
  await eventually(() => api.api.callCounts.every(({ open }) => open === 0));
  assert.equal(silent.session.destroyed, false, "its connection stays open");
});

test("a stream buffers a bounded number of bytes for a client that does not read", async (t) => {
  const api = await startApi(t);
  withLargeVm(api);
  const { labels } = api.table.get("vm-1") ?? {};
  for (let at = 0; at < 100; at += 1) api.table.put(vm(`more-${at}`, { labels: labels ?? {} }));
  const silent = new RawClient(t, api.socket, 0);
  silent.begin(WatchVms.path, Buffer.alloc(0));
  await eventually(() => api.api.answerCounts.bytes > 64 * KIB);
  for (let at = 0; at < 100; at += 1)
    api.table.put(vm(`more-${at}`, { labels: labels ?? {}, state: "paused" }));
  const client = new ApiClient(t, `unix:${api.socket}`);
  await client.call(protos.host.GetHost, {});
  assert.ok(api.api.answerCounts.bytes <= 128 * KIB, `${api.api.answerCounts.bytes} bytes are held`);
});

test("beyond the bytes of all callers the oldest replies are dropped to free space for others", () => {
  const abandoned: string[] = [];
  const outbox = new Outbox({ bytesOfOne: 100, bytes: 250, takeWithinMs: 60_000 }, systemClock);
  const hold = (caller: string): (() => void) => outbox.hold(caller, 100, () => abandoned.push(caller));
  hold("a");
  const taken = hold("b");
  assert.throws(() => outbox.requireRoom("a"), { reason: "REPLIES_NOT_READ" });
  hold("c");
  assert.deepEqual(abandoned, ["a"]);
  outbox.requireRoom("a");
  taken();
  taken();
  assert.deepEqual(outbox.counts, { answers: 1, bytes: 100, abandoned: 1 });
  outbox.close();
});

test("lists and reads hold nothing after they are read", async (t) => {
  const api = await startApi(t);
  withLargeVm(api);
  const client = new ApiClient(t, `unix:${api.socket}`);
  await Promise.all(Array.from({ length: 50 }, () => client.call(ListVms, {})));
  await Promise.all(Array.from({ length: 50 }, () => errorOf(client.call(GetVm, { vm: "none" }))));
  await eventually(() => api.api.callCounts.every(({ open }) => open === 0));
  assert.deepEqual(api.api.answerCounts, { answers: 0, bytes: 0, abandoned: 0 });
});
