import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import type { CampaignRun } from "./campaign.ts";
import { mutation, type FaultyHost } from "./host.ts";
import type { Watch } from "./watch.ts";
import { isSame, type GuestProcess } from "./witness.ts";

/** Few cores: more concurrent starts of QEMU take longer in total. */
const STARTS_AT_ONCE = 2;

export interface Guest {
  readonly name: string;
  readonly vmId: string;
}

/** Guests that must survive everything, checked by their processes. */
export class Crowd {
  readonly guests: readonly Guest[];
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #watch: Watch;
  readonly #processes = new Map<string, GuestProcess>();

  static async start(run: CampaignRun, host: FaultyHost, watch: Watch, count: number): Promise<Crowd> {
    const names = Array.from({ length: count }, (_, index) => `guest-${index}`);
    const guests: Guest[] = [];
    const starter = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        const { vmId } = await host.succeeds(mutation("CREATE", name));
        guests.push({ name, vmId });
      }
    };
    await Promise.all(Array.from({ length: STARTS_AT_ONCE }, starter));
    const crowd = new Crowd(run, host, watch, guests);
    for (const guest of guests) await crowd.mustLive(guest);
    return crowd;
  }

  private constructor(run: CampaignRun, host: FaultyHost, watch: Watch, guests: readonly Guest[]) {
    this.#run = run;
    this.#host = host;
    this.#watch = watch;
    this.guests = guests;
  }

  async processOf(vmId: string): Promise<GuestProcess> {
    const process = await this.#host.witness.process(vmId);
    if (process === undefined) throw new Error(`there is no QEMU of VM ${vmId}`);
    return process;
  }

  /** The ids of the guests that must survive. */
  get pids(): readonly number[] {
    return [...this.#processes.values()].map(({ pid }) => pid);
  }

  /** Checks that every guest runs on in its first process. */
  async check(): Promise<void> {
    for (const [vmId, process] of this.#processes) {
      const now = await this.#host.witness.process(vmId);
      this.#run.demand(isSame(process, now), `the process of VM ${vmId} ended or was replaced`);
    }
  }

  /** Exempts a guest that another client may end now. */
  mayEnd({ vmId }: Guest): void {
    this.#processes.delete(vmId);
    this.#watch.mayEnd(vmId);
  }

  /** The guest must survive again from now on; starts it if it ended. */
  async mustLive({ name, vmId }: Guest): Promise<void> {
    if ((await this.#host.witness.state(name)) !== "running")
      await this.#host.succeeds(mutation("START", vmId));
    this.#processes.set(vmId, await this.processOf(vmId));
    this.#watch.mustLive(vmId);
  }

  async clear(): Promise<void> {
    for (const { vmId } of this.guests) this.#watch.mayEnd(vmId);
    await this.#host.untilListed();
    for (const { vmId } of (await this.#host.list()).vms) await this.#host.succeeds(mutation("DELETE", vmId));
  }
}

export const find = (vms: readonly Vm__Output[], id: string): Vm__Output | undefined =>
  vms.find(({ vmId }) => vmId === id);
