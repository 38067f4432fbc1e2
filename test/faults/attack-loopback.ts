import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { credentials, status } from "@grpc/grpc-js";
import { AgentProcess } from "../support/agent-process.ts";
import { spawnBound } from "../support/bound-child.ts";
import { freePort } from "../support/ports.ts";
import { eventually } from "../support/wait.ts";
import { Caller, type Answer } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const STARTS_WITHIN_MS = 30_000;
const LOOK_MS = 1000;

interface Listeners {
  readonly api?: { readonly listen: string };
  readonly scheduler?: { readonly address: string };
  readonly trust?: Readonly<Record<string, unknown>>;
}

/** A local process that requests the scheduler's role over TCP, from agents whose configuration does not allow it. */
export async function loopback(stage: Stage): Promise<Theme> {
  const directory = await stage.temporary();
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  // With the key set the agent answers, so that the next checks test the key.
  const open = await AgentProcess.start({
    bundle: stage.host.bundle,
    config: { libvirt: { uri: stage.host.libvirtd.uri }, api: { listen } },
  });
  try {
    const answer = await asksOverTcp(stage, port);
    if (answer.code !== status.OK) throw new Error(`an agent with the key does not reply: ${answer.message}`);
  } finally {
    await open.stop();
  }
  const listeners: readonly (readonly [what: string, listeners: Listeners])[] = [
    ["a loopback address", { api: { listen } }],
    ["another loopback address", { api: { listen: `127.0.0.2:${port}` } }],
    ["the loopback address of IPv6", { api: { listen: `[::1]:${port}` } }],
    ["a name of loopback", { api: { listen: `localhost:${port}` } }],
    ["a scheduler on loopback", { scheduler: { address: listen } }],
    ["a trust directory without a domain", { api: { listen }, trust: { directory: stage.trustDirectory } }],
    ...[null, true, "yes", "production", "Development", ["development"]].map(
      (insecureLoopback) =>
        [
          `the key ${JSON.stringify(insecureLoopback)}`,
          { api: { listen }, trust: { insecureLoopback } },
        ] as const,
    ),
    [
      "every address, with the key",
      { api: { listen: `0.0.0.0:${port}` }, trust: { insecureLoopback: "development" } },
    ],
  ];
  const tries: Try[] = listeners.map(([what, changes]) => ({
    what: `an agent without a trust domain: ${what}`,
    attack: () => doesNotStart(stage, directory, port, changes),
  }));
  tries.push({
    what: "an address that is added to the configuration of a running agent",
    attack: () => isNotOpened(stage, port),
  });
  return { name: "loopback", tries };
}

async function asksOverTcp(stage: Stage, port: number): Promise<Answer> {
  const caller = new Caller(`127.0.0.1:${port}`, credentials.createInsecure(), stage.contract);
  try {
    return await caller.call(stage.contract.host.GetHost.path, Buffer.alloc(0), { timeoutMs: LOOK_MS });
  } finally {
    caller.close();
  }
}

/** The agent exits, names the key or the address, and never answers. */
async function doesNotStart(
  stage: Stage,
  directory: string,
  port: number,
  listeners: Listeners,
): Promise<Outcome> {
  const path = join(directory, "agent.yaml");
  const config = {
    libvirt: { uri: stage.host.libvirtd.uri },
    state: { directory: join(directory, "state") },
    metrics: { listen: null },
    ...listeners,
    api: { socket: join(directory, "agent.sock"), ...listeners.api },
  };
  await writeFile(path, JSON.stringify(config));
  const agent = spawnBound(process.execPath, [stage.host.bundle, "agent", "--config", path]);
  agent.stdout.resume();
  const printing = text(agent.stderr);
  const ended = new Promise<void>((resolve) => agent.once("exit", () => resolve()));
  try {
    const answer = await eventually(
      async () => {
        if (agent.exitCode !== null) return "ended" as const;
        return (await asksOverTcp(stage, port)).code === status.OK && ("answered" as const);
      },
      { what: "the agent to end", timeoutMs: STARTS_WITHIN_MS },
    );
    if (answer === "answered") return { letThrough: "a process without a certificate is answered" };
    const printed = await printing;
    return /insecureLoopback|trust\.domain/.test(printed)
      ? "refused"
      : { letThrough: `it exits with: ${printed}` };
  } finally {
    agent.kill("SIGKILL");
    await ended;
  }
}

async function isNotOpened(stage: Stage, port: number): Promise<Outcome> {
  const { bundle, libvirtd } = stage.host;
  const config = { libvirt: { uri: libvirtd.uri } };
  const agent = await AgentProcess.start({ bundle, config });
  try {
    await agent.configure({
      ...config,
      api: { listen: `127.0.0.1:${port}` },
      trust: { insecureLoopback: null },
    });
    agent.signal("SIGHUP");
    const { err } = await agent.logged(
      ({ msg }) => msg.startsWith("the configuration was not reloaded"),
      "the refusal of the configuration",
    );
    if (!JSON.stringify(err).includes("insecureLoopback")) throw new Error(`it says ${JSON.stringify(err)}`);
    const { code } = await asksOverTcp(stage, port);
    return code === status.UNAVAILABLE ? "refused" : { letThrough: `it answers ${status[code]}` };
  } finally {
    await agent.stop();
  }
}
