import { systemClock } from "../../agent/kernel/clock.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { mutation, type Kind, type FaultyHost } from "./host.ts";

const NAME = "worker";
/** The agent looks for a lost effect for a minute, and again later. */
const END_WITHIN_MS = 150_000;

/** Operations on one VM, one after another, under any fault; each outcome must be true. */
export class Load {
  operations = 0;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  #count = 0;
  #isHeld = false;
  #isIdle = false;

  static async start(run: CampaignRun, host: FaultyHost): Promise<Load> {
    await host.succeeds(mutation("CREATE", NAME));
    return new Load(run, host);
  }

  private constructor(run: CampaignRun, host: FaultyHost) {
    this.#run = run;
    this.#host = host;
    this.#done = this.#work();
  }

  /** Waits until the running operation has ended; no other starts before `goOn`. */
  async settle(): Promise<void> {
    this.#isHeld = true;
    await eventually(() => this.#isIdle, { what: "the load to settle", timeoutMs: 2 * END_WITHIN_MS });
  }

  goOn(): void {
    this.#isHeld = false;
    this.#isIdle = false;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #work(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        if (!this.#isHeld) await this.#operate();
        this.#isIdle = this.#isHeld;
      } catch (thrown) {
        this.#run.violation(`the load ended: ${String(thrown)}`);
        this.#isIdle = true;
        return;
      }
      await systemClock.sleep(20, signal).catch(() => undefined);
    }
  }

  async #operate(): Promise<void> {
    const stateBefore = await this.#state();
    const kind = this.#next(stateBefore);
    const asked = mutation(kind, NAME);
    const begun = await eventually(() => this.#host.begin(asked), {
      what: `${kind} to be accepted`,
      timeoutMs: END_WITHIN_MS,
      intervalMs: 200,
    });
    const end = await this.#host.ended(begun, END_WITHIN_MS);
    this.operations += 1;
    const state = await this.#state();
    const after = stateAfter[kind];
    const isRight = end.state === "STATE_SUCCEEDED" ? state === after : end.done && state === stateBefore;
    this.#run.demand(
      isRight,
      `${this.#host.describe(end)}, but virsh says ${state}, and ${stateBefore} before`,
    );
  }

  #next(state: string): Kind {
    this.#count += 1;
    if (state === "shut off") return "START";
    if (state === "paused") return "RESUME";
    return this.#count % 4 === 0 ? "STOP" : "PAUSE";
  }

  /** virsh's state, once virsh answers. */
  #state(): Promise<string> {
    const what = "virsh to show the state";
    return eventually(() => this.#host.witness.state(NAME), { what, timeoutMs: 120_000, intervalMs: 200 });
  }
}

const stateAfter: Readonly<Partial<Record<Kind, string>>> = {
  START: "running",
  RESUME: "running",
  PAUSE: "paused",
  STOP: "shut off",
};
