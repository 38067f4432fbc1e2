import type { Config } from "../../config/schema.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { hintsFor } from "../errors.ts";
import { because, isOpen } from "../commands/health.ts";
import { enumWord } from "../format.ts";
import type { Session } from "../session.ts";
import { speaker, type Finding } from "./finding.ts";

const httpTimeoutMs = 3000;

/** What the agent says of itself, and whether it says anything. */
export async function* examineAgent(
  session: Session,
  config: Config,
): AsyncGenerator<Finding, void, undefined> {
  const say = speaker("agent");
  let host;
  try {
    const agent = await session.agent();
    host = await agent.ask(agent.contract.host.GetHost, {});
  } catch (thrown) {
    const error = toSocleError(thrown);
    yield say.fail(error.message, hintsFor(error).join(" "));
    return;
  }
  const version = host.identity?.agentVersion ?? "";
  yield version === session.io.version
    ? say.ok(`it answers, version ${version}`)
    : say.warn(`it is version ${version}, this is ${session.io.version}`, "Restart it after an update.");
  for (const { type, status, effect, reason, evidence } of (host.health?.conditions ?? []).filter(isOpen)) {
    const found = `${type} ${enumWord(status, "TRUTH")} (${enumWord(effect, "EFFECT")}): ${reason} ${evidence}`;
    const next =
      reason === "NotWatched"
        ? "Nobody looks; that is no fault of the host. The evidence says how to have it watched."
        : (reasonAdvice[reason] ?? conditionAdvice[type] ?? "socle status shows all conditions.");
    yield status === "TRUTH_TRUE" ? speaker("health").fail(found, next) : speaker("health").warn(found, next);
  }
  const schedulable = enumWord(host.health?.schedulable ?? "", "TRUTH");
  if (schedulable !== "true") {
    const by = because(host.health?.notSchedulableBy ?? []);
    const isCordoned = host.schedulingState === "LIFECYCLE_STATE_CORDONED";
    const found = `schedulable ${schedulable}${by}: a scheduler puts no new VMs here`;
    yield speaker("health").warn(
      found,
      isCordoned ? "It is cordoned: socle uncordon." : "What these conditions need stands above.",
    );
  }
  if (host.inventory?.complete === false) {
    const found = `the inventory is incomplete: ${host.inventory.incompleteReasons.join("; ")}`;
    yield speaker("inventory").warn(found, "What is missing is not offered to the scheduler.");
  }
  if (config.metrics.listen === null) return;
  yield await checkReadiness(config.metrics.listen);
  yield* checkReaders(config.metrics.listen);
  if (config.scheduler.address !== null)
    yield await checkScheduler(config.metrics.listen, config.scheduler.address);
}

const guestsOnKvm =
  "It ends by itself when guests run on KVM (VMs that ask for the accelerator KVM may still be started). Was it that guest's own fault? socle health ack KvmUnavailable. Else look at dmesg.";
const reasonAdvice: Readonly<Record<string, string | undefined>> = {
  GuestFailedOnKvm: guestsOnKvm,
  StartFailsOnKvm: guestsOnKvm,
};

const conditionAdvice: Readonly<Record<string, string | undefined>> = {
  LibvirtUnresponsive:
    "Look at libvirt: journalctl -u libvirtd; systemctl restart libvirtd leaves guests running.",
  KvmUnavailable: "Check the firmware's virtualisation and /dev/kvm; or set vm.accelerator to tcg.",
  ClockUnsynced:
    "Let chrony or systemd-timesyncd keep the clock, where this agent can ask it; or set health.requireSyncedClock to false.",
  DiskSpace: "Free space, or move volumes to another pool.",
  MemoryPressure: "Stop or move VMs, or lower the overcommit ratio.",
  Thermal: "Look at the fans, the air's way and the room; move VMs away.",
  Fan: "Replace the fan that the evidence names.",
  Psu: "Replace the power supply, or give it power again.",
  MemoryUncorrected: "Move the VMs away, replace the DIMM, reboot, then acknowledge.",
  MemoryCorrected: "Replace the DIMM that the evidence names at the next occasion.",
  PcieErrors: "Reseat or replace the device that the evidence names.",
  KernelFault: "Look at dmesg; a reboot may be due.",
  CertificateExpiring:
    "socle trust says why it was not renewed: can this host reach its authority? Else enroll it again.",
  TrustRefused: "socle trust shows what was refused and why; correct the files, or the authority's answer.",
  RevocationsExpired: "Put a newer ca.crl into the trust directory, or have the authority send one.",
  AgentImpaired: "It is late where it should be prompt, mostly for want of CPU: look at the host's load.",
};

async function checkReadiness(listen: string): Promise<Finding> {
  const say = speaker("metrics");
  try {
    const { status, body } = await get(listen, "/readyz");
    if (status === 200)
      return say.ok(
        `http://${listen}/metrics is served, and the agent is ready: it serves, and libvirt tells it which VMs there are`,
      );
    return say.warn(`the agent is not ready: ${body.trim()}`, "Wait a moment; the agent's log says more.");
  } catch (thrown) {
    return say.fail(
      `http://${listen} does not answer: ${toSocleError(thrown).message}`,
      "metrics.listen says where it is: was the agent restarted after a change?",
    );
  }
}

/** The agent shows its link to the scheduler among its metrics. */
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
          "the agent does not say whether it is connected",
          "Is the collector 'scheduler' switched off?",
        );
  } catch (thrown) {
    return say.warn(`cannot be told: ${toSocleError(thrown).message}`, next);
  }
}

/** What the agent could not read of this machine, and why; what a machine does not have is no finding. */
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
      const next = readerAdvice[reader] ?? "What cannot be read is left out of metrics and judged by nobody.";
      yield say.warn(`${reader} cannot be read: ${reason ?? "no reason given"}`, next);
    }
  } catch (thrown) {
    yield say.warn(`cannot be told: ${toSocleError(thrown).message}`, "Does metrics.listen answer?");
  }
}

const beyondTheUnit = "The hardware helper reads it: systemctl enable --now socle-hardware.socket.";
const readerAdvice: Readonly<Record<string, string | undefined>> = {
  kernelLog: beyondTheUnit,
  energy: beyondTheUnit,
  diskHealth: `${beyondTheUnit} smartctl comes with smartmontools.`,
  bmc: "Try ipmitool by hand with the configuration's bmc section; bmc.interface: off leaves the BMC alone.",
};

async function get(listen: string, path: string): Promise<{ status: number; body: string }> {
  // An address for all interfaces is one of them here.
  const address = listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
  const response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(httpTimeoutMs) });
  return { status: response.status, body: await response.text() };
}
