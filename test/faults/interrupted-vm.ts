import { randomUUID } from "node:crypto";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { mutation, type Kind, type FaultyHost } from "./host.ts";
import { interrupted } from "./interruption.ts";
import type { Killer, Trap } from "./killer.ts";
import { isRight } from "./outcome-check.ts";
import type { Watch } from "./watch.ts";
import { isSame, type GuestProcess } from "./witness.ts";

/** A VM's lifecycle from its reservation on; each step is interrupted. */
export const lifeOfAVm: readonly (Kind | "RESERVE")[] = [
  "RESERVE",
  "CREATE",
  "PAUSE",
  "RESUME",
  "SUSPEND",
  "START",
  "RESCUE",
  "UNRESCUE",
  "STOP",
  "START",
  "SUSPEND",
  "DISCARD",
  "DELETE",
];

type Needed = "running" | "paused" | "off" | "saved" | "rescued";

/** What a VM must be for an operation; absent: it exists. */
const needed: Partial<Record<Kind, Needed>> = {
  START: "off",
  STOP: "running",
  PAUSE: "running",
  SUSPEND: "running",
  RESCUE: "running",
  RESUME: "paused",
  DISCARD: "saved",
  UNRESCUE: "rescued",
};

/** From any state to any other. */
const MOST_STEPS = 6;

/** What the witness sees of the VM. */
interface Look {
  readonly state: string | undefined;
  /** Starts of its QEMU, ever. */
  readonly starts: number;
  readonly volumes: number;
  readonly isSaved: boolean;
  readonly isRescued: boolean;
}

/** A VM whose every operation is interrupted by the agent's death, and one that must not be affected. */
export class Victim {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #watch: Watch;
  #bystander = "";
  #bystanderProcess: GuestProcess | undefined;
  /** The number of volumes that are not the VM's. */
  #othersVolumes = 0;
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
    victim.#othersVolumes = (await host.witness.volumes()).length;
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
    const kind = lifeOfAVm[this.#step] ?? "RESERVE";
    this.#step = (this.#step + 1) % lifeOfAVm.length;
    if (kind === "RESERVE") this.#name = `victim-${++this.#lives}`;
    else await this.#prepare(kind);
    const trap = await killer.set(kind);
    run.log(`${run.tries}/${run.count} ${kind} ${this.#name}, ${trap.what}`);
    const before = run.violations.length;
    if (kind === "RESERVE") await this.#sufferReserve(trap, killer);
    else await this.#suffer(kind, trap, killer);
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

  async #suffer(kind: Kind, trap: Trap, killer: Killer): Promise<void> {
    const host = this.#host;
    const before = await this.#look();
    const asked = mutation(kind, this.#name, kind === "CREATE" ? { reservationId: this.#reservationId } : {});
    const end = await interrupted(this.#run, host, { killer, trap, begin: () => host.begin(asked) });
    if (kind === "CREATE") {
      await this.#checkConsumed(end);
      const isMade = end.state === "STATE_SUCCEEDED";
      this.#run.demand(
        !isMade || (await host.isSeedWhole(end.vmId, this.#name)),
        "the VM's seed is not whole",
      );
    }
    await host.untilListed();
    const after = await this.#look();
    const starts = after.starts - before.starts;
    const found = JSON.stringify({ ...after, starts });
    this.#run.log(`${host.describe(end)}, and it is ${found}`);
    this.#run.demand(
      isRight(kind, end, { ...after, stateBefore: before.state, starts }),
      `${host.describe(end)}, but it is ${found}`,
    );
  }

  async #look(): Promise<Look> {
    const { witness } = this.#host;
    const starts = await witness.starts(this.#name);
    const volumes = (await witness.volumes()).length - this.#othersVolumes;
    const state = await witness.state(this.#name);
    if (state === undefined) return { state, starts, volumes, isSaved: false, isRescued: false };
    return {
      state,
      starts,
      volumes,
      isSaved: /^Managed save: +yes$/m.test(await witness.virsh("dominfo", this.#name)),
      isRescued: (await witness.virsh("dumpxml", this.#name)).includes("ua-rescue"),
    };
  }

  /** The reply is the same after every restart, and there is one held reservation. */
  async #sufferReserve(trap: Trap, killer: Killer): Promise<void> {
    const requestId = randomUUID();
    let received: string | undefined;
    const before = (await this.#host.reservations()).totalSize;
    const work = this.#host.reserve(requestId).then(
      ({ reservationId }) => (received = reservationId),
      () => new Promise(() => undefined), // The agent died, which the trap reports.
    );
    await trap.spring(work);
    await killer.revive();
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
    for (let left = MOST_STEPS; left > 0; left -= 1) {
      const next = towards(needed[kind], await this.#look());
      if (next === undefined) return;
      await this.#host.succeeds(mutation(next, this.#name));
    }
    throw new Error(`${this.#name} cannot be prepared for ${kind}: ${JSON.stringify(await this.#look())}`);
  }
}

/** The next operation on the way to what a VM must be; undefined: it is that. */
function towards(needs: Needed | undefined, { state, isSaved, isRescued }: Look): Kind | undefined {
  if (state === undefined) return "CREATE";
  if (needs === undefined) return undefined;
  if (isRescued) return needs === "rescued" ? undefined : "UNRESCUE";
  if (isSaved) return needs === "saved" || needs === "off" ? undefined : "DISCARD";
  if (state === "shut off") return needs === "off" ? undefined : "START";
  if (state === "paused") return needs === "paused" ? undefined : "RESUME";
  return fromRunning[needs];
}

const fromRunning: Readonly<Record<Needed, Kind | undefined>> = {
  running: undefined,
  paused: "PAUSE",
  off: "STOP",
  saved: "SUSPEND",
  rescued: "RESCUE",
};
