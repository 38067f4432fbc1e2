import { setTimeout as pause } from "node:timers/promises";
import { AgentProcess } from "../../../support/agent-process.ts";
import { freePort } from "../../../support/ports.ts";
import type { Violation } from "../checker.ts";
import { Recorder, type FaultKind, type History } from "../history.ts";
import { Chance } from "../simulated/chance.ts";
import { operationsIn } from "../simulated/reads.ts";
import { vmId, type Action, type FaultAction, type Schedule } from "../simulated/schedule.ts";
import { SimulatedCallers } from "../simulated/simulated-callers.ts";
import { changingProcedures, EffectLog } from "./effect-tap.ts";
import { agentOptions, type Lane } from "./lane.ts";
import { auditLogIn, RealAgent } from "./real-agent.ts";
import { RealReads } from "./real-reads.ts";

const STARTS_AT_MOST = 10;
/** One in so many histories begins with the previous release, which is killed and upgraded. */
const UPGRADES_IN = 4;
/** In one of so many histories, the agent waits for a silently lost reply until its own deadline: over a minute. */
const PATIENT_IN = 8;

export interface Played {
  readonly history: History;
  readonly failures: readonly Violation[];
}

/** A schedule's times are for a simulation, where waiting is free. */
const shortened = (ms: number): number => (ms <= 40 ? ms : Math.min(300, 40 + ms / 40));

/** Plays a schedule against the real agent, libvirtd and QEMU. The same schedule has the same requests and faults. */
export class RealHistory {
  readonly #lane: Lane;
  readonly #schedule: Schedule;
  readonly #chance: Chance;
  readonly #recorder: Recorder;
  readonly #log: EffectLog;
  readonly #callers: SimulatedCallers;
  readonly #reads: RealReads;
  readonly #failures: Violation[] = [];
  /** Faults that run beside the schedule. */
  readonly #asides: Promise<void>[] = [];
  #process: AgentProcess | undefined;
  #agent: RealAgent | undefined;
  /** Its process was stopped in order, which is not a kill. */
  #stopping: RealAgent | undefined;
  #port = 0;
  #run = 0;
  #starting: Promise<void> | undefined;
  #killAtEffect = false;
  #isFull = false;
  /** The agent's disk failed at some time. */
  #wasSick = false;
  #isPrevious: boolean;
  #restore: (() => Promise<void>) | undefined;

  constructor(lane: Lane, schedule: Schedule) {
    this.#lane = lane;
    this.#schedule = schedule;
    this.#isPrevious = lane.previous !== undefined && schedule.seed % UPGRADES_IN === 0;
    this.#chance = new Chance(schedule.seed ^ 0x51ed270b);
    const beganMs = performance.now();
    this.#recorder = new Recorder(() => performance.now() - beganMs);
    this.#log = new EffectLog(this.#recorder);
    this.#callers = new SimulatedCallers(
      schedule,
      this.#recorder,
      () => this.#agent,
      (arrived) => arrived(),
      () => auditLogIn(lane.host.disk.stateDirectory),
    );
    this.#reads = new RealReads(lane.host, this.#log, this.#callers, () => this.#agent);
    this.#log.onAnswered = (call) => {
      if (this.#killAtEffect) this.#kill(`behind ${call}`);
    };
  }

  async play(): Promise<Played> {
    await this.#lane.host.clear(this.#log);
    try {
      this.#restart();
      await this.#starting;
      await this.#playActions();
      await this.#quieten();
    } catch (thrown) {
      const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      this.#fail("the history ends", message);
    } finally {
      await Promise.allSettled(this.#asides);
      this.#agent?.close();
      this.#agent = undefined;
      this.#run += 1;
      await this.#process?.stop();
    }
    return { history: this.#recorder.history, failures: this.#failures };
  }

  async #playActions(): Promise<void> {
    const { actions } = this.#schedule;
    const upgradeAt = this.#chance.whole(1, 6);
    for (const [index, action] of actions.entries()) {
      await pause(shortened(action.afterMs));
      if (index === upgradeAt) await this.#upgrade();
      // The previous release's behaviour under faults is not checked here.
      if (!this.#isPrevious || action.do !== "fault") await this.#act(action);
    }
    await this.#upgrade();
  }

  /** Kills the agent at once. */
  async #upgrade(): Promise<void> {
    await this.#starting;
    if (!this.#isPrevious) return;
    this.#isPrevious = false;
    this.#kill("to be upgraded");
  }

  #fail(rule: string, message: string): void {
    this.#failures.push({ rule, message, at: this.#recorder.history.length });
  }

  async #act(action: Action): Promise<void> {
    // Calls while the agent is down take time and show nothing.
    await this.#starting;
    switch (action.do) {
      case "call":
        this.#callers.call(action);
        return;
      case "again": {
        const first = this.#callers.first(action.id);
        if (first !== undefined) this.#callers.call(first);
        return;
      }
      case "look":
        this.#callers.about(action.id, "GetOperation");
        return;
      case "cancel":
        this.#callers.about(action.id, "CancelOperation");
        return;
      case "foreign":
        await this.#lane.host.foreign(action.act, vmId(action.vm), `vm-${action.vm}`);
        return;
      case "fault":
        await this.#fault(action);
    }
  }

  /** Starts another run of the agent after `first`. */
  #restart(first: () => Promise<void> = () => Promise.resolve()): void {
    const starting = (async () => {
      await first();
      await this.#start();
    })();
    this.#starting = starting.finally(() => (this.#starting = undefined));
    this.#starting.catch(() => undefined);
  }

  async #start(): Promise<void> {
    const { host } = this.#lane;
    for (let tries = 1; ; tries += 1) {
      const run = (this.#run += 1);
      await host.disk.setFault("none");
      host.agentRun = run;
      this.#recorder.add({ event: "agent_start", run, version: this.#isPrevious ? "previous" : "built" });
      try {
        this.#process = await this.#started();
        this.#serve(this.#process, run);
        return;
      } catch (thrown) {
        this.#recorder.add({ event: "agent_end", run, clean: false });
        if (tries < STARTS_AT_MOST) await pause(500);
        else throw new Error(`the agent does not start: ${String(thrown)}`, { cause: thrown });
      }
    }
  }

  async #started(): Promise<AgentProcess> {
    if (this.#process !== undefined) {
      await this.#process.startAgain();
      return this.#process;
    }
    this.#port = await freePort();
    return await AgentProcess.start(agentOptions(this.#lane, this.#port, () => this.#isPrevious));
  }

  #serve(process: AgentProcess, run: number): void {
    const { certificates, contract, host } = this.#lane;
    const where = { port: this.#port, stateDirectory: host.disk.stateDirectory };
    const agent = new RealAgent(process, where, { certificates, contract });
    this.#agent = agent;
    this.#callers.lookAtEpoch(agent);
    const states = new Map<string, string>();
    agent.watchOperations((message) => {
      const [operation] = operationsIn("WatchOperations", message);
      if (operation === undefined || this.#agent !== agent) return;
      if (states.get(operation.id) === operation.state) return;
      states.set(operation.id, operation.state);
      this.#recorder.add({ event: "operation", operation });
    });
    void process.ended().then(() => {
      if (this.#agent === agent && this.#stopping !== agent) this.#died("with a sync");
    });
    void agent.epoch().then((agentEpoch) => {
      if (agentEpoch !== undefined && this.#agent === agent)
        this.#recorder.add({ event: "agent_ready", run, agentEpoch });
    });
  }

  /** Undefined if another run of the agent began meanwhile, since the copy is then not of one moment. */
  async #snapshot(): Promise<void> {
    const run = this.#run;
    const { host } = this.#lane;
    try {
      const restore = await (this.#process?.whileHalted(() => host.snapshot()) ?? host.snapshot());
      this.#restore = this.#run === run ? restore : undefined;
    } catch (thrown) {
      this.#restore = undefined;
      if (this.#run === run) throw thrown;
    }
  }

  /** The process is killed here; only calls that are already sent still reach libvirt. */
  #kill(detail: string, before?: () => Promise<void>): void {
    if (this.#agent === undefined) return;
    this.#process?.signal("SIGKILL");
    this.#died(detail, before);
  }

  #died(detail: string, before: () => Promise<void> = () => Promise.resolve()): void {
    this.#killAtEffect = false;
    this.#recorder.add({ event: "fault", fault: "kill", detail });
    this.#recorder.add({ event: "agent_end", run: this.#run, clean: false });
    this.#gone("KILLED");
    this.#restart(async () => {
      await this.#process?.ended();
      await before();
    });
  }

  #gone(reason: string): void {
    const agent = this.#agent;
    this.#agent = undefined;
    this.#callers.lose(reason);
    agent?.close();
  }

  async #stop(): Promise<void> {
    await this.#starting;
    const [agent, process, run] = [this.#agent, this.#process, this.#run];
    if (agent === undefined || process === undefined) return;
    this.#stopping = agent;
    const exitCode = await process.terminate(60_000);
    // Otherwise a kill came first, and the next agent is already starting.
    if (this.#agent === agent) {
      if (exitCode === 0) {
        this.#recorder.add({ event: "agent_end", run, clean: true });
        this.#gone("STOPPED");
        this.#restart();
      } else this.#died("while it was stopping");
    }
    await this.#starting;
  }

  async #fault(action: FaultAction): Promise<void> {
    const { fault, at = "now", forMs = 0, stepMs = 0 } = action;
    const { host, clock } = this.#lane;
    const note = (known = fault as FaultKind, detail?: string): void =>
      this.#recorder.add({ event: "fault", fault: known, ...(detail === undefined ? {} : { detail }) });
    switch (fault) {
      case "power_cut":
        // This machine keeps its power, so unsynced writes survive.
        this.#kill("at once, in place of a power cut");
        return;
      case "kill":
        if (at === "effect") this.#killAtEffect = true;
        else if (at === "sync") await host.disk.failNext("dies");
        else this.#kill("at once");
        return;
      case "stop":
        await this.#stop();
        return;
      case "snapshot":
        await this.#snapshot();
        return;
      case "state_rolled_back":
        if (this.#restore === undefined) return;
        this.#kill("to roll its state back", async () => {
          await this.#restore?.();
          note();
        });
        return;
      case "disk_full":
        if (this.#isFull) return;
        note();
        this.#wasSick = true;
        this.#isFull = true;
        await host.disk.fill();
        this.#aside(pause(shortened(forMs)).then(() => this.#healDisk()));
        return;
      case "sync_failed":
      case "write_failed":
        note();
        this.#wasSick = true;
        // In half of the schedules the journal's sync fails, which could do most harm.
        await host.disk.failNext(fault, this.#schedule.seed % 2 === 0 ? "operations.journal" : "");
        return;
      case "answer_lost":
        note();
        this.#loseAnswer(action.silently === true);
        return;
      case "clock_step":
        note("clock_step", `${stepMs} ms`);
        if (this.#process !== undefined && this.#agent !== undefined) await clock.step(this.#process, stepMs);
        return;
      case "libvirt_down":
        if (host.isDown) return;
        note();
        this.#aside(host.breakLibvirtd(shortened(forMs)).then(() => note("libvirt_up")));
        return;
      default:
        throw new Error(`there is no fault ${fault}`);
    }
  }

  #aside(work: Promise<void>): void {
    // Awaited at the history's end, which another failure may cause earlier.
    work.catch(() => undefined);
    this.#asides.push(work);
  }

  #loseAnswer(silently: boolean): void {
    const isAnswer = this.#chance.is(0.8);
    const kind = isAnswer ? (silently ? "drop_reply" : "cut_reply") : silently ? "hang" : "cut_call";
    this.#lane.host.agentProxy.add({ among: changingProcedures, times: 1, fault: { kind } });
  }

  async #healDisk(): Promise<void> {
    if (!this.#isFull) return;
    this.#isFull = false;
    await this.#lane.host.disk.makeRoom();
    this.#recorder.add({ event: "fault", fault: "disk_well" });
  }

  /** After all faults: waits until nothing is running, then reads everything, also from libvirt itself. */
  async #quieten(): Promise<void> {
    const { host } = this.#lane;
    await Promise.all(this.#asides);
    this.#killAtEffect = false;
    host.agentProxy.removeAll();
    if (this.#schedule.seed % PATIENT_IN !== 0) host.agentProxy.dropUnanswered();
    await host.disk.setFault("none");
    await this.#healDisk();
    await this.#starting;
    await this.#reads.untilQuiet();
    // A journal with a final failure needs a restart, as its message states.
    if (this.#wasSick) {
      await this.#stop();
      await this.#reads.untilQuiet();
    }
    this.#log.settle(await host.look());
    await this.#reads.untilSeen();
    await this.#reads.ask("ListOperations", { pageSize: 1000 }, 0);
    for (const [id, operation] of this.#callers.operations) {
      const first = this.#callers.first(id);
      if (first !== undefined)
        await this.#reads.ask("GetOperation", { operationId: operation }, first.caller, operation);
    }
    await this.#reads.ask("ListVms", { pageSize: 1000 }, 0);
    const [domains, volumes] = [await host.domains(), await host.volumes()];
    this.#recorder.add({ event: "world", quiet: true, domains, volumes });
  }
}
