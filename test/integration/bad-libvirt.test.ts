// libvirt is unavailable, too old, or hung: the agent starts, answers from memory at once, reports unknown data as unknown,
// and recovers by itself.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { Agent } from "../../agent/cli/client.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import { INVENTORY_PERIOD_SECONDS } from "../../agent/host/health/conditions/hypervisor.ts";
import { isSocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, clientOf, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { FakeDaemon } from "../support/libvirt/fake-daemon.ts";

const skip = libvirtdUnavailable();
/** Three probes take three seconds. */
const health = { libvirtProbeSeconds: 1, libvirtProbeTimeoutSeconds: 1 };
const vm = { sampleIntervalSeconds: 1 };
/**
 * A start with a hung libvirt may exceed a usual one by this share of a client's connect timeout (10 s). An agent that waits
 * for libvirt takes all of it; the agent's own waits (at most 3.5 s) are 0.35.
 */
const MOST_OF_GIVING_UP = 0.7;
/** The agent must read its pools before the next inventory period reads them anyway. */
const WITHIN_PERIOD_MS = (INVENTORY_PERIOD_SECONDS * 1000 * 2) / 3;

const condition = async (client: Agent, type: string) => {
  const { health: reported } = await client.ask(client.contract.host.GetHost, {});
  return reported?.conditions.find((each) => each.type === type);
};
const presence = async (client: Agent): Promise<string | undefined> =>
  (await client.ask(client.contract.vms.ListVms, {})).observation?.presence;
const isUnavailable = (error: unknown): boolean => {
  assert.ok(isSocleError(error), String(error));
  const { kind, reason, details } = error;
  assert.deepEqual([kind, reason], ["unavailable", "LIBVIRT_UNAVAILABLE"]);
  assert.ok((details.retryAfterMs ?? 0) > 0, "the error has a retry delay");
  return true;
};

function unlessUnavailable(thrown: unknown): undefined {
  if (!isSocleError(thrown) || thrown.kind !== "unavailable") throw thrown;
}

/** A client's timeout for a hung libvirt. */
async function msToGiveUp(uri: string): Promise<number> {
  const startMs = performance.now();
  await Libvirt.connect({ uri, log: silentLog }).then(
    (libvirt) => libvirt.close(),
    () => undefined,
  );
  return performance.now() - startMs;
}

async function refusesWhatItCannotKnow(client: Agent): Promise<void> {
  const { vms } = client.contract;
  assert.equal(await presence(client), "PRESENCE_UNKNOWN");
  const mutation = { requestId: randomUUID(), vm: "missing" };
  await assert.rejects(client.ask(vms.GetVm, { vm: "missing" }), isUnavailable);
  await assert.rejects(client.ask(vms.StartVm, mutation), isUnavailable);
  await assert.rejects(client.ask(vms.DeleteVm, mutation), isUnavailable);
  await assert.rejects(
    client.ask(vms.CreateVm, { requestId: randomUUID(), spec: bootSector("a") }),
    isUnavailable,
  );
}

suite("libvirt in trouble", { concurrency: 2 }, () => {
  test("unavailable at the start: the agent recovers once libvirt runs", { skip }, async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    await libvirtd.kill("SIGKILL");
    const agent = await AgentProcess.start({ config: { libvirt: { uri: libvirtd.uri }, health, vm } });
    t.after(() => agent.stop());
    const client = await clientOf(agent);
    t.after(() => client.close());
    await refusesWhatItCannotKnow(client);
    const readiness = await fetch(`http://${agent.metricsAddress}/readyz`);
    assert.deepEqual(
      [readiness.status, /VMS_NOT_LISTED/.test(await readiness.text())],
      [503, true],
      "a load balancer would trust a host without VMs",
    );
    const unresponsive = await eventually(
      async () => {
        const found = await condition(client, "LibvirtUnresponsive");
        return found?.status === "TRUTH_TRUE" && found;
      },
      { what: "LibvirtUnresponsive" },
    );
    assert.equal(unresponsive.effect, "EFFECT_NO_SCHEDULE");
    assert.match(unresponsive.evidence, /libvirt-sock/);
    const away = await client.ask(client.contract.host.GetHost, {});
    assert.equal(away.inventory?.complete, false);
    assert.ok((away.inventory.cells[0]?.memoryBytes ?? 0) > 0, "the kernel's data is there anyway");
    const hostId = away.identity?.hostId;
    assert.ok(hostId);

    await libvirtd.startAgain();
    await eventually(async () => (await presence(client)) === "PRESENCE_PRESENT", {
      what: "the list to be complete",
      timeoutMs: 60_000,
    });
    const back = await eventually(
      async () => {
        const host = await client.ask(client.contract.host.GetHost, {});
        return host.inventory?.complete === true && host;
      },
      { what: "the inventory to be complete", timeoutMs: 60_000 },
    );
    assert.equal(back.identity?.hostId, hostId, "the host's identity is unchanged");
    await agent.terminate();
    await agent.startAgain();
    const again = await clientOf(agent);
    t.after(() => again.close());
    const host = await again.ask(again.contract.host.GetHost, {});
    assert.equal(host.identity?.hostId, hostId, "also after a start with libvirt");
  });

  test("too old: health, status and the log report it", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "socle-old-"));
    t.after(() => rm(directory, { recursive: true }));
    const daemon = await FakeDaemon.start(t, { socketPath: join(directory, "libvirt-sock") });
    daemon.libVersion(6_000_000);
    const agent = await AgentProcess.start({ config: { libvirt: { uri: daemon.uri }, health, vm } });
    t.after(() => agent.stop());
    const client = await clientOf(agent);
    t.after(() => client.close());
    await refusesWhatItCannotKnow(client);
    await eventually(async () => (await condition(client, "LibvirtUnresponsive"))?.status === "TRUTH_TRUE", {
      what: "LibvirtUnresponsive",
    });
    const evidence = (await condition(client, "LibvirtUnresponsive"))?.evidence ?? "";
    assert.match(evidence, /libvirt 6\.0\.0 is too old; 7\.0\.0 or newer is needed/);
    const printed = agent.log.filter((line) => JSON.stringify(line).includes("too old"));
    assert.ok(printed.length > 0, "and in the log");
    // An upgrade needs no restart of the agent.
    daemon.libVersion(11_003_000);
    await eventually(
      async () => (await condition(client, "LibvirtUnresponsive"))?.evidence.includes("old") === false,
      {
        what: "the newer one to be used",
        timeoutMs: 30_000,
      },
    );
    assert.equal(await agent.terminate(), 0);
  });

  test(
    "hung: reads continue from memory, old data is unknown, and nothing is invented afterwards",
    { skip },
    async (t) => {
      const host = await SocleHost.start({ config: { health, vm } });
      t.after(() => host.stop());
      const { client, libvirtd, agent } = host;
      const made = await host.create(bootSector("steady"));
      assert.equal(made.state, "STATE_SUCCEEDED", JSON.stringify(made.error));
      const events: Event__Output[] = [];
      const following = (async () => {
        for await (const event of client.watch(client.contract.events.Subscribe, { fromNow: true }))
          events.push(event);
      })().catch(() => undefined);

      // The event makes the agent read its pools; if it finishes before the hang, the next period's read fails.
      await host.virsh("pool-refresh", "images");
      await libvirtd.kill("SIGSTOP");
      t.after(() => libvirtd.kill("SIGCONT").catch(() => undefined));
      const givingUp = msToGiveUp(libvirtd.uri);
      const slowestMs = { read: 0 };
      const read = async () => {
        const startMs = performance.now();
        const list = await host.list();
        slowestMs.read = Math.max(slowestMs.read, performance.now() - startMs);
        return list;
      };
      const early = await read();
      assert.equal(early.observation?.presence, "PRESENCE_PRESENT", "a short silence is no outage");
      await eventually(
        async () => (await condition(client, "LibvirtUnresponsive"))?.status === "TRUTH_TRUE",
        { what: "LibvirtUnresponsive", timeoutMs: 60_000 },
      );
      const unknown = await eventually(
        async () => {
          const list = await read();
          return list.observation?.presence === "PRESENCE_UNKNOWN" && list;
        },
        { what: "the list to be unknown", timeoutMs: 60_000 },
      );
      assert.deepEqual(
        unknown.vms.map(({ name, observation }) => [name, observation?.presence]),
        [["steady", "PRESENCE_UNKNOWN"]],
        "it is shown as last seen",
      );
      const isPoolUnread = async (): Promise<boolean> =>
        (await host.host()).inventory?.incompleteReasons.some((reason) => /storage pool/.test(reason)) ===
        true;
      await eventually(isPoolUnread, { what: "a read of the pools to fail", timeoutMs: 90_000 });
      const givenUpMs = await givingUp;
      // A read that waited for libvirt would take at least a client's timeout.
      const waited = slowestMs.read / givenUpMs;
      assert.ok(waited < 1, `a read took ${waited.toFixed(2)} of libvirt's timeout`);
      await libvirtd.kill("SIGCONT");
      await host.untilListed(WITHIN_PERIOD_MS);
      const [steady] = (await host.list()).vms;
      assert.deepEqual([steady?.name, steady?.state], ["steady", "VM_STATE_RUNNING"]);
      assert.deepEqual(
        events.filter(({ vmId }) => vmId !== ""),
        [],
        "no VM changed",
      );
      assert.ok(events.some(({ kind }) => kind === "EVENT_KIND_CONDITION_CHANGED"));

      // A new agent is not delayed either.
      await libvirtd.kill("SIGSTOP");
      await agent.kill();
      const hung = await agent.startAgain();
      await host.reconnect();
      await refusesWhatItCannotKnow(host.client);
      await following;
      await libvirtd.kill("SIGCONT");
      await host.untilListed(60_000);
      // The list may be complete a moment before the lease is confirmed.
      const requestId = randomUUID();
      const begun = await eventually(
        () => host.beginCreate(bootSector("after"), { requestId }).catch(unlessUnavailable),
        { what: "a creation to be admitted", timeoutMs: 60_000 },
      );
      assert.equal((await host.end(begun)).state, "STATE_SUCCEEDED");
      await agent.kill();
      const usual = await agent.startAgain();
      const share = (hung.readyMs - usual.readyMs) / givenUpMs;
      t.diagnostic(`a hung libvirt delays the start by ${share.toFixed(2)} of its timeout`);
      assert.ok(share <= MOST_OF_GIVING_UP, `the start waited ${share} of the timeout of libvirt`);
    },
  );
});
