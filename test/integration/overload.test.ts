import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { loadContract } from "../../agent/contract/load.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { freePort } from "../support/ports.ts";
import { bootSector, protoDirectory, SocleHost } from "../support/socle-host.ts";
import { callAgent, operationService, vmService } from "../scheduler/contract.ts";

/** Or as many as a small machine's vCPUs allow. */
const CROWD = Math.min(140, availableParallelism() * 64 - 8);
/** A burst of five seconds' worth lets the crowd in; a flood that a slow machine sends over a minute still exceeds it. */
const MUTATIONS_PER_SECOND = 30;
const FLOOD = 3000;
const MIB = 2 ** 20;

/** libvirt works on each, but no process starts. */
const spec = (name: string) =>
  bootSector(name, {
    disks: [{ name: "data", newVolume: { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } }],
  });

test(
  "during many concurrent creates, reads, health, a stop and another caller are served",
  { skip: libvirtdUnavailable(), timeout: 600_000 },
  async (t) => {
    const port = await freePort();
    const host = await SocleHost.start({
      config: {
        api: { listen: `127.0.0.1:${port}`, limits: { mutationsPerSecond: MUTATIONS_PER_SECOND } },
        host: { reservedMemoryMiB: 0, cpuOvercommitRatio: 64, memoryOvercommitRatio: 4 },
        vm: { accelerator: "tcg" },
      },
    });
    t.after(() => host.stop());
    const { vms, operations } = host.client.contract;
    const { health } = loadContract(protoDirectory);
    const { vmId } = await host.create(bootSector("victim"));

    const crowd = await Promise.all(
      Array.from({ length: CROWD }, (_, count) =>
        host.beginCreate(spec(`crowd-${count}`), { leaveStopped: true }),
      ),
    );
    const underWay = async (): Promise<readonly Operation__Output[]> => {
      const page = await host.client.ask(operations.ListOperations, { onlyRunning: true, pageSize: 1000 });
      return page.operations.filter(({ kind }) => kind === "CREATE_VM");
    };
    assert.ok((await underWay()).length > CROWD / 2, "the creates wait for each other");
    assert.ok((await metric(host, "socle_vm_heavy_operations_queued")) > 0);
    assert.ok((await metric(host, "socle_vm_heavy_operations_running")) <= 8);

    // Independent calls are answered while the creates wait.
    assert.equal((await host.client.ask(vms.GetVm, { vm: "victim" })).vmId, vmId);
    assert.equal((await host.client.ask(health.Check, {})).status, "SERVING");
    const request = { requestId: randomUUID(), vm: "victim", force: true, gracefulTimeout: { seconds: 0 } };
    const stopped = await host.end(await host.client.ask(vms.StopVm, request));
    const left = (await underWay()).length;
    assert.equal(stopped.state, "STATE_SUCCEEDED");
    assert.equal(await host.virsh("domstate", "victim"), "shut off");
    assert.ok(left > 20, `the stop ended before the creates, of which ${left} remained`);

    // Another caller's create does not wait for all of them.
    const other = { requestId: randomUUID(), spec: spec("other"), leaveStopped: true };
    const address = `127.0.0.1:${port}`;
    const begun = await callAgent(address, vmService.CreateVm, other, 10_000);
    const wait = { operationId: begun.operationId, timeout: { seconds: 60 } };
    const others = await callAgent(address, operationService.WaitOperation, wait, 70_000);
    assert.equal(others.state, "STATE_SUCCEEDED");
    const behind = (await underWay()).length;
    assert.ok(behind > 0, "it ended before the creates");

    // A flood is refused, with a retry delay, and uses no memory.
    const before = await metric(host, "process_resident_memory_bytes");
    const flood = await Promise.all(
      Array.from({ length: FLOOD }, (_, count) =>
        host.client
          .ask(
            vms.CreateVm,
            { requestId: randomUUID(), spec: spec(`flood-${count}`), leaveStopped: true },
            { timeoutMs: 120_000 },
          )
          .then(
            () => undefined,
            (thrown: unknown) => toSocleError(thrown),
          ),
      ),
    );
    const refused = flood.filter((error): error is SocleError => error?.reason === "RATE_LIMITED");
    assert.ok(refused.length > 100, `${refused.length} were refused`);
    assert.ok(refused.every(({ kind, details }) => kind === "exhausted" && (details.retryAfterMs ?? 0) > 0));
    assert.ok((await metric(host, `socle_api_calls_refused_total{class="mutation"}`)) >= refused.length);
    const grownMib = ((await metric(host, "process_resident_memory_bytes")) - before) / MIB;
    assert.ok(grownMib < 150, `the agent grew by ${Math.round(grownMib)} MiB`);

    // A waiting create is cancelled at once and leaves nothing.
    const waiting = (await underWay()).filter(({ steps }) => steps.length === 0);
    await Promise.all(
      waiting.map(({ operationId }) =>
        host.client.ask(operations.CancelOperation, { operationId }).catch(() => undefined),
      ),
    );
    const ends = [];
    for (const operation of crowd) ends.push(await host.end(operation));
    for (const { state } of ends)
      assert.ok(state === "STATE_SUCCEEDED" || state === "STATE_CANCELLED", state);
    const made = ends.filter(({ state }) => state === "STATE_SUCCEEDED").length;
    const domains = (await host.domains()).filter((name) => name.startsWith("crowd-"));
    assert.equal(domains.length, made, "one VM per successful create");
  },
);

async function metric(host: SocleHost, name: string): Promise<number> {
  const text = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`there is no ${name}`);
  return Number(line.split(" ")[1]);
}
