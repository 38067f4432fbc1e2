import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { AgentProcess } from "../support/agent-process.ts";
import { eventually } from "../support/wait.ts";
import type { SpareHost } from "./attack-spare-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";
import { mutation } from "./host.ts";

const execute = promisify(execFile);

/**
 * A state directory that is deleted, replaced or damaged. Every acknowledged change is durable; with an unreadable host
 * record, the agent starts and shows everything.
 */
export async function state(stage: Stage): Promise<Theme> {
  const spare = await stage.spare();
  const whole = (): string => spare.state;
  const damages: readonly (readonly [what: string, damage: () => Promise<void>])[] = [
    ["the directory deleted", () => rm(whole(), { recursive: true })],
    ["the directory moved away", () => rename(whole(), `${whole()}.away`)],
    ["the directory replaced by an empty one", () => replacedBy(spare, "mkdir", ["-m", "0700", whole()])],
    ["the directory replaced by a copy", () => replacedBy(spare, "cp", ["-a", `${whole()}.away`, whole()])],
    ["its contents deleted", () => deleteContents(whole())],
    ["the journal deleted", () => rm(join(whole(), "operations.journal"))],
    ["the journal replaced by a copy", () => replacedFile(spare, "operations.journal")],
    ["the audit log deleted", () => rm(join(whole(), "audit"), { recursive: true })],
  ];
  const tries: Try[] = damages.map(([what, damage]) => ({
    what: `${what}, while the agent runs`,
    attack: () => restoring(spare, () => noticesLoss(spare, damage)),
  }));
  tries.push({
    what: "a second agent on the path of a deleted state directory",
    attack: () => restoring(spare, () => secondOnSamePath(spare)),
  });
  // Version 0.1.0 wrote records without a checksum: an edited one is validated by its values.
  const unsigned = (text: string): string => text.replace(/,\s*"crc32": "[^"]*"/, "");
  const withEpoch = (epoch: string) => (text: string) =>
    unsigned(text.replace(/("controlEpoch": )\d+/, (_all, key: string) => key + epoch));
  for (const [what, record] of [
    ["a control epoch above 2^53-1", withEpoch("9007199254740993")],
    ["a control epoch that is text", withEpoch('"x"')],
    ["half of its text", (text: string) => text.slice(0, text.length / 2)],
  ] as const)
    tries.push({
      what: `a host record with ${what}`,
      attack: () => restoring(spare, () => startsWithRecord(spare, record)),
    });
  tries.push({
    what: "an agent killed before the first checkpoint of its audit log",
    attack: () => restoring(spare, () => killedBeforeCheckpoint(spare)),
  });
  return { name: "state", tries };
}

async function deleteContents(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
}

async function replacedBy(spare: SpareHost, command: string, args: readonly string[]): Promise<void> {
  await rename(spare.state, `${spare.state}.away`);
  await execute(command, args);
}

async function replacedFile(spare: SpareHost, name: string): Promise<void> {
  const path = join(spare.state, name);
  await execute("cp", ["-a", path, `${path}.copy`]);
  await rename(`${path}.copy`, path);
}

/** Restores the previous state for the next attack, with an agent that accepts changes. */
async function restoring(spare: SpareHost, attack: () => Promise<Outcome>): Promise<Outcome> {
  const copy = await spare.copyState();
  try {
    return await attack();
  } finally {
    await spare.host.agent.kill();
    await rm(`${spare.state}.away`, { recursive: true, force: true });
    await spare.putBack(copy);
    await spare.startAgain();
    await spare.clear();
    await spare.create("after");
    await spare.clear();
  }
}

/** The first change after the damage is refused, or a restarted agent still knows it. */
async function noticesLoss(spare: SpareHost, damage: () => Promise<void>): Promise<Outcome> {
  const { host } = spare;
  await damage();
  const asked = mutation("CREATE", "lost");
  const refused = await spare.refusalOf(() => host.begin(asked));
  const before = await host.witness.states();
  if (refused !== undefined) {
    if (before.has("lost")) return { letThrough: `refused (${refused.reason}), and done all the same` };
    const isClear = /state|journal|audit|log/i.test(refused.message);
    return isClear ? "refused" : { letThrough: `refused unclearly: ${refused.message}` };
  }
  await spare.restart();
  const again = await host.begin(asked);
  const end = await spare.endOf(again);
  return end.state === "STATE_SUCCEEDED"
    ? "inert"
    : { letThrough: `acknowledged and lost: ${host.describe(end)}` };
}

/** The first one still holds the path. */
async function secondOnSamePath(spare: SpareHost): Promise<Outcome> {
  await rm(spare.state, { recursive: true });
  try {
    const second = await AgentProcess.start({
      bundle: spare.host.bundle,
      config: { libvirt: { uri: spare.host.libvirtd.uri }, state: { directory: spare.state } },
      startTimeoutMs: 20_000,
    });
    await second.stop();
    return { letThrough: "it starts" };
  } catch (thrown) {
    const words = String(thrown);
    if (words.includes(`${spare.state} is in use by`)) return "refused";
    throw thrown;
  }
}

async function startsWithRecord(spare: SpareHost, spoil: (text: string) => string): Promise<Outcome> {
  const { host } = spare;
  const { vmId } = await spare.create("shown");
  await host.agent.kill();
  const path = join(spare.state, "host.json");
  const text = await readFile(path, "utf8");
  if (spoil(text) === text) throw new Error(`the record is not as this attack expects: ${text}`);
  await writeFile(path, spoil(text));
  await spare.startAgain();
  if (!(await host.list()).vms.some((vm) => vm.vmId === vmId)) return { letThrough: "a VM is not shown" };
  const refused = await spare.refusalOf(() => host.begin(mutation("CREATE", "refused")));
  if (refused === undefined) return { letThrough: "it takes changes" };
  const { health } = await host.client.ask(host.client.contract.host.GetHost, {});
  const named = health?.conditions.some(
    ({ status, evidence }) => status === "TRUTH_TRUE" && evidence.includes("host.json"),
  );
  return named === true ? "refused" : { letThrough: "no condition names the file" };
}

/** No alarm, neither from the command nor from the next agent. */
async function killedBeforeCheckpoint(spare: SpareHost): Promise<Outcome> {
  const { host } = spare;
  await host.agent.kill();
  await rm(spare.state, { recursive: true });
  await spare.startAgain();
  const { reservations } = host.client.contract;
  await eventually(
    async () => {
      const room = { vcpus: 1, memoryBytes: 2 ** 20, ttl: { seconds: 1, nanos: 0 } };
      await host.client.ask(reservations.Reserve, { requestId: randomUUID(), ...room });
      return true;
    },
    { what: "the agent to take a change" },
  );
  await host.agent.kill();
  const directory = join(spare.state, "audit");
  const verified = await execute(process.execPath, [
    host.bundle,
    "audit",
    "verify",
    "--directory",
    directory,
  ]).then(
    () => "",
    (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown)),
  );
  if (verified !== "") return { letThrough: `the command reports tampering: ${verified}` };
  await spare.startAgain();
  const { health } = await host.client.ask(host.client.contract.host.GetHost, {});
  const alarm = health?.conditions.find(
    ({ type, status }) => type.startsWith("Audit") && status === "TRUTH_TRUE",
  );
  return alarm === undefined ? "refused" : { letThrough: `${alarm.type}: ${alarm.evidence}` };
}
