import { setTimeout as pause } from "node:timers/promises";
import { connect, type Agent } from "../../agent/cli/client.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import * as libvirt from "../../agent/libvirt/index.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import type { Guest } from "./crowd.ts";
import type { Rule } from "./fault.ts";
import { mutation, type Kind, type FaultyHost } from "./host.ts";
import { isRight } from "./outcome-check.ts";

const END_WITHIN_MS = 150_000;

/** Common faults of the wire. None on a console's connection, because of a bug in libvirt. */
const faults: readonly Rule[] = [
  { fault: { kind: "delay", ms: 300 }, lane: "observation", times: 3 },
  { fault: { kind: "delay_reply", ms: 2000 }, procedure: libvirt.domainSuspend, times: 1 },
  { fault: { kind: "drop_reply" }, procedure: libvirt.domainResume, times: 1 },
  { fault: { kind: "drop_reply" }, procedure: libvirt.domainDefineXmlFlags, times: 1 },
  { fault: { kind: "cut_reply" }, lane: "observation", times: 1 },
  { fault: { kind: "cut_reply" }, procedure: libvirt.domainCreateWithFlags, times: 1 },
  { fault: { kind: "garble_reply" }, procedure: libvirt.connectGetAllDomainStats, times: 2 },
  { fault: { kind: "refuse", code: 9 }, procedure: libvirt.domainGetXmlDesc, times: 2 },
  { fault: { kind: "hang" }, procedure: libvirt.connectGetAllDomainStats, times: 1 },
];

/** All kinds of load and faults on a host, concurrently and repeatedly. */
export class SoakWork {
  readonly counts: Record<string, number> = {};
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #guests: readonly Guest[];
  readonly #done: Promise<unknown>;
  /** Signals to libvirtd, and their times. */
  readonly #restarts: string[] = [];
  #isOver = false;

  /** Works until `stop`; the guests of `guests` are only read and used over their consoles, never ended. */
  constructor(run: CampaignRun, host: FaultyHost, guests: readonly Guest[]) {
    this.#run = run;
    this.#host = host;
    this.#guests = guests;
    this.#done = Promise.all([
      this.#again("lives", 100, () => this.#live("mayfly")),
      this.#again("lives", 100, () => this.#live("dayfly")),
      this.#again("reads", 200, () => this.#read()),
      this.#again("scrapes", 500, () => this.#scrape()),
      this.#again("watches", 300, () => this.#watch()),
      this.#again("consoles", 500, () => this.#console()),
      this.#again("faults", 3000, () => this.#fault()),
      this.#again("restarts", 20_000, () => this.#restart()),
      this.#again("reloads", 7000, () => this.#host.agent.signal("SIGHUP")),
    ]);
  }

  /** Ends all running work and faults. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
    this.#host.proxy.removeAll();
    await this.#host.untilListed();
  }

  async #again(what: string, everyMs: number, act: () => unknown): Promise<void> {
    let lasts = this.#wait(everyMs);
    while (await lasts) {
      try {
        await act();
        this.counts[what] = (this.counts[what] ?? 0) + 1;
      } catch (thrown) {
        this.#run.violation(`${what}: ${thrown instanceof Error ? (thrown.stack ?? "") : String(thrown)}`);
      }
      lasts = this.#wait(everyMs);
    }
  }

  /** Waits 0.5 to 1.5 times the given time; false: the run is over. */
  async #wait(ms: number): Promise<boolean> {
    const endMs = performance.now() + ms * (0.5 + Math.random());
    while (!this.#isOver && performance.now() < endMs) await pause(50);
    return !this.#isOver;
  }

  /** A VM from its creation to its deletion; each operation's outcome must be true. */
  async #live(name: string): Promise<void> {
    for (const kind of ["CREATE", "PAUSE", "RESUME", "STOP", "START", "DELETE"] as const) {
      const stateBefore = await this.#state(name);
      if (kind !== "CREATE" && stateBefore === undefined) return;
      // A VM that could not be deleted stays.
      if (kind === "CREATE" && stateBefore !== undefined) continue;
      if (kind === "PAUSE" && stateBefore !== "running") continue;
      if (kind === "RESUME" && stateBefore !== "paused") continue;
      if (kind === "START" && stateBefore !== "shut off") continue;
      await this.#operate(kind, name, stateBefore);
    }
  }

  async #operate(kind: Kind, name: string, stateBefore: string | undefined): Promise<void> {
    const { witness } = this.#host;
    const startsBefore = await witness.starts(name);
    const asked = mutation(kind, name);
    // It is refused without libvirt, and a repetition with the same id is the same operation.
    const begun = await eventually(() => this.#host.begin(asked), {
      what: `${kind} of ${name} to be accepted`,
      timeoutMs: END_WITHIN_MS,
      intervalMs: 200,
    });
    const end = await this.#host.ended(begun, END_WITHIN_MS);
    this.#run.demand(end.done, `no end: ${this.#host.describe(end)}`);
    const state = await this.#state(name);
    const starts = (await witness.starts(name)) - startsBefore;
    const volumes = (await this.#patiently(() => witness.volumes())).filter((volume) =>
      volume.includes(end.vmId),
    ).length;
    if (isRight(kind, end, { state, stateBefore, starts, volumes })) return;
    this.#run.violation(
      `${this.#host.describe(end)}, but virsh says ${state ?? "no domain"}, ${volumes} volumes, ${starts} starts ` +
        `(${new Date().toISOString()}; QEMU: ${await witness.lastRuns(name)}; libvirtd: ${this.#restarts.slice(-3).join(", ")})`,
    );
  }

  async #state(name: string): Promise<string | undefined> {
    return await this.#patiently(() => this.#host.witness.state(name));
  }

  /** Waits until libvirtd, which may be down, answers virsh. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    const options = { what: "virsh to answer", timeoutMs: END_WITHIN_MS, intervalMs: 200 };
    return (await eventually(async () => ({ answer: await ask() }), options)).answer;
  }

  async #read(): Promise<void> {
    await this.#host.get(this.#any().vmId);
    await this.#host.client.ask(this.#host.client.contract.host.GetHost, {});
    await this.#host.client.ask(this.#host.client.contract.operations.ListOperations, {});
  }

  async #scrape(): Promise<void> {
    const response = await fetch(`http://${this.#host.agent.metricsAddress}/metrics`);
    const text = await response.text();
    this.#run.demand(response.ok && text.includes("socle_"), `a scrape gave ${response.status}`);
  }

  /** A client that follows a stream for a while and ends it in different ways. */
  async #watch(): Promise<void> {
    await this.#visit(async (client) => {
      const { vms, host, events, operations } = client.contract;
      const watches = [
        () => client.watch(vms.WatchVms, {}),
        () => client.watch(host.WatchHost, {}),
        () => client.watch(events.Subscribe, {}),
        () => client.watch(operations.WatchOperations, {}),
      ];
      const watch = watches[Math.floor(Math.random() * watches.length)]?.();
      const reading = watch?.next().catch(() => undefined);
      await this.#wait(1000);
      if (Math.random() < 0.5) await watch?.return(undefined);
      return reading;
    });
  }

  async #console(): Promise<void> {
    await this.#visit(async (client) => {
      const call = client.open(client.contract.vms.Console);
      const ended = new Promise<void>((resolve) => {
        call.on("end", resolve);
        // There is no libvirt, or another client has the guest's console.
        call.on("error", () => resolve());
      });
      call.on("data", () => undefined);
      call.write({ vm: this.#any().vmId, force: Math.random() < 0.5, input: Buffer.from("\n") });
      await this.#wait(800);
      if (Math.random() < 0.5) call.end();
      else call.cancel();
      return ended;
    });
  }

  async #visit(act: (client: Agent) => Promise<unknown>): Promise<void> {
    const leave = new AbortController();
    const path = this.#host.agent.socketPath;
    // An agent without a processor for some seconds is busy, not broken.
    const client = await eventually(() => connect({ kind: "socket", path }, protoDirectory, leave.signal), {
      what: "the agent to run",
    });
    const rest = act(client);
    try {
      await Promise.race([rest, this.#wait(3000)]);
    } finally {
      leave.abort(new SocleError("cancelled", "CANCELLED", "the client's time is over"));
      client.close();
    }
  }

  #fault(): void {
    const kind = Math.random();
    if (kind < 0.15) this.#host.proxy.drop("observation");
    else if (kind < 0.3) this.#host.proxy.drop("events");
    else this.#host.proxy.add(faults[Math.floor(Math.random() * faults.length)] as Rule);
  }

  async #restart(): Promise<void> {
    const { libvirtd } = this.#host;
    const signal = Math.random() < 0.5 ? "SIGSTOP" : Math.random() < 0.5 ? "SIGKILL" : "SIGTERM";
    this.#restarts.push(`${signal} ${new Date().toISOString()}`);
    if (signal === "SIGSTOP") {
      await libvirtd.kill("SIGSTOP");
      await pause(2000);
      await libvirtd.kill("SIGCONT");
      return;
    }
    await libvirtd.kill(signal);
    await libvirtd.startAgain();
  }

  #any(): Guest {
    return this.#guests[Math.floor(Math.random() * this.#guests.length)] as Guest;
  }
}
