import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { EventLog } from "../../../../agent/state/events/event-log.ts";
import type { NewEvent } from "../../../../agent/state/events/event.ts";
import { EventBudget } from "../../../../agent/vm/observation/event-budget.ts";

const rebooted = (vmId: string): NewEvent => ({
  kind: "vm_rebooted",
  vmId,
  vmName: vmId,
  vmState: "running",
});

function budgeted(): {
  budget: EventBudget;
  events: NewEvent[];
  pass: (ms: number) => void;
} {
  let nowMs = 0;
  const events: NewEvent[] = [];
  const budget = new EventBudget((event) => void events.push(event), { monotonicMs: () => nowMs });
  return { budget, events, pass: (ms) => (nowMs += ms) };
}

test("a guest that reboots in a loop does not displace other VMs' events from the event log", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-events-"));
  t.after(() => rm(directory, { recursive: true }));
  const log = await EventLog.open({
    directory,
    maxEvents: 1000,
    agentEpoch: 1,
    clock: systemClock,
    log: silentLog,
  });
  t.after(() => log.flush());
  const budget = new EventBudget((event) => void log.append(event), systemClock);
  budget.publish({ kind: "vm_panicked", vmId: "victim", vmName: "victim" });
  for (let count = 0; count < 100_000; count += 1) budget.publish(rebooted("flood"));
  const kinds = log.recent(1000).map(({ kind, vmId }) => `${vmId ?? ""} ${kind}`);
  assert.ok(kinds.includes("victim vm_panicked"));
  assert.ok(kinds.length < 200, `${kinds.length} events of one VM`);
});

test("dropped events are summed up with the VM's newest state, also when the VM has become quiet", () => {
  const { budget, events, pass } = budgeted();
  for (let count = 0; count < 100; count += 1) budget.publish(rebooted("a"));
  budget.publish({ kind: "vm_state_changed", vmId: "a", vmName: "a", vmState: "paused", reason: "USER" });
  const before = events.length;
  budget.settle();
  assert.equal(events.length, before, "not before the budget has recovered");
  pass(60_000);
  budget.settle();
  const [summary] = events.slice(before);
  assert.deepEqual(summary, {
    kind: "vm_events_dropped",
    vmId: "a",
    vmName: "a",
    vmState: "paused",
    reason: "USER",
    details: { dropped: String(101 - before), last_kind: "vm_state_changed" },
  });
  budget.settle();
  assert.equal(events.length, before + 1, "one summary");
});

test("under a flood every event is logged or counted, and other VMs keep theirs", () => {
  const { budget, events, pass } = budgeted();
  const count = 2000;
  for (let index = 0; index < count; index += 1) {
    budget.publish(rebooted("flood"));
    if (index % 100 === 0) budget.publish(rebooted("calm"));
    pass(200);
    if (index % 50 === 0) budget.settle();
  }
  pass(600_000);
  budget.settle();
  const of = (vm: string): NewEvent[] => events.filter(({ vmId }) => vmId === vm);
  assert.equal(of("calm").length, count / 100);
  const dropped = of("flood").reduce((sum, { details }) => sum + Number(details?.["dropped"] ?? 0), 0);
  const published = of("flood").filter(({ kind }) => kind === "vm_rebooted").length;
  assert.equal(published + dropped, count);
  assert.ok(of("flood").length < 150, `${of("flood").length}`);
});

test("defined and removed events are never dropped, and a removed VM's drops are reported first", () => {
  const { budget, events } = budgeted();
  for (let count = 0; count < 100; count += 1) budget.publish(rebooted("a"));
  budget.publish({ kind: "vm_removed", vmId: "a", vmName: "a" });
  assert.deepEqual(
    events.slice(-2).map(({ kind }) => kind),
    ["vm_events_dropped", "vm_removed"],
  );
});
