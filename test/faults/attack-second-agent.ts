import { randomUUID } from "node:crypto";
import type { Agent } from "../../agent/cli/client.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import type { AgentProcess } from "../support/agent-process.ts";
import { clientOf } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import type { SpareHost } from "./attack-spare-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const VM = "target";
const ROUNDS = 5;
const TAKES_OVER_WITHIN_MS = 30_000;

interface Second {
  readonly agent: AgentProcess;
  readonly client: Agent;
}

/**
 * A second agent with its own state directory on the same libvirt. It changes no VM, and virsh shows no dedicated CPU that is
 * pinned twice.
 */
export async function secondAgent(stage: Stage): Promise<Theme> {
  const spare = await stage.spare();
  const { host } = spare;
  const changes: readonly (readonly [what: string, change: (of: Agent) => Promise<unknown>])[] = [
    ["creates a VM", (of) => create(spare, of, "second")],
    ["stops the first one's VM", (of) => of.ask(of.contract.vms.StopVm, { ...target(), force: true })],
    ["deletes the first one's VM", (of) => of.ask(of.contract.vms.DeleteVm, { ...target(), force: true })],
    ["pauses the first one's VM", (of) => of.ask(of.contract.vms.PauseVm, target())],
  ];
  const tries: Try[] = changes.map(([what, change]) => ({
    what: `a second agent ${what}`,
    attack: () =>
      withSecond(spare, async ({ client }) => {
        const { vmId } = await spare.create(VM);
        const process = await host.witness.process(vmId);
        const before = await seen(spare);
        const refused = await spare.refusalOf(() => change(client));
        if (refused === undefined) return { letThrough: "it accepts the change" };
        if (!(await spare.runs(vmId, process)) || (await seen(spare)) !== before)
          return { letThrough: `it was refused (${refused.reason}), and something changed` };
        return isInUse(refused) ? "refused" : { letThrough: `it is refused otherwise: ${refused.message}` };
      }),
  }));
  tries.push(
    {
      what: "both agents create VMs on the same dedicated CPU at once",
      attack: () =>
        withSecond(spare, async ({ client }) => {
          for (let round = 0; round < ROUNDS; round += 1) {
            const both = [host.client, client].map((of, at) =>
              create(spare, of, `dedicated-${round}-${at}`, true),
            );
            const begun = await Promise.allSettled(both);
            for (const each of begun) if (each.status === "fulfilled") await host.ended(each.value, 60_000);
            const outcome = await dedicatedOnce(spare);
            if (outcome !== "refused") return outcome;
          }
          return "refused";
        }),
    },
    {
      what: "a second agent takes over from a killed one, and both pin the same dedicated CPU",
      attack: () => withSecond(spare, (second) => takesOver(spare, second)),
    },
    {
      what: "both agents create the VM with the same id, and one rolls back",
      attack: () => withSecond(spare, ({ client }) => createsSame(spare, client)),
    },
  );
  return { name: "secondAgent", tries };
}

const target = () => ({ requestId: randomUUID(), vm: VM });
const isInUse = (thrown: unknown): boolean => toSocleError(thrown).reason === "HYPERVISOR_IN_USE";

const create = (spare: SpareHost, of: Agent, name: string, dedicatedCpus = false, vmId = "") =>
  of.ask(of.contract.vms.CreateVm, {
    requestId: randomUUID(),
    spec: spare.spec(name, { placement: { dedicatedCpus }, vmId }),
    leaveStopped: true,
  });

async function withSecond(spare: SpareHost, attack: (second: Second) => Promise<Outcome>): Promise<Outcome> {
  const agent = await spare.secondAgent();
  const client = await clientOf(agent);
  try {
    const { ListVms } = client.contract.vms;
    const isComplete = async (): Promise<boolean> =>
      (await client.ask(ListVms, {})).observation?.presence === "PRESENCE_PRESENT";
    await eventually(isComplete, { what: "the second agent to see the VMs" });
    return await attack({ agent, client });
  } finally {
    client.close();
    await agent.stop();
    await eventually(() => spare.clear().then(() => true), {
      what: "the first agent to take changes again",
      timeoutMs: 60_000,
      intervalMs: 500,
    });
  }
}

/** All domains with their states, and all volumes. */
async function seen({ host: { witness } }: SpareHost): Promise<string> {
  return JSON.stringify([[...(await witness.states())], await witness.volumes()]);
}

/** The number of domains that are pinned to the dedicated CPU. */
async function dedicatedOnce({ host: { witness } }: SpareHost): Promise<Outcome> {
  const names = [...(await witness.states()).keys()];
  const pinned: string[] = [];
  for (const name of names)
    if (/^\s*\d+\s+1$/m.test(await witness.virsh("vcpupin", name, "--config"))) pinned.push(name);
  if (pinned.length === 0) throw new Error("no VM has the dedicated CPU, so the try proves nothing");
  return pinned.length === 1 ? "refused" : { letThrough: `${pinned.join(" and ")} are pinned to one CPU` };
}

async function takesOver(spare: SpareHost, { client }: Second): Promise<Outcome> {
  const { host } = spare;
  await host.ended(await create(spare, host.client, "by-the-first", true), 60_000);
  await host.agent.kill();
  await eventually(
    async () => (await spare.refusalOf(() => create(spare, client, "taken-over"))) === undefined,
    {
      what: "the second agent to take over",
      timeoutMs: TAKES_OVER_WITHIN_MS,
    },
  );
  const again = await spare.refusalOf(() => create(spare, client, "by-the-second", true));
  await host.startAgain();
  await host.untilListed();
  const late = await spare.refusalOf(() => create(spare, host.client, "late"));
  await spare.refusalOf(() => create(spare, host.client, "late-dedicated", true));
  const outcome = await dedicatedOnce(spare);
  if (outcome !== "refused") return outcome;
  if (again === undefined) return { letThrough: "the second agent accepted the CPU again" };
  return isInUse(late)
    ? "refused"
    : { letThrough: `the first one is not refused: ${late?.reason ?? "done"}` };
}

async function createsSame(spare: SpareHost, client: Agent): Promise<Outcome> {
  const { host } = spare;
  for (let round = 0; round < ROUNDS; round += 1) {
    const vmId = randomUUID();
    const name = `same-${round}`;
    const both = [host.client, client].map((of) => create(spare, of, name, false, vmId));
    const [first] = await Promise.allSettled(both);
    if (first?.status !== "fulfilled") throw first?.reason;
    await spare.succeeds(first.value);
    const disk = /source file=['"][^'"]*\/images\/(socle-[^'"]*)/.exec(
      await host.witness.virsh("dumpxml", name),
    )?.[1];
    const volumes = await host.witness.volumes();
    if (disk === undefined || !volumes.includes(disk))
      return { letThrough: `the disk ${disk ?? ""} of ${name} is not there` };
  }
  return "refused";
}
