import { randomUUID } from "node:crypto";
import { connect, type Agent } from "../../agent/cli/client.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import type { Act } from "./tenants-act.ts";
import type { TenantsStage } from "./tenants-stage.ts";

/** Each is an event. A long run has more events than the log holds (EVENTS of the stage). */
const RESETS = 150;
/** One VM's budget of events: a burst, and one more per interval. */
const BUDGET = { burst: 60, refillMs: 10_000 };
/** Not caused by a guest, and limited by the quota of operations. */
const UNBUDGETED: ReadonlySet<Event__Output["kind"]> = new Set<Event__Output["kind"]>([
  "EVENT_KIND_VM_DEFINED",
  "EVENT_KIND_VM_REMOVED",
  "EVENT_KIND_OPERATION_ENDED",
]);

export const flooding: Act = {
  dimension: "events",
  what: "more resets of its VM than its budget of events",
  isAdmitted: true,
  async attack({ host }, { vm }) {
    // A paused guest resets faster.
    const resets = Array.from({ length: RESETS }, () => `reset ${vm.vmId}`);
    await host.witness.virsh([`suspend ${vm.vmId}`, ...resets, `resume ${vm.vmId}`].join("; "));
    return "inert";
  },
};

/** An operator who follows the event log while tenants attack, and reads it again afterwards. */
export class EventWitness {
  readonly #stage: TenantsStage;
  readonly #client: Agent;
  readonly #followed: Event__Output[] = [];
  #ended: string | undefined;

  static async start(stage: TenantsStage): Promise<EventWitness> {
    const over = new AbortController();
    const path = stage.host.agent.socketPath;
    const client = await connect({ kind: "socket", path }, protoDirectory, over.signal);
    stage.run.cleanUp(() => {
      over.abort();
      client.close();
      return Promise.resolve();
    });
    const witness = new EventWitness(stage, client);
    void witness.#follow();
    return witness;
  }

  private constructor(stage: TenantsStage, client: Agent) {
    this.#stage = stage;
    this.#client = client;
  }

  async #follow(): Promise<void> {
    try {
      for await (const event of this.#client.watch(this.#client.contract.events.Subscribe, {}))
        this.#followed.push(event);
      this.#ended = "the stream ended";
    } catch (thrown) {
      this.#ended = thrown instanceof Error ? thrown.message : String(thrown);
    }
  }

  /** The victim's events are all held, none is omitted, and no other VM exceeds its budget. */
  async check(operations: readonly string[], isFlooded: boolean): Promise<void> {
    const { run, victim } = this.#stage;
    const marker = await this.#marker();
    const followed = this.#followed;
    const isReported = (): boolean => this.#ended !== undefined || followed.some(endsOperation(marker));
    await eventually(isReported, { what: "the events to reach their follower" });
    if (this.#ended !== undefined) run.violation(`the follower's event stream ended: ${this.#ended}`);
    const held = await this.#heldUntil(marker);
    for (const [events, whose] of [
      [followed, "who followed"],
      [held, "who reads again"],
    ] as const)
      run.demand(isDense(events), `events are missing for ${whose}`);
    const isVictims = ({ vmId }: Event__Output): boolean => vmId === victim.vm.vmId;
    const sequences = new Set(held.map(({ sequence }) => sequence));
    const lost = followed.filter((event) => isVictims(event) && !sequences.has(event.sequence));
    run.demand(lost.length === 0, `${lost.length} events of the victim are displaced`);
    const unreported = operations.filter((id) => !held.some(endsOperation(id)));
    run.demand(unreported.length === 0, `the events lack ${unreported.length} of the victim's operations`);
    const changes = held.filter((event) => isVictims(event) && event.kind === "EVENT_KIND_VM_STATE_CHANGED");
    // Each of its operations pauses or resumes its VM, which is within the burst of its own budget.
    const expected = Math.min(operations.length, BUDGET.burst);
    run.demand(
      changes.length >= expected,
      `the victim has ${changes.length} changes of state of ${expected}`,
    );
    this.#checkBudgets(isFlooded);
  }

  #checkBudgets(isFlooded: boolean): void {
    const { run, victim } = this.#stage;
    const caused = new Map<string, number>();
    for (const { kind, vmId } of this.#followed)
      if (vmId !== "" && vmId !== victim.vm.vmId && !UNBUDGETED.has(kind))
        caused.set(vmId, (caused.get(vmId) ?? 0) + 1);
    const sinceMs = performance.now() - this.#stage.startedMs;
    const most = BUDGET.burst + Math.ceil(sinceMs / BUDGET.refillMs);
    for (const [vmId, events] of caused)
      run.demand(
        events <= most,
        `VM ${vmId} of a hostile tenant caused ${events} events, its budget is ${most}`,
      );
    const highest = Math.max(0, ...caused.values());
    run.demand(
      !isFlooded || highest >= BUDGET.burst,
      `at most ${highest} events of a VM: the try proves nothing`,
    );
  }

  /** A victim's operation whose end follows all earlier events. */
  async #marker(): Promise<string> {
    const { operator, contract, victim } = this.#stage;
    const resume = { requestId: randomUUID(), vm: victim.vm.vmId };
    const { operationId } = await operator.get(contract.vms.ResumeVm, resume);
    await this.#stage.ended(operationId);
    return operationId;
  }

  async #heldUntil(operationId: string): Promise<Event__Output[]> {
    const held: Event__Output[] = [];
    const isLast = endsOperation(operationId);
    for await (const event of this.#client.watch(this.#client.contract.events.Subscribe, {})) {
      held.push(event);
      if (isLast(event)) return held;
    }
    throw new Error("the stream of events ended");
  }
}

const endsOperation =
  (operationId: string) =>
  ({ kind, details }: Event__Output): boolean =>
    kind === "EVENT_KIND_OPERATION_ENDED" && details["operation"] === operationId;

const isDense = (events: readonly Event__Output[]): boolean =>
  events.every(({ sequence }, at) => sequence === (events[0]?.sequence ?? 0) + at);
