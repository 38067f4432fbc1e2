import assert from "node:assert/strict";
import { test } from "node:test";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { eventually } from "../../support/wait.ts";
import { vm } from "../../support/api/harness.ts";
import { hostId, inStep, startAgent, startScheduler } from "../../support/scheduler/harness.ts";

const labels = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`label-${at}`, "漢".repeat(255)]));

test("100 VMs with the largest labels reach a scheduler with gRPC's default of 4 MiB a message", async (t) => {
  const scheduler = await startScheduler(t);
  const table = new VmTable();
  for (let at = 0; at < 100; at += 1) table.put(vm(`vm-${at}`, { labels }));
  const agent = await startAgent(t, { address: scheduler.address, table });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => known.vms.size === 100 && inStep(agent, known), { what: "the report" });

  // The same as a change: too large for one delta, so a report carries it.
  const { reports } = known;
  for (let at = 0; at < 99; at += 1) table.put(vm(`vm-${at}`, { labels, state: "paused" }));
  await eventually(() => known.vms.get("vm-98")?.state === "VM_STATE_PAUSED" && inStep(agent, known), {
    what: "the changes",
  });
  assert.ok(known.reports > reports);
});
