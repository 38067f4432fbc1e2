// An agent that starts on a full state disk: it serves reads and changes nothing.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Condition__Output } from "../../agent/gen/socle/v1/Condition.ts";
import type { Host__Output } from "../../agent/gen/socle/v1/Host.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { fill, smallDisk } from "../support/small-disk.ts";
import { clientOf } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

/** Above the interval of the state's checks. */
const SOON_MS = 30_000;

test("an agent on a full state disk serves reads, metrics and the page, and refuses changes until space is free", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  // Without libvirt, which is not needed here.
  const libvirt = { uri: "test:///default" };
  const agent = await AgentProcess.start({ config: { libvirt, state: { directory: join(disk, "state") } } });
  t.after(() => agent.stop());
  const before = await clientOf(agent);
  const { agentEpoch } = positionOf(await before.ask(before.contract.host.GetHost, {}));
  before.close();
  await agent.kill();
  const filler = await fill(disk);
  await agent.startAgain();
  const client = await clientOf(agent);
  t.after(() => client.close());
  const host = (): Promise<Host__Output> => client.ask(client.contract.host.GetHost, {});
  const unwritable = async (status: string): Promise<Condition__Output | undefined> =>
    (await host()).health?.conditions.find(
      (condition) => condition.type === "StateUnwritable" && condition.status === status,
    );

  assert.equal(positionOf(await host()).agentEpoch, agentEpoch + 1);
  for (const path of ["/metrics", "/", "/healthz"])
    assert.equal((await fetch(`http://${agent.metricsAddress}${path}`)).status, 200, path);
  const condition = await eventually(() => unwritable("TRUTH_TRUE"), {
    what: "StateUnwritable",
    timeoutMs: SOON_MS,
  });
  for (const problem of [/the state directory .* cannot be written/, /host\.json cannot/, /events cannot/])
    assert.match(condition.evidence, problem);
  const cordon = (): Promise<unknown> =>
    client.ask(client.contract.host.SetSchedulingState, {
      requestId: randomUUID(),
      state: "LIFECYCLE_STATE_CORDONED",
      reason: "x",
    });
  await assert.rejects(cordon, /ENOSPC.*reads and guests go on; free space there/);

  await rm(filler);
  await eventually(() => unwritable("TRUTH_FALSE"), { what: "the disk to be well", timeoutMs: SOON_MS });
  await cordon();
});

const positionOf = ({ position }: Host__Output): { agentEpoch: number } => {
  assert.ok(position);
  return position;
};
