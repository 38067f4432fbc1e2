import { connect, type Agent } from "../../agent/cli/client.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { median } from "../bench/statistics.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";

const LOOK_EVERY_MS = 100;
/**
 * Reads are answered from memory: a latency of so many times the usual one means that the read waited. The agent's and the
 * client's wait for a processor is not counted.
 */
export const LATE_TIMES = 100;
/** One in so many replies may be late, since the whole machine may stall for a moment. */
const LATE_ONE_IN = 100;
const AGAIN_MS = 200;

const isEnd = (state: string): boolean => state === "VM_STATE_STOPPED" || state === "VM_STATE_CRASHED";

/** Numbers have gaps only after a crash, and the event after a gap names it. */
function isNext({ sequence, reason, details }: Event__Output, after: number): boolean {
  if (sequence === after + 1) return true;
  const isNamed = reason === "EVENTS_LOST" && Number(details["lost_from"]) <= after + 1;
  return isNamed && Number(details["lost_to"]) === sequence - 1;
}

/**
 * Observes the agent continuously like a user: reads the list, follows the events. Every false statement about a VM that
 * runs is a violation, and so is a missing reply.
 */
export class Watch {
  readonly events: Event__Output[] = [];
  /** Latencies without the wait for a processor. */
  readonly latenciesMs: number[] = [];
  /** Total latencies. */
  readonly #tookMs: number[] = [];
  /** The ids of the VMs that always run. */
  readonly #alive = new Set<string>();
  /** VMs that the last check found in a wrong state; each is reported once. */
  readonly #wronged = new Set<string>();
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #end = new AbortController();
  readonly #done: Promise<unknown>;
  /** While the agent is down, no reply is expected. */
  #isAgentUp = true;

  constructor(run: CampaignRun, host: FaultyHost) {
    this.#run = run;
    this.#host = host;
    this.#done = Promise.all([this.#look(), this.#follow()]);
    run.keep(this);
  }

  mustLive(vmId: string): void {
    this.#alive.add(vmId);
  }

  mayEnd(vmId: string): void {
    this.#alive.delete(vmId);
  }

  agentIsUp(isUp: boolean): void {
    this.#isAgentUp = isUp;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
    this.#judgeLatencies();
  }

  async #look(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const wasUp = this.#isAgentUp;
      try {
        const { answer, ownMs, tookMs } = await this.#host.timed(() => this.#host.list());
        if (this.#isAgentUp) {
          this.latenciesMs.push(ownMs);
          this.#tookMs.push(tookMs);
        }
        const { vms, observation } = answer;
        this.#check(vms, observation?.presence === "PRESENCE_PRESENT");
      } catch (thrown) {
        if (wasUp && this.#isUp()) this.#run.violation(`ListVms was not answered: ${String(thrown)}`);
      }
      await this.#rest(LOOK_EVERY_MS);
    }
  }

  #isUp(): boolean {
    return this.#isAgentUp && !this.#end.signal.aborted;
  }

  /** A VM that is missing from a list counts as absent only if the list is complete. */
  #check(vms: readonly Vm__Output[], isWhole: boolean): void {
    for (const id of this.#alive) {
      const vm = vms.find(({ vmId }) => vmId === id);
      const wrong =
        vm === undefined
          ? isWhole && "is missing from a complete list"
          : isEnd(vm.state) && `is listed as ${vm.state} ${vm.stateReason}`;
      if (wrong !== false && !this.#wronged.has(id)) this.#run.violation(`VM ${id} runs and ${wrong}`);
      if (wrong === false) this.#wronged.delete(id);
      else this.#wronged.add(id);
    }
  }

  #judgeLatencies(): void {
    const all = this.latenciesMs;
    if (all.length === 0) return;
    const usualMs = median(this.#tookMs);
    const late = all.filter((ms) => ms > LATE_TIMES * usualMs).map(Math.round);
    this.#run.demand(
      late.length <= Math.ceil(all.length / LATE_ONE_IN),
      `${late.length} of ${all.length} answers of ListVms took ${late.join(", ")} ms, the usual one ${usualMs.toFixed(1)} ms`,
    );
  }

  /** All events, across the agent's restarts. */
  async #follow(): Promise<void> {
    const { signal } = this.#end;
    let after = 0;
    while (!signal.aborted) {
      let client: Agent | undefined;
      try {
        const path = this.#host.agent.socketPath;
        client = await connect({ kind: "socket", path }, protoDirectory, signal);
        for await (const event of client.watch(client.contract.events.Subscribe, { afterSequence: after })) {
          this.#run.demand(isNext(event, after), `event ${event.sequence} follows event ${after}`);
          after = event.sequence;
          this.#take(event);
        }
      } catch {
        // The agent was killed; the restarted one has the events.
      } finally {
        client?.close();
      }
      await this.#rest(AGAIN_MS);
    }
  }

  #take(event: Event__Output): void {
    this.events.push(event);
    if (!this.#alive.has(event.vmId)) return;
    const { kind, vmId, vmState, reason } = event;
    if (kind === "EVENT_KIND_VM_REMOVED") this.#run.violation(`VM ${vmId} runs and was reported as removed`);
    if (kind === "EVENT_KIND_VM_STATE_CHANGED" && isEnd(vmState))
      this.#run.violation(`VM ${vmId} runs and was reported as ${vmState} ${reason}`);
  }

  #rest(ms: number): Promise<void> {
    return systemClock.sleep(ms, this.#end.signal).catch(() => undefined);
  }
}
