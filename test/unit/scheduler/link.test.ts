import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { spreadShare } from "../../../agent/scheduler/link.ts";
import { HostRecord } from "../../../agent/state/records/host-record.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { freePort } from "../../support/ports.ts";
import { eventually, within } from "../../support/wait.ts";
import { vm } from "../../support/api/harness.ts";
import { folder } from "../../support/state/folder.ts";
import { hostId, inStep, startAgent, startScheduler } from "../../support/scheduler/harness.ts";

const names = (vms: ReadonlyMap<string, unknown>): string[] => [...vms.keys()].sort();

test("a host registers, reports, and keeps its scheduler current by deltas", async (t) => {
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address });
  agent.table.put(vm("a"));
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => inStep(agent, known), { what: "the report" });
  assert.deepEqual([known.hello?.hostname, known.hello?.agentAddress], ["host-a", "127.0.0.1:1"]);
  assert.equal(known.available("memory"), 15 * 2 ** 30);

  const { reports } = known;
  agent.table.put(vm("b"));
  agent.table.put(vm("a", { state: "paused" }));
  await eventually(() => known.vms.size === 2 && inStep(agent, known));
  agent.table.remove("b");
  agent.host.change({ scheduling: { state: "cordoned", reason: "disk" } });
  await eventually(() => known.vms.size === 1 && inStep(agent, known));
  assert.equal(known.vms.get("a")?.state, "VM_STATE_PAUSED");
  assert.equal(known.vms.get("a")?.stats, null, "readings are not reported");
  assert.equal(known.host?.schedulingState, "LIFECYCLE_STATE_CORDONED");
  assert.deepEqual([known.reports, known.mismatches], [reports, 0]);
  await eventually(() => known.heartbeats > 2);
  await eventually(() => agent.link.status.acked?.generation === agent.position.generation);
  assert.equal(agent.link.status.state, "connected");
});

test("readings alone send the scheduler nothing", async (t) => {
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address });
  agent.table.put(vm("a"));
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => known.vms.size === 1 && inStep(agent, known));
  const { generation } = known;
  agent.table.putStats("a", {
    sampledAtMs: 9,
    sampledAtMonotonicMs: 9,
    unresponsive: false,
    vcpus: [],
    nics: [],
    disks: [],
  });
  agent.host.change({});
  const { heartbeats } = known;
  await eventually(() => known.heartbeats > heartbeats + 3);
  assert.equal(known.generation, generation);
});

test("a lost delta is found by its digest and repaired by a report", async (t) => {
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => inStep(agent, known));
  scheduler.faults.dropDeltas = 1;
  agent.table.put(vm("a"));
  await eventually(() => known.vms.has("a") && inStep(agent, known));
  assert.ok(known.mismatches >= 1, "a heartbeat showed it");
});

test("a scheduler that requests everything gets everything, in parts", async (t) => {
  const table = new VmTable();
  for (let i = 0; i < 250; i += 1) table.put(vm(`vm-${String(i).padStart(3, "0")}`));
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address, table });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => known.vms.size === 250 && inStep(agent, known));
  scheduler.resync(hostId, "asked");
  await eventually(() => known.reports === 2 && inStep(agent, known));
  // More than fits into a delta is sent as a report too.
  for (let i = 0; i < 150; i += 1) table.remove(`vm-${String(i).padStart(3, "0")}`);
  await eventually(() => known.reports === 3 && known.vms.size === 100 && inStep(agent, known));
  assert.equal(known.mismatches, 0);
});

test("a scheduler that stops reading buffers nothing, and gets the newest state when it reads again", async (t) => {
  const table = new VmTable();
  const filler = "x".repeat(2000);
  const change = (round: number): void => {
    for (let i = 0; i < 90; i += 1) table.put(vm(`v${i}`, { labels: { round: String(round), filler } }));
  };
  change(0);
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address, table });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => inStep(agent, known));
  const { deltas } = known;
  scheduler.stall(hostId, true);
  for (let round = 1; round <= 40; round += 1) {
    change(round);
    agent.state.refresh();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(known.deltas, deltas);
  scheduler.stall(hostId, false);
  await eventually(() => inStep(agent, known));
  assert.deepEqual(new Set([...known.vms.values()].map(({ labels }) => labels["round"])), new Set(["40"]));
  assert.ok(known.deltas - deltas < 20, `${known.deltas - deltas} deltas for 40 changes`);
});

test("a scheduler restarted without its state gets a report; one with it gets the changes", async (t) => {
  const port = await freePort();
  const first = await startScheduler(t, { port });
  const agent = await startAgent(t, { address: first.address });
  agent.table.put(vm("a"));
  const before = await eventually(() => first.hosts.get(hostId));
  await eventually(() => before.vms.size === 1 && inStep(agent, before));

  // The connection breaks, the scheduler's memory stays: it gets a delta from there.
  first.stop();
  await eventually(() => agent.link.status.state === "connecting");
  agent.table.put(vm("b"));
  const second = await startScheduler(t, { port });
  second.hosts.set(hostId, before);
  await eventually(() => before.vms.size === 2 && inStep(agent, before), { what: "a delta" });
  assert.deepEqual([before.reports, before.sessions], [1, 2]);

  second.stop();
  await eventually(() => agent.link.status.state === "connecting");
  const third = await startScheduler(t, { port });
  const anew = await eventually(() => third.hosts.get(hostId));
  await eventually(() => inStep(agent, anew), { what: "a report" });
  assert.deepEqual([anew.reports, names(anew.vms)], [1, ["a", "b"]]);
});

test("a restarted agent whose state the scheduler has sends none of it", async (t) => {
  const scheduler = await startScheduler(t);
  const directory = await folder(t);
  const table = new VmTable();
  table.put(vm("a"));
  const first = await startAgent(t, { address: scheduler.address, directory, table });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => inStep(first, known));
  await first.stop();
  assert.equal(known.goodbye, "the agent stops");
  await eventually(() => !known.connected);
  const second = await startAgent(t, { address: scheduler.address, directory, table, agentEpoch: 2 });
  await eventually(() => known.sessions === 2 && inStep(second, known));
  table.put(vm("b"));
  await eventually(() => known.vms.size === 2 && inStep(second, known));
  assert.deepEqual([known.reports, known.deltas, known.mismatches, known.agentEpoch], [1, 1, 0, 2]);
});

test("events reach the scheduler in order, each once, over a broken connection", async (t) => {
  const port = await freePort();
  const first = await startScheduler(t, { port });
  const agent = await startAgent(t, { address: first.address });
  for (let i = 0; i < 50; i += 1) agent.events.append({ kind: "vm_defined", vmId: `v${i}` });
  const known = await eventually(() => first.hosts.get(hostId));
  await eventually(() => known.eventSequence === 50);
  first.stop();
  for (let i = 50; i < 100; i += 1) agent.events.append({ kind: "vm_defined", vmId: `v${i}` });
  const second = await startScheduler(t, { port });
  second.hosts.set(hostId, known);
  await eventually(() => known.eventSequence === 100);
  assert.deepEqual(
    known.events.map(({ sequence }) => sequence),
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
  await eventually(() => agent.link.status.acked?.eventSequence === 100);
});

test("events that are no longer held are reported as lost", async (t) => {
  const port = await freePort();
  const first = await startScheduler(t, { port });
  const agent = await startAgent(t, { address: first.address, maxEvents: 100 });
  agent.events.append({ kind: "vm_defined", vmId: "first" });
  const known = await eventually(() => first.hosts.get(hostId));
  await eventually(() => known.eventSequence === 1);
  first.stop();
  await eventually(() => agent.link.status.state === "connecting");
  for (let i = 2; i <= 300; i += 1) agent.events.append({ kind: "vm_defined", vmId: `v${i}` });
  const second = await startScheduler(t, { port });
  second.hosts.set(hostId, known);
  await eventually(() => known.eventSequence === 300);
  const [resync] = known.events.slice(1);
  assert.deepEqual(
    [resync?.kind, resync?.reason, resync?.sequence],
    ["EVENT_KIND_RESYNC", "EVENTS_EXPIRED", 200],
  );
  assert.equal(known.events.length, 102);
});

test("a host with a new event log reports that", async (t) => {
  const scheduler = await startScheduler(t);
  const first = await startAgent(t, { address: scheduler.address });
  for (let i = 0; i < 20; i += 1) first.events.append({ kind: "vm_defined", vmId: `v${i}` });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => known.eventSequence === 20);
  await first.stop();
  const second = await startAgent(t, { address: scheduler.address, agentEpoch: 2 });
  second.events.append({ kind: "vm_removed", vmId: "v" });
  await eventually(() => known.events.at(-1)?.kind === "EVENT_KIND_VM_REMOVED");
  assert.equal(known.events.at(-2)?.reason, "EVENTS_RESET");
  assert.equal(known.eventSequence, 1);
});

test("a scheduler redirects a host, to another address and for a time", async (t) => {
  const one = await startScheduler(t);
  const other = await startScheduler(t);
  const agent = await startAgent(t, { address: one.address });
  await eventually(() => agent.link.status.state === "connected");
  one.reconnect(hostId, 10, other.address);
  const known = await eventually(() => other.hosts.get(hostId));
  await eventually(() => inStep(agent, known));
  assert.equal(one.hosts.get(hostId)?.connected, false);
  // An address that needs certificates is not used.
  other.reconnect(hostId, 10, "192.0.2.1:7450");
  await eventually(() => one.hosts.get(hostId)?.connected === true);
});

test("a scheduler of an older control epoch is rejected", async (t) => {
  const port = await freePort();
  const current = await startScheduler(t, { port, controlEpoch: 5 });
  const agent = await startAgent(t, { address: current.address });
  await eventually(() => agent.link.status.state === "connected");
  current.stop();
  const old = await startScheduler(t, { port, controlEpoch: 4 });
  await eventually(() => agent.logged.some(({ reason }) => reason === "CONTROL_EPOCH_STALE"));
  assert.equal(agent.link.status.connects, 1);
  old.stop();
  await startScheduler(t, { port, controlEpoch: 5 });
  await eventually(() => agent.link.status.connects === 2);
});

test("a report from before libvirt answered does not report the VMs as absent", async (t) => {
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => inStep(agent, known), { what: "the report" });
  assert.deepEqual([known.vms.size, known.host?.vms?.complete], [0, false]);
  agent.table.put(vm("a"));
  agent.table.completed(Date.now());
  await eventually(() => known.vms.size === 1 && known.host?.vms?.complete === true);
  agent.table.markUnknown();
  await eventually(() => known.host?.vms?.complete === false && known.host.vms.unknown === 1);
  assert.equal(known.vms.size, 1, "no VM is absent because of it");
});

test("the highest control epoch outlives the agent", async (t) => {
  const port = await freePort();
  const directory = await folder(t);
  const current = await startScheduler(t, { port, controlEpoch: 5 });
  const fence = await HostRecord.open(directory);
  const before = await startAgent(t, { address: current.address, directory, fence });
  await eventually(() => before.link.status.state === "connected");
  current.stop();
  await before.stop();
  // The welcome's epoch is written while the agent goes on; the next one must not meet that write.
  await fence.raiseControlEpoch(5);
  const old = await startScheduler(t, { port, controlEpoch: 4 });
  const after = await startAgent(t, { address: old.address, directory, agentEpoch: 2 });
  await eventually(() => after.logged.some(({ reason }) => reason === "CONTROL_EPOCH_STALE"));
  assert.equal(after.link.status.connects, 0);
});

test("a scheduler replaced by a command to the agent is not followed any more", async (t) => {
  const scheduler = await startScheduler(t, { controlEpoch: 4 });
  const fence = await HostRecord.open(await folder(t));
  const agent = await startAgent(t, { address: scheduler.address, fence });
  await eventually(() => agent.link.status.state === "connected");
  await fence.raiseControlEpoch(5);
  await eventually(() => agent.logged.some(({ reason }) => reason === "CONTROL_EPOCH_STALE"));
});

test("a report that the scheduler stores differently ends the session, and is sent again", async (t) => {
  const scheduler = await startScheduler(t);
  scheduler.faults.wrongReportDigest = true;
  const agent = await startAgent(t, { address: scheduler.address });
  await eventually(() => agent.logged.some(({ reason }) => reason === "DIGEST_DIFFERS"));
  scheduler.faults.wrongReportDigest = false;
  await eventually(() => inStep(agent, scheduler.hosts.get(hostId)));
});

test("without a scheduler, or with one that is away, the agent runs and stops cleanly", async (t) => {
  const alone = await startAgent(t, { address: null });
  alone.table.put(vm("a"));
  await eventually(() => alone.position.generation >= 2);
  assert.equal(alone.link.status.state, "disabled");
  await within(alone.stop(), 60_000, "the stop");

  const port = await freePort();
  const waiting = await startAgent(t, { address: `127.0.0.1:${port}` });
  await eventually(() => waiting.logged.some(({ reason }) => reason === "SCHEDULER_UNREACHABLE"), {
    timeoutMs: 60_000,
  });
  const scheduler = await startScheduler(t, { port });
  await eventually(() => inStep(waiting, scheduler.hosts.get(hostId)));
  scheduler.faults.silent = true;
  await within(waiting.stop(), 60_000, "the stop");
});

test("an address that needs certificates is refused", async (t) => {
  for (const address of ["192.0.2.1:7450", "scheduler.example:7450", "[2001:db8::1]:7450"]) {
    const agent = await startAgent(t, { address });
    await assert.rejects(agent.failed, { kind: "unsupported", reason: "NOT_LOOPBACK" });
  }
});

test("a scheduler that accepts the session and sends no welcome is left, and tried again", async (t) => {
  const scheduler = await startScheduler(t);
  scheduler.faults.silent = true;
  const agent = await startAgent(t, { address: scheduler.address });
  await eventually(() => agent.logged.some(({ reason }) => reason === "SCHEDULER_SILENT"));
  scheduler.faults.silent = false;
  await eventually(() => inStep(agent, scheduler.hosts.get(hostId)));
});

test("a peer that accepts the connection and sends nothing is dropped and dialled again", async (t) => {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  mute.listen(0, "127.0.0.1");
  await once(mute, "listening");
  const bound = mute.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const agent = await startAgent(t, { address: `127.0.0.1:${port}` });
  await eventually(() => agent.logged.some(({ reason }) => reason === "SCHEDULER_UNREACHABLE"), {
    timeoutMs: 60_000,
  });
  mute.close();
  for (const socket of sockets) socket.destroy();
  const scheduler = await startScheduler(t, { port });
  await eventually(() => inStep(agent, scheduler.hosts.get(hostId)));
});

test("hosts spread over the scheduler's interval", () => {
  const shares = Array.from({ length: 200 }, (_, i) => spreadShare(`host-${i}`, 10_000));
  assert.ok(shares.every((share) => share >= 0 && share < 10_000));
  const halves = shares.filter((share) => share < 5000).length;
  assert.ok(halves > 70 && halves < 130, `${halves} of 200 in the first half`);
  assert.equal(spreadShare("host-1", 10_000), spreadShare("host-1", 10_000));
  assert.equal(spreadShare("host-1", 0), 0);
});
