import { setTimeout as pause } from "node:timers/promises";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { median } from "../bench/statistics.ts";
import { eventually, within } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { find, type Crowd, type Guest } from "./crowd.ts";
import { LatencyMonitor, OLD_MS, sampledAtMs, type Timings } from "./latencies.ts";
import { mutation, type FaultyHost } from "./host.ts";
import { stateWord } from "./outcome-check.ts";
import type { Watch } from "./watch.ts";

/** The minimum duration of a hang; short with few guests. */
const HANG_MS = { few: 6000, many: 20_000 } as const;
const MANY = 50;
const FOUND_WITHIN_MS = 30_000;
/** A call that waits for the hung guest takes longer than this. */
const OTHERS_WITHIN_MS = 20_000;
/** libvirt kills a QEMU that ignores SIGTERM after 10 s. */
const DESTROYED_WITHIN_MS = 40_000;

/** Guests that are stopped with SIGSTOP, and the agent's reports meanwhile. */
export class Hanging {
  readonly timings: Timings = new Map();
  /** The greatest age of a responsive VM's data. */
  oldestMs = 0;
  /** The time until a hung guest was reported as unresponsive. */
  readonly foundMs: number[] = [];
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #guests: readonly Guest[];
  readonly #crowd: Crowd;
  readonly #hangMs: number;

  constructor(run: CampaignRun, host: FaultyHost, crowd: Crowd) {
    this.#run = run;
    this.#host = host;
    this.#crowd = crowd;
    this.#guests = crowd.guests;
    this.#hangMs = crowd.guests.length < MANY ? HANG_MS.few : HANG_MS.many;
  }

  /** The median latency of each call while no guest hangs. */
  async usualMs(): Promise<Map<string, number>> {
    this.#run.log("none hangs");
    const timings: Timings = new Map();
    const { vmId } = this.#guests[0] as Guest;
    const monitor = new LatencyMonitor(this.#run, this.#host, new Set([vmId]), this.#crowd.pids, timings);
    await pause(this.#hangMs);
    await monitor.stop();
    return new Map([...timings].map(([what, all]) => [what, median(all.map(({ tookMs }) => tookMs))]));
  }

  async alone(): Promise<void> {
    const [hung, other] = this.#begin("one hangs");
    await this.#hang([hung], async () => {
      await pause(this.#hangMs);
      // Operations of other VMs are as fast as before.
      await within(
        this.#host.succeeds(mutation("PAUSE", other.vmId)),
        OTHERS_WITHIN_MS,
        "another VM to be paused",
      );
      await within(
        this.#host.succeeds(mutation("RESUME", other.vmId)),
        OTHERS_WITHIN_MS,
        "another VM to be resumed",
      );
    });
  }

  async thenTheAgentDies(watch: Watch): Promise<void> {
    const [hung] = this.#begin("one hangs, and the agent is started again");
    await this.#hang([hung], async (monitor) => {
      monitor.pause();
      watch.agentIsUp(false);
      await this.#host.agent.kill();
      await this.#host.startAgain();
      watch.agentIsUp(true);
      monitor.resume();
      await this.#host.untilListed((vms) => vms.length === this.#guests.length, "all VMs");
      const vm = await this.#host.get(hung.vmId);
      this.#run.demand(vm.managed && vm.name === hung.name, `${hung.name} is not known for what it is`);
      await pause(this.#hangMs);
    });
  }

  /**
   * libvirt 11.3 itself may end such a guest: QEMU's late reply to the previous libvirtd is unexpected for the new one, which
   * then drops the guest. The agent has to report that, and nothing about the others.
   */
  async thenLibvirtDies(): Promise<void> {
    const [hung] = this.#begin("one hangs, and libvirt is started again");
    this.#crowd.mayEnd(hung);
    await this.#stopped([hung], async (monitor) => {
      monitor.pause();
      await this.#host.libvirtd.kill("SIGKILL");
      await within(this.#host.libvirtd.startAgain(), 30_000, "libvirt to start again");
      await this.#host.untilListed((vms) => vms.length === this.#guests.length, "all VMs");
      monitor.resume();
      await pause(this.#hangMs);
    });
    await eventually(
      async () => {
        const truth = stateWord((await this.#host.witness.state(hung.name)) ?? "gone");
        return (await this.#host.get(hung.vmId)).state === truth;
      },
      {
        what: "the agent to report the hung guest's state of virsh",
        timeoutMs: FOUND_WITHIN_MS,
        intervalMs: 200,
      },
    );
    await this.#crowd.mustLive(hung);
    await this.#answer([hung.vmId]);
  }

  async together(): Promise<void> {
    const [one, other] = this.#begin("two hang at once");
    await this.#hang([one, other], () => pause(this.#hangMs));
  }

  /** A hung guest can be stopped and deleted with its disk. */
  async isStopped(watch: Watch): Promise<void> {
    const name = "hopeless";
    this.#begin("a hung one is stopped by force");
    const { vmId } = await this.#host.succeeds(mutation("CREATE", name));
    process.kill((await this.#crowd.processOf(vmId)).pid, "SIGSTOP");
    await this.#found([vmId]);
    watch.mayEnd(vmId);
    const stop = await this.#host.begin(mutation("STOP", vmId, { gracefulSeconds: 2 }));
    const end = await this.#host.ended(stop, DESTROYED_WITHIN_MS);
    this.#run.demand(
      end.state === "STATE_SUCCEEDED",
      `a hung guest could not be stopped: ${this.#host.describe(end)}`,
    );
    this.#run.demand((await this.#host.witness.state(name)) === "shut off", "a hung guest was not stopped");
    await this.#host.succeeds(mutation("DELETE", vmId));
  }

  #begin(what: string): [Guest, Guest] {
    this.#run.tries += 1;
    this.#run.log(what);
    const first = (this.#run.tries * 7) % this.#guests.length;
    const guests = [this.#guests[first], this.#guests[(first + 1) % this.#guests.length]];
    return guests as [Guest, Guest];
  }

  /** As `#stopped`; then checks that they answer again, and that their age grew meanwhile. */
  async #hang(
    hung: readonly Guest[],
    meanwhile: (monitor: LatencyMonitor) => Promise<unknown>,
  ): Promise<void> {
    const ids = hung.map(({ vmId }) => vmId);
    await this.#stopped(hung, async (monitor) => {
      const before = (await this.#host.list()).vms;
      await meanwhile(monitor);
      const after = (await this.#host.list()).vms;
      for (const id of ids) {
        const isOld = monitor.wasPaused || sampledAtMs(find(after, id)) === sampledAtMs(find(before, id));
        const isShown = find(after, id)?.stats?.unresponsive === true;
        this.#run.demand(isOld && isShown, `${id} hangs and is shown as fresh`);
      }
    });
    await this.#answer(ids);
  }

  /** Waits until they answer again with fresh data. */
  async #answer(ids: readonly string[]): Promise<void> {
    const answers = (vms: readonly Vm__Output[]): boolean =>
      ids.every((id) => {
        const vm = find(vms, id);
        return vm?.stats?.unresponsive === false && Date.now() - sampledAtMs(vm) < OLD_MS;
      });
    await this.#host.untilListed(answers, "the hung guests answer again", FOUND_WITHIN_MS);
  }

  /** Stops the guests' QEMUs, checks that they are detected, runs `meanwhile`, and continues them. */
  async #stopped(
    hung: readonly Guest[],
    meanwhile: (monitor: LatencyMonitor) => Promise<unknown>,
  ): Promise<void> {
    const ids = hung.map(({ vmId }) => vmId);
    const pids = await Promise.all(ids.map(async (id) => (await this.#crowd.processOf(id)).pid));
    const monitor = new LatencyMonitor(this.#run, this.#host, new Set(ids), this.#crowd.pids, this.timings);
    try {
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      this.foundMs.push(await this.#found(ids));
      await meanwhile(monitor);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
      await monitor.stop();
      this.oldestMs = Math.max(this.oldestMs, monitor.oldestMs);
    }
  }

  async #found(ids: readonly string[]): Promise<number> {
    const startMs = performance.now();
    await eventually(
      async () => {
        const { vms } = await this.#host.list();
        return ids.every((id) => find(vms, id)?.stats?.unresponsive === true);
      },
      { what: "the hung guest to be shown as one", timeoutMs: FOUND_WITHIN_MS },
    );
    return Math.round(performance.now() - startMs);
  }
}
