import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { callAgent, operationService, vmService } from "../scheduler/contract.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { freePort } from "../support/ports.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const skip = libvirtdUnavailable();

test("a scheduler places a guest on a reporting host and follows both", { skip }, async (t) => {
  const scheduler = await Scheduler.start({ heartbeatMs: 200, reconnectSpreadMs: 100 });
  t.after(() => scheduler.stop());
  const apiPort = await freePort();
  const hostId = randomUUID();
  const host = await SocleHost.start({
    config: {
      host: { id: hostId },
      api: { listen: `127.0.0.1:${apiPort}` },
      scheduler: { address: scheduler.address },
    },
  });
  t.after(() => host.stop());
  const { agent } = host;
  const known = await eventually(() => scheduler.hosts.get(hostId), {
    what: "the registration",
  });
  await eventually(
    () => known.host?.health?.schedulable === "TRUTH_TRUE" && known.available("memory") > 2 ** 28,
    {
      what: "a host that can be scheduled on",
      timeoutMs: 30_000,
    },
  );
  const free = known.available("memory");

  const { operation } = await scheduler.place(linux("placed"));
  await eventually(() => known.vms.get(operation.vmId)?.state === "VM_STATE_RUNNING", {
    what: "the guest in a delta",
  });
  await eventually(() => known.available("memory") < free, { what: "its memory to be taken off" });
  await eventually(
    () => known.events.some(({ vmId, vmState }) => vmId === operation.vmId && vmState === "VM_STATE_RUNNING"),
    { what: "its event" },
  );

  // The agent crashes: the guest is not affected, the scheduler notices, and holds the same state afterwards.
  const { sessions, agentEpoch } = known;
  await agent.kill();
  await eventually(() => !known.connected);
  assert.equal(await host.virsh("domstate", "placed"), "running");
  await agent.startAgain();
  await eventually(() => known.sessions > sessions && known.agentEpoch > agentEpoch, {
    what: "the host again",
  });
  await eventually(() => known.vms.get(operation.vmId)?.state === "VM_STATE_RUNNING");
  const received = known.heartbeats;
  await eventually(() => known.heartbeats > received + 2);
  const { mismatches } = known;

  // A lost delta is detected by its digest.
  scheduler.faults.dropDeltas = 1;
  const begun = await callAgent(
    `127.0.0.1:${apiPort}`,
    vmService.DeleteVm,
    { requestId: randomUUID(), vm: operation.vmId, force: true },
    10_000,
  );
  const wait = { operationId: begun.operationId, timeout: { seconds: 30 } };
  const deleted = await callAgent(`127.0.0.1:${apiPort}`, operationService.WaitOperation, wait, 40_000);
  assert.equal(deleted.state, "STATE_SUCCEEDED", deleted.error?.message);
  await eventually(() => !known.vms.has(operation.vmId) && known.digest !== "", {
    what: "the guest to be removed",
  });
  assert.ok(known.mismatches > mismatches, "the loss was detected");
  await eventually(() => known.available("memory") === free);

  assert.equal(await agent.terminate(), 0);
  await eventually(() => known.goodbye === "the agent stops");
});
