import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { mutation, type Kind, type FaultyHost } from "./host.ts";
import { isRight, stateWord } from "./outcome-check.ts";
import type { Watch } from "./watch.ts";
import type { WireTry } from "./wire-plan.ts";
import { isSame, type GuestProcess } from "./witness.ts";

/** The duration of a lasting fault. */
const LASTING_MS = 8000;
/** An operation ends this long after the fault at the latest; the agent looks for a lost effect for a minute. */
const END_WITHIN_MS = 90_000;
/** A connection may not use the calls of the fault; the round then continues without it. */
const STRIKES_WITHIN_MS = 4000;

/** The VMs of a try: one for every operation, and one that must not be affected. */
export class Stage {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #watch: Watch;
  #bystander = { name: "", vmId: "" };
  #bystanderProcess: GuestProcess | undefined;
  #subject = { name: "", vmId: "" };
  #made = 0;
  readonly #toDelete: string[] = [];
  #isSubjectGone = false;

  static async make(run: CampaignRun, host: FaultyHost, watch: Watch): Promise<Stage> {
    const stage = new Stage(run, host, watch);
    stage.#bystander = await stage.#create("bystander");
    stage.#bystanderProcess = await host.witness.process(stage.#bystander.vmId);
    watch.mustLive(stage.#bystander.vmId);
    stage.#subject = await stage.#create("subject");
    return stage;
  }

  private constructor(run: CampaignRun, host: FaultyHost, watch: Watch) {
    this.#run = run;
    this.#host = host;
    this.#watch = watch;
  }

  /** Runs one try; false: no call matched the fault. */
  async play(each: WireTry): Promise<boolean> {
    const { proxy, witness } = this.#host;
    await this.#prepare(each);
    const { fault, procedure, lane, lasting } = each;
    const rule = proxy.add({
      fault,
      procedure,
      ...(lane === undefined ? {} : { lane }),
      ...(lasting ? {} : { times: 1 }),
    });
    const over = lasting ? pause(LASTING_MS) : Promise.resolve();
    void over.then(() => lasting && proxy.remove(rule));
    if (each.act === "OBSERVE") await this.#observe();
    else if (each.act === "CONNECT") proxy.drop();
    else
      await this.#operate(each.act === "STOP_GRACEFULLY" ? "STOP" : each.act, each.act === "STOP_GRACEFULLY");
    await over;
    if (each.act === "OBSERVE" || each.act === "CONNECT")
      await eventually(() => rule.struck > 0, {
        what: "the fault to match a call",
        timeoutMs: STRIKES_WITHIN_MS,
      }).catch(() => undefined);
    proxy.remove(rule);
    await eventually(() => proxy.held === 0, { what: "all held-back calls to pass", timeoutMs: 60_000 });
    await this.#settled();
    await this.#restore();
    const process = await witness.process(this.#bystander.vmId);
    this.#run.demand(isSame(this.#bystanderProcess, process), "the bystander's process was replaced");
    return rule.struck > 0;
  }

  /** Replaces a broken subject by a good one. */
  async rebuild(): Promise<void> {
    await this.clear(false);
    this.#subject = await this.#create("subject");
  }

  async clear(all = true): Promise<void> {
    this.#host.proxy.removeAll();
    if (all) this.#watch.mayEnd(this.#bystander.vmId);
    await this.#host.untilListed();
    for (const { name, vmId } of (await this.#host.list()).vms)
      if (all || vmId !== this.#bystander.vmId) await this.#host.succeeds(mutation("DELETE", name));
  }

  async #create(prefix: string): Promise<{ name: string; vmId: string }> {
    const name = `${prefix}-${++this.#made}`;
    const { vmId } = await this.#host.succeeds(mutation("CREATE", name));
    return { name, vmId };
  }

  async #prepare({ act }: WireTry): Promise<void> {
    const { witness } = this.#host;
    const { name, vmId } = this.#subject;
    const needed = act === "START" ? "shut off" : act === "RESUME" ? "paused" : "running";
    const is = await witness.state(name);
    if (is === "paused" && needed !== "paused") await witness.virsh("resume", name);
    if (is === "shut off" && needed !== "shut off") await witness.virsh("start", name);
    if (is !== "shut off" && needed === "shut off") await witness.virsh("destroy", name);
    if (is !== "paused" && needed === "paused") await witness.virsh("suspend", name);
    await this.#host.untilListed(
      (vms) => vms.some((vm) => vm.vmId === vmId && vm.state === stateWord(needed)),
      `${name} ${needed}`,
    );
  }

  async #operate(kind: Kind, gracefully: boolean): Promise<void> {
    const { witness } = this.#host;
    const isNew = kind === "CREATE";
    const name = isNew ? `subject-${++this.#made}` : this.#subject.name;
    const startsBefore = await witness.starts(name);
    const stateBefore = await witness.state(name);
    const begun = await this.#host.begin(mutation(kind, name, { gracefulSeconds: gracefully ? 1 : 0 }));
    const end = await this.#host.ended(begun, END_WITHIN_MS);
    if (!end.done) this.#run.violation(`no end: ${this.#host.describe(end)}`);
    await eventually(() => this.#host.proxy.held === 0, { what: "late effects", timeoutMs: 60_000 });
    await pause(300);
    const state = await witness.state(name);
    const starts = (await witness.starts(name)) - startsBefore;
    const volumes = (await witness.volumes()).filter((volume) => volume.includes(begun.vmId)).length;
    const found = `virsh says ${state ?? "no domain"}, ${volumes} volumes, ${starts} starts`;
    this.#run.demand(
      isRight(kind, end, { state, stateBefore, starts, volumes }),
      `${this.#host.describe(end)}, but ${found}`,
    );
    if (isNew && state !== undefined) this.#toDelete.push(begun.vmId);
    if (kind !== "DELETE") return;
    if (state !== undefined) this.#toDelete.push(begun.vmId);
    this.#isSubjectGone = true;
  }

  /** Everything works again after the fault, and nothing of a deleted VM remains. */
  async #restore(): Promise<void> {
    for (const vmId of this.#toDelete.splice(0)) await this.#host.succeeds(mutation("DELETE", vmId));
    if (this.#isSubjectGone) {
      const left = (await this.#host.witness.volumes()).filter((volume) =>
        volume.includes(this.#subject.vmId),
      );
      this.#run.demand(left.length === 0, `volumes left of a deleted VM: ${left.join()}`);
      this.#subject = await this.#create("subject");
      this.#isSubjectGone = false;
    }
  }

  /** Changes by another client, which the agent has to detect. */
  async #observe(): Promise<void> {
    const { name } = this.#subject;
    await this.#host.witness.virsh("suspend", name);
    await pause(1500);
    await this.#host.witness.virsh("resume", name);
  }

  /** The agent's list equals virsh's. */
  async #settled(): Promise<void> {
    const states = await this.#host.witness.states();
    try {
      await this.#host.untilListed(
        (vms) =>
          vms.length === states.size &&
          vms.every(({ name, state }) => state === stateWord(states.get(name) ?? "nothing")),
        JSON.stringify([...states]),
      );
    } catch (thrown) {
      const { vms, observation } = await this.#host.list();
      const seen = vms.map((vm) => `${vm.name} ${vm.state}`).join();
      this.#run.violation(`${String(thrown)}; it sees ${seen} (${observation?.presence})`);
    }
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
