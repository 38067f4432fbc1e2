import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import type { AgentProcess } from "../support/agent-process.ts";
import type { KnownHost } from "../scheduler/host.ts";

const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
const bold = (text: string): string => paint(1, text);
const dim = (text: string): string => paint(2, text);
const green = (text: string): string => paint(32, text);
const red = (text: string): string => paint(31, text);
const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** The demonstration's output: steps with their time, and the results of each. */
export class Story {
  readonly #startMs = performance.now();

  step(part: string, what: string): void {
    this.#line(`${bold(part.padEnd(10))} ${what}`);
  }

  detail(text: string): void {
    console.log(`${" ".repeat(12)}${dim(text)}`);
  }

  registration(host: KnownHost): void {
    const { identity, inventory, health, capacity } = host.host ?? {};
    this.step("registered", `as received by the scheduler, generation ${host.generation}:`);
    this.detail(`host ${host.hostId}  ${identity?.hostname ?? "?"}  ${identity?.os ?? "?"}`);
    this.detail(
      `libvirt ${identity?.libvirtVersion ?? "?"}  QEMU ${identity?.hypervisorVersion ?? "?"}  cpu ${inventory?.cpu?.model ?? "?"}  traits ${inventory?.traits.join(", ") ?? ""}`,
    );
    for (const cell of capacity?.cells ?? []) {
      const parts = cell.resources
        .filter(({ total }) => total > 0)
        .map(({ resource, available, total, overcommitRatio }) => {
          const free = available === undefined ? "unknown what is" : shown(resource, available);
          const sold = shown(resource, total * overcommitRatio);
          const ratio =
            overcommitRatio === 1 ? "" : ` (${shown(resource, total)}, overcommitted ${overcommitRatio}:1)`;
          return `${resource} ${free} free of ${sold}${ratio}`;
        });
      this.detail(`NUMA cell ${cell.cell}: ${parts.join(", ")}`);
    }
    const effect = health?.state.slice("EFFECT_".length).toLowerCase() ?? "unknown";
    this.detail(`health ${effect === "none" ? "ok" : effect}, schedulable`);
    for (const { type, effect: each, reason, evidence } of health?.conditions ?? [])
      if (each === health?.state && effect !== "none")
        this.detail(`  ${type} ${reason}: ${evidence.split("\n")[0] ?? ""}`);
  }

  /** The scheduler's own view, as it changes. */
  schedulerSaw(host: KnownHost, what: string): void {
    if (what !== "connected" && what !== "disconnected" && what !== "goodbye") return;
    this.detail(`scheduler: ${host.hello?.hostname ?? host.hostId} ${what}`);
  }

  guestOutput(line: string): void {
    console.log(`${" ".repeat(12)}${green("|")} ${line}`);
  }

  metrics(lines: readonly string[]): void {
    for (const line of lines) this.detail(line);
  }

  event({ sequence, kind, vmState, reason, details }: Event__Output): void {
    const state = vmState === "VM_STATE_UNSPECIFIED" ? "" : vmState.slice("VM_STATE_".length).toLowerCase();
    // For an operation: its kind, its end, and the error.
    const outcome = ["operation_kind", "state", "error"].map((name) => details[name] ?? "");
    this.detail(
      ["#" + String(sequence), kind.slice("EVENT_KIND_".length).toLowerCase(), state, reason, ...outcome]
        .filter((word) => word !== "")
        .join(" "),
    );
  }

  whatNext(agent: AgentProcess, apiAddress: string, schedulerAddress: string, vm: string): void {
    const socle = `./scripts/socle --socket ${agent.socketPath}`;
    this.step("running", "everything stays up until Ctrl-C. In another terminal, try:");
    const config = `--config ${agent.configPath}`;
    for (const line of [
      `${socle} status`,
      `${socle} health`,
      `${socle} top                          # leave with q`,
      `${socle} vm ls`,
      `${socle} vm console ${vm}       # leave with Ctrl-]`,
      `${socle} events --since-start         # runs until Ctrl-C`,
      `${socle} vm stop ${vm}`,
      `${socle} doctor ${config}`,
      `./scripts/socle config show ${agent.configPath}`,
      `./scripts/socle audit show ${config}`,
      `curl http://${agent.metricsAddress}/metrics`,
    ]) {
      console.log(`${" ".repeat(12)}${line}`);
    }
    this.detail(`the host as a page: http://${agent.metricsAddress}/`);
    this.detail(`gRPC API at ${apiAddress}, scheduler at ${schedulerAddress}`);
  }

  interrupted(): void {
    this.#line(bold("cleaning up…"));
  }

  failed(thrown: unknown, what = "failed"): void {
    this.#line(red(`${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`));
  }

  end(): void {
    this.#line(process.exitCode === 1 ? red("ended with an error") : bold("done"));
  }

  #line(text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(2).padStart(7);
    console.log(`${dim(`${seconds} s`)}  ${text}`);
  }
}

const shown = (resource: string, amount: number): string =>
  resource === "cpu" ? `${amount} vCPU` : gib(amount);
