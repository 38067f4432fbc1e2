// The link over TLS: to which schedulers an agent reports, and when it stops.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import { createLog } from "../../../agent/kernel/log.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { authorityKeyOf, Trust } from "../../../agent/trust/index.ts";
import { eventually } from "../../support/wait.ts";
import { Authority, installTrust, type Issued } from "../../scheduler/authority.ts";
import { folder } from "../../support/state/folder.ts";
import { hostId, startAgent, startScheduler } from "../../support/scheduler/harness.ts";

const domain = "cloud.example";
const log = createLog({ level: "error", destination: { write: () => undefined } });

async function enrolled(t: TestContext) {
  const directory = await folder(t);
  const authority = await Authority.make(domain);
  const own = await authority.issue("agent/host-a");
  await installTrust(directory, authority, own);
  const trust = new Trust({ replaceFile, directory, domain, clock: systemClock, log });
  await trust.reload();
  const schedulerBy = (issued: Issued, by = authority) => {
    const pair = { private_key: Buffer.from(issued.keyPem), cert_chain: Buffer.from(issued.certificatePem) };
    return startScheduler(t, {
      credentials: ServerCredentials.createSsl(Buffer.from(by.certificatePem), [pair], true),
    });
  };
  return { directory, authority, own, trust, schedulerBy };
}

test("a host reports to a scheduler of its domain until that one's certificate is revoked", async (t) => {
  const { directory, authority, own, trust, schedulerBy } = await enrolled(t);
  const issued = await authority.issue("scheduler/s-1");
  const scheduler = await schedulerBy(issued);
  const agent = await startAgent(t, { address: scheduler.address, trust });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => known.connected);
  authority.revoke(issued.serial);
  await installTrust(directory, authority, own, await authority.revocationList());
  await trust.reload();
  await eventually(() => !known.connected, { what: "the session to end" });
  await eventually(() => agent.link.status.state === "connecting");
});

test("a host with an older revocation list than before accepts no control epoch from a session", async (t) => {
  const { authority, trust, schedulerBy } = await enrolled(t);
  const [key] = trust.material?.roots.map(authorityKeyOf) ?? [];
  assert.ok(key !== undefined);
  trust.noteListTimes({ [key]: Date.now() });
  const scheduler = await schedulerBy(await authority.issue("scheduler/s-1"));
  const agent = await startAgent(t, { address: scheduler.address, trust });
  await eventually(() => scheduler.hosts.get(hostId)?.connected);
  const complaint = await eventually(() =>
    agent.logged.find(({ msg }) => /control epoch was not accepted/.test(String(msg))),
  );
  assert.equal((complaint["err"] as { reason?: string }).reason, "REVOCATIONS_ROLLED_BACK");
  assert.deepEqual(agent.raised, []);
});

test("a host reports to no peer but schedulers of its domain", async (t) => {
  const { authority, trust, schedulerBy } = await enrolled(t);
  const stranger = await Authority.make(domain);
  const others = [
    await schedulerBy(await authority.issue("viewer/v")),
    await schedulerBy(await authority.issue("scheduler/s/tenant/acme")),
    await schedulerBy(await stranger.issue("scheduler/s-1"), stranger),
    await startScheduler(t),
  ];
  for (const scheduler of others) {
    const agent = await startAgent(t, { address: scheduler.address, trust });
    const complaint = await eventually(() =>
      agent.logged.find(({ msg }) => /no scheduler answers/.test(String(msg))),
    );
    assert.equal(complaint["reason"], "SCHEDULER_UNREACHABLE");
    assert.equal(scheduler.hosts.size, 0);
    await agent.stop();
  }
});

test("a host that is not enrolled reports that, and keeps trying", async (t) => {
  const directory = await folder(t);
  const trust = new Trust({ replaceFile, directory, domain, clock: systemClock, log });
  await trust.reload();
  const scheduler = await startScheduler(t);
  const agent = await startAgent(t, { address: scheduler.address, trust });
  await eventually(() => agent.logged.some(({ reason }) => reason === "NOT_ENROLLED"));
  assert.equal(agent.link.status.state, "connecting");
});
