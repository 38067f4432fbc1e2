// Two agents with two state directories on one libvirt: only one makes changes.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, suite, test } from "node:test";
import type { Agent } from "../../agent/cli/client.ts";
import type { Host__Output } from "../../agent/gen/socle/v1/Host.ts";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, clientOf, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

suite("two agents on one libvirt", { skip: libvirtdUnavailable() }, () => {
  let host: SocleHost;
  let second: AgentProcess;
  let client: Agent;

  before(async () => {
    host = await SocleHost.start();
    second = await AgentProcess.start({ config: { libvirt: { uri: host.libvirtd.uri } } });
    client = await clientOf(second);
  });
  after(async () => {
    client.close();
    await second.stop();
    await host.stop();
  });

  const create = async (of: Agent, name: string): Promise<SocleError | undefined> => {
    const request = { requestId: randomUUID(), spec: bootSector(name), leaveStopped: true };
    return await of.ask(of.contract.vms.CreateVm, request).then(
      () => undefined,
      (thrown: unknown) => toSocleError(thrown),
    );
  };
  const seenBy = async (of: Agent): Promise<Host__Output> => await of.ask(of.contract.host.GetHost, {});
  const until = (what: string, isSo: () => Promise<boolean>): Promise<unknown> =>
    eventually(isSo, { what, timeoutMs: 30_000 });
  const inUse = async (of: Agent): Promise<string | undefined> =>
    (await seenBy(of)).health?.conditions.find(({ type }) => type === "HypervisorInUse")?.status;

  test("the second agent shows everything, changes nothing, and names the first", async () => {
    assert.equal(await create(host.client, "by-the-first"), undefined);
    const refused = await create(client, "by-the-second");
    assert.equal(refused?.reason, "HYPERVISOR_IN_USE");
    assert.equal(refused.kind, "conflict");
    assert.ok(refused.message.includes(`pid ${host.agent.pid} `), refused.message);
    assert.ok(refused.message.includes(`state directory ${host.agent.directory}/state`), refused.message);
    const readiness = await fetch(`http://${second.metricsAddress}/readyz`);
    const body = await readiness.text();
    assert.deepEqual([readiness.status, /HYPERVISOR_IN_USE/.test(body)], [503, true], body);
    assert.ok(!body.includes(host.agent.directory), "a visitor without a login sees no path");
    await until("the condition", async () => (await inUse(client)) === "TRUTH_TRUE");
    assert.equal((await seenBy(client)).health?.schedulable, "TRUTH_FALSE");
    await until("the first one's VM to be listed", async () => {
      const { vms } = await client.ask(client.contract.vms.ListVms, { pageSize: 10 });
      return vms.some(({ spec }) => spec?.name === "by-the-first");
    });
    assert.deepEqual(await host.domains(), ["by-the-first"]);
  });

  test("the second agent takes over a killed one with a higher epoch, and the first changes nothing afterwards", async () => {
    const epochOf = async (of: Agent): Promise<number> => Number((await seenBy(of)).position?.agentEpoch);
    const epoch = await epochOf(host.client);
    await host.agent.kill();
    await until("the second to take over", async () => (await create(client, "by-the-second")) === undefined);
    assert.ok((await epochOf(client)) > epoch);
    await host.agent.startAgain();
    await host.reconnect();
    const refused = await create(host.client, "too-late");
    assert.equal(refused?.reason, "HYPERVISOR_IN_USE");
    assert.ok(refused.message.includes(`pid ${second.pid} `), refused.message);
  });

  test("a restarted libvirtd keeps the lease's holder", async () => {
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    await until(
      "the second to change things again",
      async () => (await create(client, `by-the-second-${randomUUID()}`)) === undefined,
    );
    await until(
      "the first to be refused by name again",
      async () => (await create(host.client, "too-late"))?.reason === "HYPERVISOR_IN_USE",
    );
  });

  test("the first agent takes over when the second stops in order", async () => {
    assert.equal(await second.terminate(), 0);
    await until(
      "the first to continue",
      async () => (await create(host.client, "by-the-first-again")) === undefined,
    );
  });
});
