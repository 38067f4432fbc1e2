import { randomUUID } from "node:crypto";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { mutation, type Kind, type FaultyHost, type Mutation } from "./host.ts";
import type { Killer, Trap } from "./killer.ts";
import { isRight } from "./outcome-check.ts";
import type { Watch } from "./watch.ts";
import { isSame, type GuestProcess } from "./witness.ts";

const END_WITHIN_MS = 90_000;
/** A VM's lifecycle from its reservation on; each step is interrupted. */
const life: readonly (Kind | "RESERVE")[] = ["RESERVE", "CREATE", "STOP", "START", "DELETE"];

/** A VM whose every operation is interrupted by the agent's death, and one that must not be affected. */
export class Victim {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #watch: Watch;
  #bystander = "";
  #bystanderProcess: GuestProcess | undefined;
  #name = "";
  /** The reservation for the VM. */
  #reservationId = "";
  #lives = 0;
  #step = 0;

  static async make(run: CampaignRun, host: FaultyHost, watch: Watch): Promise<Victim> {
    const victim = new Victim(run, host, watch);
    const { vmId } = await host.succeeds(mutation("CREATE", "bystander"));
    victim.#bystander = vmId;
    victim.#bystanderProcess = await host.witness.process(vmId);
    watch.mustLive(vmId);
    return victim;
  }

  private constructor(run: CampaignRun, host: FaultyHost, watch: Watch) {
    this.#run = run;
    this.#host = host;
    this.#watch = watch;
  }

  /** One operation, the agent's death during it, the agent's restart, and the operation's outcome. */
  async suffer(killer: Killer): Promise<void> {
    const run = this.#run;
    const kind = life[this.#step] ?? "RESERVE";
    this.#step = (this.#step + 1) % life.length;
    if (kind === "RESERVE") this.#name = `victim-${++this.#lives}`;
    else await this.#prepare(kind);
    const trap = await killer.set(kind);
    run.log(`${run.tries}/${run.count} ${kind} ${this.#name}, ${trap.what}`);
    const before = run.violations.length;
    const revive = (): Promise<void> => killer.revive();
    if (kind === "RESERVE") await this.#sufferReserve(trap, revive);
    else await this.#suffer(kind, trap, revive);
    const process = await this.#host.witness.process(this.#bystander);
    run.demand(isSame(this.#bystanderProcess, process), "the bystander's process was replaced");
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${kind} ${this.#name} ${trap.what}: ${run.violations[at]}`;
  }

  async clear(): Promise<void> {
    this.#watch.mayEnd(this.#bystander);
    await this.#host.untilListed();
    for (const { vmId } of (await this.#host.list()).vms) await this.#host.succeeds(mutation("DELETE", vmId));
  }

  async #suffer(kind: Kind, trap: Trap, revive: () => Promise<void>): Promise<void> {
    const { witness } = this.#host;
    const startsBefore = await witness.starts(this.#name);
    const stateBefore = await witness.state(this.#name);
    const asked = mutation(kind, this.#name, kind === "CREATE" ? { reservationId: this.#reservationId } : {});
    const received = await this.#interrupt(asked, trap);
    await revive();
    const again = await eventually(() => this.#host.begin(asked), {
      what: `${kind} to be accepted again`,
      timeoutMs: 40_000,
      intervalMs: 100,
    });
    this.#compare(received, again);
    const end = await this.#host.ended(again, END_WITHIN_MS);
    if (!end.done) this.#run.violation(`no end: ${this.#host.describe(end)}`);
    if (kind === "CREATE") {
      await this.#checkConsumed(end);
      const isMade = end.state === "STATE_SUCCEEDED";
      this.#run.demand(
        !isMade || (await this.#host.isSeedWhole(end.vmId, this.#name)),
        "the VM's seed is not whole",
      );
    }
    await this.#host.untilListed();
    const state = await witness.state(this.#name);
    const starts = (await witness.starts(this.#name)) - startsBefore;
    const volumes = (await witness.volumes()).filter((volume) => volume.includes(end.vmId)).length;
    const found = `virsh says ${state ?? "no domain"}, ${volumes} volumes, ${starts} starts`;
    this.#run.demand(
      isRight(kind, end, { state, stateBefore, starts, volumes }),
      `${this.#host.describe(end)}, but ${found}`,
    );
  }

  /** The reply is the same after every restart, and there is one held reservation. */
  async #sufferReserve(trap: Trap, revive: () => Promise<void>): Promise<void> {
    const requestId = randomUUID();
    let received: string | undefined;
    const before = (await this.#host.reservations()).totalSize;
    const work = this.#host.reserve(requestId).then(
      ({ reservationId }) => (received = reservationId),
      () => new Promise(() => undefined), // The agent died, which the trap reports.
    );
    await trap.spring(work);
    await revive();
    const { reservationId, state } = await eventually(() => this.#host.reserve(requestId), {
      what: "RESERVE to be accepted again",
      timeoutMs: 40_000,
      intervalMs: 100,
    });
    const { reservations } = await this.#host.reservations();
    this.#run.demand(
      received === undefined || received === reservationId,
      `the repeated request of reservation ${received} returns ${reservationId}`,
    );
    this.#run.demand(state === "STATE_HELD", `a new reservation is ${state}`);
    this.#run.demand(
      reservations.length === before + 1,
      `${reservations.length - before} reservations were created by one request`,
    );
    this.#reservationId = reservationId;
  }

  /** A created VM has its capacity, and the same reservation gives it to no other VM. */
  async #checkConsumed({ state, vmId }: Operation__Output): Promise<void> {
    const { reservations } = await this.#host.reservations();
    const used = reservations.find(({ reservationId }) => reservationId === this.#reservationId);
    this.#run.demand(
      state !== "STATE_SUCCEEDED" || (used?.state === "STATE_CONSUMED" && used.vmId === vmId),
      `its VM was created, but its reservation is ${used?.state ?? "gone"}`,
    );
  }

  /** Establishes the state that a failed previous step should have left. */
  async #prepare(kind: Kind): Promise<void> {
    if (kind === "CREATE") return;
    await this.#host.untilListed();
    const state = await this.#host.witness.state(this.#name);
    if (state === undefined) await this.#host.succeeds(mutation("CREATE", this.#name));
    if (kind === "STOP" && state === "shut off") await this.#host.succeeds(mutation("START", this.#name));
    if (kind === "START" && state !== "shut off") await this.#host.succeeds(mutation("STOP", this.#name));
  }

  /** The last known state of the operation before the agent's death. */
  async #interrupt(asked: Mutation, trap: Trap): Promise<Operation__Output | undefined> {
    let received: Operation__Output | undefined;
    const work = (async () => {
      try {
        received = await this.#host.begin(asked);
        received = await this.#host.ended(received, END_WITHIN_MS);
      } catch {
        await new Promise(() => undefined); // The agent died, which the trap reports.
      }
    })();
    await trap.spring(work);
    return received;
  }

  /** A repeated request has the same reply after every restart of the agent. */
  #compare(received: Operation__Output | undefined, again: Operation__Output): void {
    if (received === undefined) return;
    this.#run.demand(
      received.operationId === again.operationId,
      `the repeated request of operation ${received.operationId} returns ${again.operationId}`,
    );
    this.#run.demand(
      !received.done || received.state === again.state,
      `an ended operation changed: ${this.#host.describe(received)}, then ${this.#host.describe(again)}`,
    );
  }
}
