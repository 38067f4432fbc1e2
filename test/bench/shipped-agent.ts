import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Agent } from "../../agent/cli/client.ts";
import { AgentProcess, type AgentProcessOptions } from "../support/agent-process.ts";
import type { Run } from "./bench.ts";

const repository = join(import.meta.dirname, "../..");
const unitFile = join(repository, "systemd/socle-agent.service");

/** The agent as it is installed: the bundle, with the unit's Node options and environment. */
export async function shippedAgent(
  run: Run,
  bundle?: string,
): Promise<Pick<AgentProcessOptions, "bundle" | "nodeOptions" | "environment">> {
  const unit = await readFile(unitFile, "utf8");
  const options = /^ExecStart=\S*node ((?:--\S+ )*)\S+socle\.js /m.exec(unit)?.[1];
  if (options === undefined) throw new Error(`${unitFile} does not start node with socle.js`);
  const environment = Object.fromEntries(
    [...unit.matchAll(/^Environment=(\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
  ) as Record<string, string>;
  return {
    bundle: bundle ?? (await run.bundle()),
    nodeOptions: options.split(" ").filter(Boolean),
    environment,
  };
}

interface ShippedOptions extends Pick<AgentProcessOptions, "mountsOf" | "bundle"> {
  /** Its clocks and timers run this many times as fast. */
  readonly clockRate?: number;
}

/** Starts it; it stops with the run. `bundle`: an existing bundle. `mountsOf` as in `AgentProcess`. */
export async function startShippedAgent(
  run: Run,
  config: NonNullable<AgentProcessOptions["config"]>,
  { bundle, clockRate = 1, ...options }: ShippedOptions = {},
): Promise<AgentProcess> {
  const shipped = await shippedAgent(run, bundle);
  const fast = {
    nodeOptions: [...(shipped.nodeOptions ?? []), "--import", join(import.meta.dirname, "fast-clock.mjs")],
    environment: { ...shipped.environment, CLOCK_RATE: String(clockRate) },
  };
  const started = AgentProcess.start({ ...shipped, ...(clockRate === 1 ? {} : fast), ...options, config });
  return run.keep(await started);
}

/** A client on its unix socket, until the end of the run. */
export async function connectTo(run: Run, agent: AgentProcess): Promise<Agent> {
  const end = new AbortController();
  const client = await connect(
    { kind: "socket", path: agent.socketPath },
    join(repository, "proto"),
    end.signal,
  );
  run.cleanUp(() => {
    end.abort();
    client.close();
  });
  return client;
}
