import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SchedulerMessage } from "../../agent/gen/socle/v1/SchedulerMessage.ts";
import type { Welcome } from "../../agent/gen/socle/v1/Welcome.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { clientOf } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const LASTS_MS = 8000;
/** The contract's bound for that time: a second between sessions, then a backoff. */
const MOST_SESSIONS = 12;
const FURTHEST_EPOCH = 1_000_001;

/**
 * A scheduler that sends numbers outside the contract: they neither prevent a restart of the agent nor cause endless
 * reconnects, and the host record holds only readable epochs.
 */
export async function falseScheduler(stage: Stage): Promise<Theme> {
  const { host, run } = stage;
  const scheduler = await Scheduler.start({ heartbeatMs: 200, reconnectSpreadMs: 1 });
  run.cleanUp(() => scheduler.stop());
  const agent = run.keep(
    await AgentProcess.start({
      bundle: host.bundle,
      config: { libvirt: { uri: host.libvirtd.uri }, scheduler: { address: scheduler.address } },
    }),
  );
  const [known] = await eventually(() => scheduler.hosts.size > 0 && [...scheduler.hosts.values()], {
    what: "the agent's session",
  });
  if (known === undefined) throw new Error("the agent has no session");
  const epoch = async (): Promise<number> => {
    const record = await readFile(join(agent.directory, "state/host.json"), "utf8");
    return (JSON.parse(record) as { controlEpoch: number }).controlEpoch;
  };
  const startsAgain = async (): Promise<Outcome> => {
    const reached = await epoch();
    if (!Number.isSafeInteger(reached) || reached > FURTHEST_EPOCH)
      return { letThrough: `the control epoch became ${reached}` };
    scheduler.faults.welcome = {};
    scheduler.faults.afterWelcome = undefined;
    await agent.terminate();
    const { sessions } = known;
    try {
      await agent.startAgain();
    } catch (thrown) {
      return { letThrough: `the agent does not restart: ${String(thrown)}` };
    }
    await eventually(() => known.sessions > sessions && known.connected, {
      what: "a session with the restored scheduler",
      timeoutMs: 60_000,
    });
    const client = await clientOf(agent);
    try {
      await client.ask(client.contract.host.GetHost, {});
    } finally {
      client.close();
    }
    return "refused";
  };
  /** The agent reconnects, receives this, and has time to react. */
  const answers = async (welcome: Welcome, afterWelcome?: SchedulerMessage): Promise<Outcome> => {
    scheduler.faults.welcome = welcome;
    scheduler.faults.afterWelcome = afterWelcome;
    const { sessions } = known;
    scheduler.reconnect(known.hostId, 1000);
    await eventually(() => known.sessions > sessions, { what: "another session", timeoutMs: 60_000 });
    const first = known.sessions;
    await new Promise((resolve) => setTimeout(resolve, LASTS_MS));
    const made = known.sessions - first;
    if (made > MOST_SESSIONS) return { letThrough: `${made} sessions in ${LASTS_MS} ms` };
    return await startsAgain();
  };
  const tries: Try[] = [];
  for (const controlEpoch of ["9007199254740991", "9007199254740993", "18446744073709551615", "5000000"])
    tries.push({
      what: `a welcome of the control epoch ${controlEpoch}`,
      attack: () => answers({ controlEpoch }),
    });
  for (const seconds of [0, -5])
    tries.push({
      what: `come back in ${seconds} s`,
      attack: () => answers({}, { reconnect: { delay: { seconds, nanos: 0 } } }),
    });
  for (const seconds of [0, -1])
    tries.push({
      what: `a heartbeat every ${seconds} s`,
      attack: async () => {
        const { heartbeats } = known;
        const outcome = await answers({ heartbeatInterval: { seconds, nanos: 0 } });
        const made = known.heartbeats - heartbeats;
        return made > LASTS_MS ? { letThrough: `${made} heartbeats in ${LASTS_MS} ms` } : outcome;
      },
    });
  const check = async (): Promise<void> => {
    await agent.terminate();
  };
  return { name: "falseScheduler", tries, check };
}
