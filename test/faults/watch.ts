import { connect, type Agent } from "../../agent/cli/client.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { median } from "../bench/statistics.ts";
import type { CampaignRun } from "./campaign.ts";
import type { SufferingHost } from "./host.ts";

const LOOK_EVERY_MS = 100;
/**
 * Reads are answered from memory: an answer that takes so many times the usual one has waited for something. Time in which the
 * agent or the client was ready to run and had no processor is not counted.
 */
export const LATE_TIMES = 100;
/** Where the machine stood still for a moment an answer is late all the same: one in so many may be. */
const LATE_ONE_IN = 100;
const AGAIN_MS = 200;

const isEnd = (state: string): boolean => state === "VM_STATE_STOPPED" || state === "VM_STATE_CRASHED";

/** Numbers have no gaps but those that a crash leaves, and that the event behind them names. */
function isNext({ sequence, reason, details }: Event__Output, after: number): boolean {
  if (sequence === after + 1) return true;
  const isNamed = reason === "EVENTS_LOST" && Number(details["lost_from"]) <= after + 1;
  return isNamed && Number(details["lost_to"]) === sequence - 1;
}

/**
 * Looks at the agent all the time, as its users do: asks for the list, follows the events. Every wrong word about a VM
 * that lives is a violation, and so is an answer that does not come.
 */
export class Watch {
  readonly events: Event__Output[] = [];
  /** How long answers took, less what the machine kept from running. */
  readonly latenciesMs: number[] = [];
  /** How long they took in all. */
  readonly #tookMs: number[] = [];
  /** Ids of the VMs that live, whatever happens. */
  readonly #alive = new Set<string>();
  /** Those that the last look found to be listed wrongly: said once, however long it lasts. */
  readonly #wronged = new Set<string>();
  readonly #run: CampaignRun;
  readonly #host: SufferingHost;
  readonly #end = new AbortController();
  readonly #done: Promise<unknown>;
  /** While the agent itself is down nobody expects an answer of it. */
  #isAgentUp = true;

  constructor(run: CampaignRun, host: SufferingHost) {
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

  /** One that is not in a list is only said to be gone where the list is whole. */
  #check(vms: readonly Vm__Output[], isWhole: boolean): void {
    for (const id of this.#alive) {
      const vm = vms.find(({ vmId }) => vmId === id);
      const wrong =
        vm === undefined
          ? isWhole && "is not in a list that is called complete"
          : isEnd(vm.state) && `is listed as ${vm.state} ${vm.stateReason}`;
      if (wrong !== false && !this.#wronged.has(id)) this.#run.violation(`VM ${id} lives and ${wrong}`);
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
        // The agent was killed; its next life has the events.
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
    if (kind === "EVENT_KIND_VM_REMOVED") this.#run.violation(`VM ${vmId} lives and was told to be gone`);
    if (kind === "EVENT_KIND_VM_STATE_CHANGED" && isEnd(vmState))
      this.#run.violation(`VM ${vmId} lives and was told to be ${vmState} ${reason}`);
  }

  #rest(ms: number): Promise<void> {
    return systemClock.sleep(ms, this.#end.signal).catch(() => undefined);
  }
}
