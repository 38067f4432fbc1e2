import { Recorder, type FaultKind, type History } from "../history.ts";
import type { Violation } from "../checker.ts";
import type { ModelLibvirt } from "../libvirt-model.ts";
import { Armed } from "./armed.ts";
import { Chance } from "./chance.ts";
import { occupy } from "./machine.ts";
import { OPERATOR, type Action, type FaultAction, type Schedule } from "./schedule.ts";
import { SimulatedAgent } from "./simulated-agent.ts";
import { SimulatedCallers } from "./simulated-callers.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { SimulatedHost } from "./simulated-host.ts";
import { VirtualTime } from "./virtual-time.ts";
import { watchOperations, watchVms } from "./watchers.ts";

const LIMIT_MS = 4 * 3_600_000;
const QUIET_WITHIN_MS = 900_000;
/** After this time, the agent has observed all other clients' changes. */
const ROUNDS_MS = 25_000;
const STOP_WITHIN_MS = 30_000;
const RESTARTS_AT_MOST = 40;
const RESTART_AFTER_MS = 2000;
const AUDIT = "/simulated/socle/state/audit";
const JOURNAL = "/simulated/socle/state/operations.journal";

export interface Simulated {
  readonly history: History;
  /** Failures outside the history: an agent that does not start, a simulation that stalls. */
  readonly failures: readonly Violation[];
}

/** Plays a schedule and returns its history. Deterministic: the same schedule gives the same history. */
export async function simulate(schedule: Schedule): Promise<Simulated> {
  try {
    return await new Simulation(schedule).play();
  } finally {
    occupy(undefined);
  }
}

/** One host over one schedule: its successive agents, its libvirt, its disk, its callers. */
class Simulation {
  readonly #schedule: Schedule;
  readonly #chance: Chance;
  readonly #time = new VirtualTime();
  readonly #disk: SimulatedDisk;
  readonly #host: SimulatedHost;
  readonly #callers: SimulatedCallers;
  readonly #recorder: Recorder;
  readonly #failures: Violation[] = [];
  #agent: SimulatedAgent | undefined;
  #libvirt: ModelLibvirt | undefined;
  /** Counts the starts of agents: callbacks of an earlier one are ignored. */
  #run = 0;
  #isStarting = false;
  /** The agent's resources while it runs. */
  readonly #names = new Set<string>();
  readonly #armed = new Armed();
  #restore: (() => void) | undefined;
  /** The state was rolled back during this run: its epoch is from the previous state. */
  #putBackUnder = 0;
  #putJournalBack: () => void = () => undefined;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
    const { seed } = schedule;
    this.#chance = new Chance(seed ^ 0x51ed270b);
    this.#disk = new SimulatedDisk(this.#time, new Chance(seed ^ 0x2545f491));
    this.#recorder = new Recorder(() => this.#time.nowMs);
    this.#host = new SimulatedHost(this.#time, this.#chance, this.#recorder, (call) => {
      this.#armed.strike(call);
      this.#armed.effect();
    });
    this.#callers = new SimulatedCallers(
      schedule,
      this.#recorder,
      () => this.#agent,
      (arrived) => {
        // Most callers read at once, some later.
        const ms = this.#chance.is(0.9) ? this.#chance.number() * 2 : this.#chance.number() * 2000;
        this.#time.set(ms, arrived, "world");
      },
      () => this.#disk.textIn(AUDIT),
    );
    this.#disk.onSync = (path) => {
      this.#armed.strike("sync");
      if (path.includes("operations")) this.#armed.strike("begin");
    };
  }

  async play(): Promise<Simulated> {
    const chance = new Chance(this.#schedule.seed ^ 0x1b873593);
    occupy({ time: this.#time, disk: this.#disk, chance, names: this.#names });
    const end: { isReached: boolean; failure?: Error } = { isReached: false };
    const all = this.#all().catch((thrown: unknown) => (end.failure = errorOf(thrown)));
    void all.then(() => (end.isReached = true));
    try {
      await this.#time.run(() => end.isReached, LIMIT_MS);
    } catch (thrown) {
      end.failure = errorOf(thrown);
    }
    const { failure } = end;
    if (failure !== undefined) this.#fail("the simulation terminates", failure.stack ?? failure.message);
    return { history: this.#recorder.history, failures: this.#failures };
  }

  async #all(): Promise<void> {
    await this.#disk.mkdir("/simulated/socle");
    this.#disk.settle();
    await this.#start();
    for (const action of this.#schedule.actions) {
      if (action.afterMs > 0) await this.#time.sleep(action.afterMs);
      await this.#act(action);
    }
    await this.#quieten();
  }

  async #act(action: Action): Promise<void> {
    const callers = this.#callers;
    switch (action.do) {
      case "call":
        callers.call(action);
        return;
      case "again": {
        const first = callers.first(action.id);
        if (first !== undefined) callers.call(first);
        return;
      }
      case "look":
        callers.about(action.id, "GetOperation");
        return;
      case "cancel":
        this.#armed.at(action.at, "cancel", () => callers.about(action.id, "CancelOperation"));
        return;
      case "foreign":
        this.#armed.at(action.at, "foreign", () => this.#host.foreign(action));
        return;
      case "fault":
        await this.#fault(action);
    }
  }

  /** Starts agents until one serves; a failed one is started again, as systemd does. */
  async #start(): Promise<void> {
    if (this.#agent !== undefined || this.#isStarting) return;
    this.#isStarting = true;
    const isUp = (): boolean => this.#agent !== undefined;
    for (let tries = 0; !isUp(); tries += 1) {
      const failure = await this.#startOnce();
      if (failure === undefined) continue;
      if (tries >= RESTARTS_AT_MOST) {
        this.#fail("the agent restarts", failure.message);
        throw new Error(`the agent does not start: ${failure.message}`);
      }
      await this.#time.sleep(RESTART_AFTER_MS);
    }
    this.#isStarting = false;
  }

  /** Returns why the agent did not start; undefined: it started, or was killed meanwhile. */
  async #startOnce(): Promise<Error | undefined> {
    const run = (this.#run += 1);
    this.#time.owner = run;
    this.#disk.processStart = run;
    const model = this.#host.model.connect({ by: "agent", agentRun: run });
    this.#libvirt = model;
    // The start of a killed agent never settles, so the wait ends separately.
    const opening: { agent?: SimulatedAgent; failure?: Error } = {};
    void SimulatedAgent.open(model).then(
      (agent) => (opening.agent = agent),
      (thrown: unknown) => (opening.failure = errorOf(thrown)),
    );
    const isOpen = (): boolean => opening.agent === undefined && opening.failure === undefined;
    while (isOpen() && this.#run === run) await this.#time.sleep(1);
    if (this.#run !== run) return undefined;
    if (opening.agent !== undefined) this.#serve(opening.agent, run);
    else this.#end(run);
    return opening.failure;
  }

  #serve(agent: SimulatedAgent, run: number): void {
    this.#agent = agent;
    const epoch = this.#putBackUnder === run ? {} : { agentEpoch: agent.state.record.agentEpoch };
    this.#recorder.add({ event: "agent_start", run, version: "simulated", ...epoch });
    this.#callers.lookAtEpoch(agent);
    const isCurrent = (): boolean => this.#agent === agent;
    void watchOperations(agent, isCurrent, this.#recorder, () => this.#armed.strike("resume"));
    void watchVms(agent, isCurrent, this.#callers);
    agent.start().catch((thrown: unknown) => {
      // The services of a killed agent are irrelevant.
      if (this.#agent === agent) this.#fail("the agent serves", errorOf(thrown).message);
    });
  }

  /** The agent dies here: none of its code runs any more, and its callers get no answer. */
  #kill(detail?: string): void {
    this.#armed.agentEnded();
    if (this.#agent === undefined && !this.#isStarting) return;
    const run = this.#run;
    const wasUp = this.#agent !== undefined;
    this.#recorder.add({ event: "fault", fault: "kill", ...(detail === undefined ? {} : { detail }) });
    this.#end(run);
    if (!wasUp) {
      // The starter sees that this start is over, and begins another.
      this.#run += 1;
      return;
    }
    this.#recorder.add({ event: "agent_end", run, clean: false });
    this.#callers.lose("KILLED");
    void this.#time.sleep(this.#chance.number() * RESTART_AFTER_MS).then(() => this.#start());
  }

  #end(run: number): void {
    this.#time.drop(run);
    this.#time.owner = "world";
    this.#libvirt?.kill();
    this.#names.clear();
    this.#agent = undefined;
  }

  async #stop(): Promise<void> {
    const agent = this.#agent;
    const run = this.#run;
    if (agent?.isServing !== true) return;
    const stopping = { isOver: false };
    const over = (): void => void (stopping.isOver = true);
    agent.stop().then(over, over);
    const untilMs = this.#time.nowMs + STOP_WITHIN_MS;
    while (!stopping.isOver && this.#agent === agent && this.#time.nowMs < untilMs) await this.#time.sleep(5);
    if (this.#agent !== agent) return;
    if (!stopping.isOver) {
      this.#kill("it did not stop in time");
      return;
    }
    this.#recorder.add({ event: "agent_end", run, clean: true });
    this.#end(run);
    this.#callers.lose("STOPPED");
    await this.#start();
  }

  async #fault(action: FaultAction): Promise<void> {
    const { fault, at = "now", forMs = 0, stepMs = 0 } = action;
    const { trouble } = this.#disk;
    const note = (known: FaultKind, detail?: string): void =>
      this.#recorder.add({ event: "fault", fault: known, ...(detail === undefined ? {} : { detail }) });
    switch (fault) {
      case "kill":
        this.#armed.at(at, "kill", () => this.#kill(at === "now" ? undefined : `at ${at}`));
        return;
      case "power_cut":
        this.#kill("power cut");
        this.#disk.losePower();
        this.#disk.bootId = `boot-${this.#run}-${this.#time.nowMs}`;
        this.#host.losePower();
        return;
      case "stop":
        await this.#stop();
        return;
      case "snapshot":
        this.#armed.at(at, "snapshot", () => (this.#restore = this.#disk.snapshot()));
        return;
      case "state_rolled_back":
        if (this.#restore === undefined) return;
        if (action.underAgent !== true) this.#kill();
        this.#restore();
        this.#putBackUnder = this.#run;
        note(fault);
        return;
      case "disk_full":
        note(fault);
        trouble.isFull = true;
        this.#time.set(forMs, () => this.#heal("isFull"), "world");
        return;
      case "inodes_full":
        note(fault);
        trouble.hasNoInodes = true;
        this.#time.set(forMs, () => this.#heal("hasNoInodes"), "world");
        return;
      case "sync_failed":
        this.#armed.at(at, "sync_failed", () => {
          note(fault);
          trouble.failingSyncs = 1;
        });
        return;
      case "write_failed":
        note(fault);
        trouble.failingWrites = 1;
        return;
      case "answer_lost":
        this.#armed.at(at, "answer_lost", () => this.#host.lose(action));
        return;
      case "clock_step":
        note(fault, `${stepMs} ms`);
        this.#time.wallMs += stepMs;
        return;
      case "libvirt_down":
        this.#armed.at(at, fault, () => {
          note(fault);
          this.#host.loseDaemon(action);
          this.#time.set(forMs, () => this.#host.model.startDaemon(), "world");
        });
        return;
      case "journal_lost":
        note(fault);
        this.#kill();
        this.#journalAwayFor(forMs);
        return;
      case "secrets_down":
      case "secrets_refused":
        note(fault);
        this.#host.secretsTrouble = fault;
        this.#time.set(forMs, () => (this.#host.secretsTrouble = undefined), "world");
        return;
      default:
        throw new Error(`the simulation has no fault ${fault}`);
    }
  }

  /** An operator moves the journal away, sees that the agent refuses changes, and restores it. */
  #journalAwayFor(ms: number): void {
    const putBack = this.#disk.take(JOURNAL);
    if (putBack === undefined) return;
    this.#putJournalBack = (): void => {
      this.#putJournalBack = () => undefined;
      this.#kill();
      putBack();
    };
    this.#time.set(ms, () => this.#putJournalBack(), "world");
  }

  #heal(what: "isFull" | "hasNoInodes"): void {
    if (!this.#disk.trouble[what]) return;
    this.#disk.trouble[what] = false;
    this.#recorder.add({ event: "fault", fault: "disk_well" });
  }

  /** After all faults: waits until nothing is running, then reads everything, also from libvirt itself. */
  async #quieten(): Promise<void> {
    this.#armed.disarm();
    this.#host.loseNothing();
    this.#host.secretsTrouble = undefined;
    this.#putJournalBack();
    this.#disk.trouble.failingSyncs = this.#disk.trouble.failingWrites = 0;
    for (const what of ["isFull", "hasNoInodes"] as const) this.#heal(what);
    const { model } = this.#host;
    model.startDaemon();
    await this.#untilQuiet();
    // A file after a final failure is used again after a restart, as its message states.
    await this.#stop();
    await this.#untilQuiet();
    await this.#ask("ListOperations", { pageSize: 1000 }, OPERATOR);
    for (const [id, operationId] of this.#callers.operations) {
      const first = this.#callers.first(id);
      if (first !== undefined) await this.#ask("GetOperation", { operationId }, first.caller, operationId);
    }
    await this.#ask("ListVms", { pageSize: 1000 }, OPERATOR);
    const domains = model.domains.map((domain) => ({
      ...domain,
      state: domain.state === "shutoff" ? "stopped" : domain.state,
    }));
    this.#recorder.add({ event: "world", quiet: true, domains, volumes: model.volumes });
  }

  async #untilQuiet(): Promise<void> {
    const endMs = this.#time.nowMs + QUIET_WITHIN_MS;
    const isQuiet = (): boolean =>
      this.#agent?.isServing === true &&
      this.#agent.state.operations.list({ onlyRunning: true, limit: 1 }).length === 0;
    while (!isQuiet() && this.#time.nowMs < endMs) await this.#time.sleep(250);
    await this.#time.sleep(ROUNDS_MS);
  }

  async #ask(method: string, request: object, caller: number, operation?: string): Promise<void> {
    const asking = { isOver: false };
    this.#callers.send(
      method,
      request,
      caller,
      operation === undefined ? {} : { operation },
      () => (asking.isOver = true),
    );
    const endMs = this.#time.nowMs + 10_000;
    while (!asking.isOver && this.#time.nowMs < endMs) await this.#time.sleep(1);
    if (!asking.isOver) this.#fail("reads are answered at rest", `${method} got no answer`);
  }

  #fail(rule: string, message: string): void {
    this.#failures.push({ rule, at: this.#recorder.history.length - 1, message });
  }
}

const errorOf = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
