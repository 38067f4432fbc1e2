import type { Config } from "../../config/schema.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Condition__Output } from "../../gen/socle/v1/Condition.ts";
import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import { hintsFor } from "../errors.ts";
import { because, isOpen } from "../commands/health.ts";
import { enumWord } from "../format.ts";
import type { Session } from "../session.ts";
import { adviceOn } from "./advice.ts";
import { speaker, type Finding } from "./finding.ts";

const httpTimeoutMs = 3000;

/** The host as the running agent reports it, or why it does not. */
export async function askHost(session: Session): Promise<Host__Output | SocleError> {
  try {
    const agent = await session.agent();
    return await agent.ask(agent.contract.host.GetHost, {});
  } catch (thrown) {
    return toSocleError(thrown);
  }
}

/** Checks that the agent answers, and what it reports about itself. */
export async function* examineAgent(
  session: Session,
  config: Config,
  host: Host__Output | SocleError,
): AsyncGenerator<Finding, void, undefined> {
  const say = speaker("agent");
  if (host instanceof SocleError) {
    yield say.fail(host.message, hintsFor(host).join(" "));
    return;
  }
  const version = host.identity?.agentVersion ?? "";
  yield version === session.io.version
    ? say.ok(`it answers, version ${version}`)
    : say.warn(`it is version ${version}, this is ${session.io.version}`, "Restart it after an update.");
  const open = (host.health?.conditions ?? []).filter(isOpen);
  for (const condition of open) {
    const { type, status, effect, reason, evidence } = condition;
    const found = `${type} ${enumWord(status, "TRUTH")} (${enumWord(effect, "EFFECT")}): ${reason} ${evidence}`;
    const next = adviceOn(condition);
    yield status === "TRUTH_TRUE" ? speaker("health").fail(found, next) : speaker("health").warn(found, next);
  }
  const schedulable = enumWord(host.health?.schedulable ?? "", "TRUTH");
  if (schedulable !== "true") {
    const by = because(host.health?.blockingConditions ?? []);
    const isCordoned = host.schedulingState === "LIFECYCLE_STATE_CORDONED";
    const found = `schedulable ${schedulable}${by}: a scheduler puts no new VMs here`;
    yield speaker("health").warn(
      found,
      isCordoned ? uncordonAdvice(open) : "See the advice on these conditions above.",
    );
  }
  if (host.inventory?.complete === false) {
    const found = `the inventory is incomplete: ${host.inventory.incompleteReasons.join("; ")}`;
    yield speaker("inventory").warn(found, "The missing parts are not offered to the scheduler.");
  }
  if (config.metrics.listen === null) return;
  yield await checkReadiness(config.metrics.listen);
  yield* checkReaders(config.metrics.listen);
  if (config.scheduler.address !== null)
    yield await checkScheduler(config.metrics.listen, config.scheduler.address);
}

/** A cordon is stored in the state directory: the agent refuses to change it while that is not usable. */
function uncordonAdvice(open: readonly Condition__Output[]): string {
  const bar = open.find(({ type }) => type === "StateUnreadable" || type === "StateUnwritable");
  return bar === undefined
    ? "It is cordoned: socle uncordon."
    : `It is cordoned. socle uncordon may be refused until ${bar.type} is over: resolve that first, as shown above.`;
}

async function checkReadiness(listen: string): Promise<Finding> {
  const say = speaker("metrics");
  try {
    const { status, body } = await get(listen, "/readyz");
    if (status === 200)
      return say.ok(
        `http://${listen}/metrics is served, and the agent is ready: libvirt lists its VMs, and it accepts changes`,
      );
    const passes = /NOT_READY|VMS_NOT_LISTED|LIBVIRT_UNAVAILABLE/.test(body);
    const advice = passes ? "Wait a moment; the agent's log has details." : "socle health shows the reason.";
    return say.warn(`the agent is not ready: ${body.trim()}`, advice);
  } catch (thrown) {
    return say.fail(
      `http://${listen} does not answer: ${toSocleError(thrown).message}`,
      "Check metrics.listen, and restart the agent after a change.",
    );
  }
}

/** The agent publishes its link to the scheduler as a metric. */
async function checkScheduler(listen: string, scheduler: string): Promise<Finding> {
  const say = speaker("scheduler");
  const next = "Is it running, and can this host reach it? VMs and this tool work without it.";
  try {
    const { body } = await get(listen, "/metrics?collect[]=scheduler");
    const connected = /^socle_scheduler_connected (\d)$/m.exec(body)?.[1];
    if (connected === "1") return say.ok(`connected to ${scheduler}`);
    return connected === "0"
      ? say.fail(`not connected to ${scheduler}`, next)
      : say.warn(
          "the agent does not report whether it is connected",
          "Is the collector 'scheduler' switched off?",
        );
  } catch (thrown) {
    return say.warn(`unknown: ${toSocleError(thrown).message}`, next);
  }
}

/** What the agent failed to read of this machine, and why; what a machine lacks is not a finding. */
async function* checkReaders(listen: string): AsyncGenerator<Finding, void, undefined> {
  const say = speaker("hardware");
  try {
    const { body } = await get(listen, "/metrics?collect[]=host_readers");
    const inState = (state: string): string[] =>
      [...body.matchAll(/^socle_reader_state\{reader="([^"]+)",state="([^"]+)"\} 1$/gm)]
        .filter(([, , found]) => found === state)
        .map(([, reader = ""]) => reader);
    const failed = inState("failed");
    if (failed.length === 0) yield say.ok(`read: ${inState("read").join(", ")}`);
    for (const reader of failed) {
      const reason = new RegExp(`^socle_reader_reason\\{reader="${reader}",reason="(.*)"\\} 1$`, "m").exec(
        body,
      )?.[1];
      const next = readerAdvice[reader] ?? "Its metrics are missing, and no condition covers it.";
      yield say.warn(`${reader} cannot be read: ${reason ?? "no reason given"}`, next);
    }
  } catch (thrown) {
    yield say.warn(`unknown: ${toSocleError(thrown).message}`, "Does metrics.listen answer?");
  }
}

const beyondTheUnit = "The hardware helper reads it: systemctl enable --now socle-hardware.socket.";
const readerAdvice: Readonly<Record<string, string | undefined>> = {
  kernelLog: beyondTheUnit,
  energy: beyondTheUnit,
  diskHealth: `${beyondTheUnit} smartctl comes with smartmontools.`,
  bmc: "Try ipmitool by hand with the configuration's bmc section; bmc.interface: off ignores the BMC.",
};

async function get(listen: string, path: string): Promise<{ status: number; body: string }> {
  // A wildcard address is reachable on loopback.
  const address = listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
  const response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(httpTimeoutMs) });
  return { status: response.status, body: await response.text() };
}
