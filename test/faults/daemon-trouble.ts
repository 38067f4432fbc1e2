import { setTimeout as pause } from "node:timers/promises";
import type { CampaignRun } from "./campaign.ts";
import { mutation, type FaultyHost } from "./host.ts";

type Trouble =
  | "killed"
  | "frozen 2 s"
  | "stopped"
  | "killed with a guest"
  | "frozen 8 s"
  | "killed twice"
  | "frozen 40 s";

/** The last one exceeds the keepalive time. */
const order: readonly Trouble[] = [
  "killed",
  "frozen 2 s",
  "stopped",
  "killed with a guest",
  "frozen 8 s",
  "killed twice",
  "stopped",
  "killed",
  "frozen 40 s",
];

/** Faults of a libvirtd in production, one after another. */
export class DaemonTrouble {
  readonly counts: Partial<Record<Trouble, number>> = {};
  /** The time from libvirt's return to the agent's complete list. */
  slowestSightMs = 0;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #sacrifice: string;

  static async make(run: CampaignRun, host: FaultyHost): Promise<DaemonTrouble> {
    const { vmId } = await host.succeeds(mutation("CREATE", "sacrifice"));
    return new DaemonTrouble(run, host, vmId);
  }

  private constructor(run: CampaignRun, host: FaultyHost, sacrifice: string) {
    this.#run = run;
    this.#host = host;
    this.#sacrifice = sacrifice;
  }

  /** Runs the next fault, waits until libvirt is back and the agent's list is complete, and returns the fault. */
  async make(): Promise<Trouble> {
    const run = this.#run;
    const trouble = order[(run.tries - 1) % order.length] as Trouble;
    run.log(`${run.tries}/${run.count} libvirtd is ${trouble}`);
    this.counts[trouble] = (this.counts[trouble] ?? 0) + 1;
    if (trouble === "killed with a guest") await this.#revive();
    await pause(Math.random() * 1000);
    await this.#do(trouble);
    const startMs = performance.now();
    await this.#host.untilListed();
    this.slowestSightMs = Math.max(this.slowestSightMs, Math.round(performance.now() - startMs));
    return trouble;
  }

  async #do(trouble: Trouble): Promise<void> {
    const { libvirtd } = this.#host;
    switch (trouble) {
      case "killed":
        await this.#restart("SIGKILL");
        break;
      case "stopped":
        await this.#restart("SIGTERM", Math.random() * 3000);
        break;
      case "killed twice":
        await this.#restart("SIGKILL");
        await this.#restart("SIGKILL");
        break;
      case "killed with a guest":
        await libvirtd.kill("SIGKILL");
        await this.#killSacrifice();
        await libvirtd.startAgain();
        break;
      case "frozen 2 s":
      case "frozen 8 s":
      case "frozen 40 s":
        await libvirtd.kill("SIGSTOP");
        await pause(Number(trouble.split(" ")[1]) * 1000);
        await libvirtd.kill("SIGCONT");
    }
  }

  async #restart(signal: "SIGKILL" | "SIGTERM", afterMs = 0): Promise<void> {
    await this.#host.libvirtd.kill(signal);
    await pause(afterMs);
    await this.#host.libvirtd.startAgain();
  }

  /** Changes during the outage have no event, so the agent has to find them. */
  async #killSacrifice(): Promise<void> {
    const guest = await this.#host.witness.process(this.#sacrifice);
    if (guest === undefined) throw new Error("the guest to be killed does not run");
    process.kill(guest.pid, "SIGKILL");
  }

  async #revive(): Promise<void> {
    if ((await this.#host.witness.state("sacrifice")) === "running") return;
    await this.#host.succeeds(mutation("START", this.#sacrifice));
  }
}
