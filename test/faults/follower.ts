import { connect, type Agent } from "../../agent/cli/client.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";
import { stateWord } from "./outcome-check.ts";

const KNOWN_WITHIN_MS = 30_000;

/**
 * Tracks all VMs like a correct client: from events, with a new list after a reported loss. If the result is wrong in the
 * end, an event was lost without a report.
 */
export class Follower {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  #states = new Map<string, string>();

  constructor(run: CampaignRun, host: FaultyHost) {
    this.#run = run;
    this.#host = host;
    this.#done = this.#follow();
  }

  /** `truth`: virsh's states by name. */
  async check(truth: ReadonlyMap<string, string>): Promise<void> {
    const wanted = [...truth].map(([name, state]) => `${name} ${stateWord(state)}`).sort();
    const isTrue = (): boolean => JSON.stringify(this.#picture()) === JSON.stringify(wanted);
    try {
      await eventually(isTrue, { what: "all events to arrive", timeoutMs: KNOWN_WITHIN_MS });
    } catch {
      this.#run.violation(`events made it ${this.#picture().join(", ")}; it is ${wanted.join(", ")}`);
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  #picture(): string[] {
    return [...this.#states].map(([name, state]) => `${name} ${state}`).sort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#end;
    const path = this.#host.agent.socketPath;
    let client: Agent | undefined;
    try {
      client = await connect({ kind: "socket", path }, protoDirectory, signal);
      const events = client.watch(client.contract.events.Subscribe, { fromNow: true });
      const first = events.next();
      await this.#list(client);
      for (let next = await first; next.done !== true; next = await events.next()) {
        if (next.value.kind === "EVENT_KIND_RESYNC") await this.#list(client);
        else this.#take(next.value);
      }
    } catch (thrown) {
      if (!signal.aborted) this.#run.violation(`the events ended: ${String(thrown)}`);
    } finally {
      client?.close();
    }
  }

  async #list(client: Agent): Promise<void> {
    const { signal } = this.#end;
    for (;;) {
      const { vms, observation } = await client.ask(client.contract.vms.ListVms, { pageSize: 1000 });
      if (observation?.presence === "PRESENCE_PRESENT") {
        this.#states = new Map(vms.map(({ name, state }) => [name, state]));
        return;
      }
      await systemClock.sleep(100, signal);
    }
  }

  #take({ kind, vmName, vmState }: Event__Output): void {
    if (kind === "EVENT_KIND_VM_REMOVED") this.#states.delete(vmName);
    const isState =
      kind === "EVENT_KIND_VM_DEFINED" ||
      kind === "EVENT_KIND_VM_STATE_CHANGED" ||
      kind === "EVENT_KIND_VM_PANICKED";
    if (isState) this.#states.set(vmName, vmState);
  }
}
