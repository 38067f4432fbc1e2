import { setTimeout as pause } from "node:timers/promises";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { ClockReservations } from "./clock-reservations.ts";
import type { Crowd, Guest } from "./crowd.ts";
import { mutation, type FaultyHost, type Mutation } from "./host.ts";

/** Some rounds of the readings that run once a second here. */
const LOOK_FOR_MS = 4000;
const LOOK_EVERY_MS = 250;
/** The agent's wait for an operation, and the tolerance for a busy machine. */
const WAIT_MS = 2000;
const LATE_MS = 60_000;
/** Far beyond the end of the campaign. */
const STOP_SECONDS = 7200;

/** State that must survive clock steps: a waiting stop, a session, readings, conditions, a request id, reservations. */
export class ClockWatch {
  looks = 0;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #scheduler: Scheduler;
  readonly #guest: Guest;
  /** Ended long before the first step. */
  #done: Operation__Output;
  readonly #doneMutation: Mutation;
  /** A stop that waits for a guest that ignores ACPI. */
  #stopping: Operation__Output;
  readonly #reservations: ClockReservations;

  static async start(
    run: CampaignRun,
    host: FaultyHost,
    scheduler: Scheduler,
    crowd: Crowd,
  ): Promise<ClockWatch> {
    const [guest] = crowd.guests;
    if (guest === undefined) throw new Error("there is no guest");
    const asked = mutation("PAUSE", guest.vmId);
    const done = await host.succeeds(asked);
    await host.succeeds(mutation("RESUME", guest.vmId));
    const stopping = await host.begin(mutation("STOP", guest.vmId, { gracefulSeconds: STOP_SECONDS }));
    const reservations = await ClockReservations.start(run, host);
    const watch = new ClockWatch(run, host, scheduler, { guest, asked, done, stopping, reservations });
    await eventually(async () => (await watch.#bad()).length === 0, {
      what: "all to be well before the first step",
      timeoutMs: 60_000,
      intervalMs: LOOK_EVERY_MS,
    });
    return watch;
  }

  private constructor(
    run: CampaignRun,
    host: FaultyHost,
    scheduler: Scheduler,
    lasting: {
      guest: Guest;
      asked: Mutation;
      done: Operation__Output;
      stopping: Operation__Output;
      reservations: ClockReservations;
    },
  ) {
    this.#run = run;
    this.#host = host;
    this.#scheduler = scheduler;
    this.#guest = lasting.guest;
    this.#doneMutation = lasting.asked;
    this.#done = lasting.done;
    this.#stopping = lasting.stopping;
    this.#reservations = lasting.reservations;
  }

  /** Steps the clock during a wait, then checks for a while. */
  async during(step: () => Promise<void>): Promise<void> {
    const sessions = this.#known()?.sessions;
    const startMs = performance.now();
    const { client } = this.#host;
    let tookMs = 0;
    const request = {
      operationId: this.#stopping.operationId,
      timeout: { seconds: WAIT_MS / 1000, nanos: 0 },
    };
    const waiting = client.ask(client.contract.operations.WaitOperation, request).finally(() => {
      tookMs = performance.now() - startMs;
    });
    waiting.catch(() => undefined); // Awaited below.
    await step();
    await this.#look();
    const waited = await waiting;
    this.#run.demand(!waited.done, `a stop that waits ended: ${this.#host.describe(waited)}`);
    this.#run.demand(tookMs >= WAIT_MS - 50, `a wait of ${WAIT_MS} ms took ${Math.round(tookMs)} ms`);
    this.#run.demand(tookMs < WAIT_MS + LATE_MS, `a wait of ${WAIT_MS} ms took ${Math.round(tookMs)} ms`);
    this.#run.demand(this.#known()?.sessions === sessions, "the scheduler's session ended");
    await this.#sameAnswer();
    await this.#reservations.check();
  }

  async afterRestart(): Promise<void> {
    await eventually(async () => (await this.#bad()).length === 0, {
      what: "all to be well after a restart",
      timeoutMs: 60_000,
      intervalMs: LOOK_EVERY_MS,
    });
    await this.#sameAnswer();
    await this.#look();
    await this.#reservations.check();
  }

  /** Ends the waiting stop with force. */
  async end(): Promise<void> {
    const { client } = this.#host;
    await client
      .ask(client.contract.operations.CancelOperation, {
        operationId: this.#stopping.operationId,
      })
      .catch(() => undefined);
    const ended = await this.#host.ended(this.#stopping, 30_000);
    this.#run.demand(ended.state === "STATE_CANCELLED", `the stop, given up: ${this.#host.describe(ended)}`);
    await this.#reservations.end();
  }

  async #look(): Promise<void> {
    const deadline = performance.now() + LOOK_FOR_MS;
    const reported = new Set<string>();
    while (performance.now() < deadline) {
      this.looks += 1;
      for (const what of await this.#bad()) if (!reported.has(what)) this.#run.violation(what);
      await pause(LOOK_EVERY_MS);
    }
  }

  /** A repeated request has the same reply, whatever its age on the wall clock. */
  async #sameAnswer(): Promise<void> {
    const again = await this.#host.begin(this.#doneMutation);
    const isSame = again.operationId === this.#done.operationId && again.state === this.#done.state;
    this.#run.demand(isSame, `a request id was forgotten: ${this.#host.describe(again)}`);
    const { client } = this.#host;
    const operationId = this.#stopping.operationId;
    const now = await client.ask(client.contract.operations.GetOperation, { operationId });
    this.#run.demand(!now.done, `a stop that waits ended: ${this.#host.describe(now)}`);
  }

  /** The deviations from the expected state. */
  async #bad(): Promise<string[]> {
    const { client, agent } = this.#host;
    const bad: string[] = [];
    const { observation } = await this.#host.list();
    if (observation?.presence !== "PRESENCE_PRESENT") bad.push("the list of VMs is not complete");
    const { health } = await client.ask(client.contract.host.GetHost, {});
    for (const { type, status, evidence } of health?.conditions ?? [])
      if (status === "TRUTH_UNKNOWN" && conditionsHere.has(type)) bad.push(`${type} is unknown: ${evidence}`);
    if (health?.alive !== "TRUTH_TRUE") bad.push("the agent calls itself not alive");
    const text = await (await fetch(`http://${agent.metricsAddress}/metrics`)).text();
    for (const [name, least, most] of metricsHere) {
      const value = valueOf(text, `${name}{vm="${this.#guest.vmId}"}`);
      if (value === undefined) bad.push(`${name} is missing`);
      else if (value < least || value > most) bad.push(`${name} is ${value}`);
    }
    const failed = /^socle_collector_success\{collector="([a-z_]+)"\} 0$/m.exec(text);
    if (failed !== null && !this.#failedBefore.has(failed[1] ?? ""))
      bad.push(`collector ${failed[1]} failed`);
    if (this.#known()?.connected !== true) bad.push("the scheduler has no session");
    return bad;
  }

  /** Conditions of readers that this machine lacks. */
  readonly #failedBefore = new Set(["host_pressure", "host_numa"]);

  #known() {
    return [...this.#scheduler.hosts.values()][0];
  }
}

/** Conditions that every machine can read. */
const conditionsHere = new Set(["LibvirtUnresponsive", "MemoryPressure", "DiskSpace", "AgentImpaired"]);
const metricsHere: readonly (readonly [string, number, number])[] = [
  ["socle_vm_stats_age_seconds", 0, 60],
  ["socle_vm_cpu_seconds_total", 0, Infinity],
];

function valueOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.split(" ")[1]);
}
