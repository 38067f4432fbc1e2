import type { Host__Output } from "../../agent/gen/socle/v1/Host.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { parseVmDomain } from "../../agent/vm/model/vm-domain.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";
import type { GrantedReservation, GrantedReservations } from "./granted-reservations.ts";

const LOOK_EVERY_MS = 50;

interface Capacity {
  readonly cpu: number;
  readonly memory: number;
}

/**
 * Checks continuously for overcommitted capacity: by the agent's own report, and independently by adding up libvirt's
 * domains and the schedulers' reservations.
 */
export class OverbookWatch {
  looks = 0;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #grants: GrantedReservations;
  readonly #end = new AbortController();
  readonly #done: Promise<unknown>;
  /** The total capacity. */
  #sold: Capacity | undefined;

  constructor(run: CampaignRun, host: FaultyHost, grants: GrantedReservations) {
    this.#run = run;
    this.#host = host;
    this.#grants = grants;
    this.#done = Promise.all([this.#forEver(() => this.#askAgent()), this.#forEver(() => this.#addUp())]);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  /** Reservations from before the agent's death are held after it. */
  async checkAfterDeath(): Promise<void> {
    const before = this.#grants.current();
    const { reservations } = await this.#host.client.ask(
      this.#host.client.contract.reservations.ListReservations,
      { pageSize: 1000 },
    );
    // A reservation that ended or was consumed during the list is not in both.
    const now = new Set(this.#grants.current());
    const lost = before.filter((granted) => now.has(granted) && !isIn(granted, reservations));
    for (const { id } of lost) this.#run.violation(`reservation ${id} was lost with the agent`);
  }

  /** Checks that all capacity is free at the end. */
  async checkEmpty(): Promise<void> {
    const left = async (): Promise<string[]> => {
      const rows = rowsOf(await this.#hostNow());
      // Unknown is not free.
      return rows
        .filter(({ allocated = 1, claimed }) => allocated + claimed > 0)
        .map(({ resource }) => resource);
    };
    try {
      await eventually(async () => (await left()).length === 0, {
        what: "all capacity to be free",
        timeoutMs: 90_000,
      });
    } catch {
      this.#run.violation(`without VMs and reservations, capacity is still taken: ${(await left()).join()}`);
    }
  }

  async #forEver(look: () => Promise<void>): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      // The agent is dead, or a domain was removed during the check: the next check decides.
      await look().then(
        () => (this.looks += 1),
        () => undefined,
      );
      await systemClock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
    }
  }

  #hostNow(): Promise<Host__Output> {
    return this.#host.client.ask(this.#host.client.contract.host.GetHost, {});
  }

  async #askAgent(): Promise<void> {
    const rows = rowsOf(await this.#hostNow());
    for (const { resource, allocated = 0, claimed, available, ...of } of rows) {
      const sold = Math.floor((of.total - of.reserved - of.unhealthy) * of.overcommitRatio);
      const isWrong = available !== undefined && available !== sold - allocated - claimed;
      if (allocated + claimed > sold || isWrong)
        this.#run.violation(`${resource}: ${allocated} allocated and ${claimed} claimed of ${sold}`);
    }
    const soldOf = (name: string): number =>
      rows.filter(({ resource }) => resource === name).reduce((sum, { max }) => sum + max, 0);
    this.#sold = { cpu: soldOf("cpu"), memory: soldOf("memory") };
  }

  async #addUp(): Promise<void> {
    const before = this.#grants.current();
    const names = [...(await this.#host.witness.states()).keys()];
    const dumps = await this.#host.witness.virsh(
      names.map((name) => `dumpxml --inactive ${name}`).join("; "),
    );
    const still = new Set(this.#grants.current());
    const granted = before.filter((each) => still.has(each));
    const domains = dumps
      .split(/(?=<domain )/)
      .filter((xml) => xml.startsWith("<domain "))
      .map(parseVmDomain);
    const owners = new Map<number, string>();
    let cpu = 0;
    let memory = 0;
    const take = (who: string, size: Pick<GrantedReservation, "vcpus" | "memoryBytes" | "cpus">): void => {
      memory += size.memoryBytes;
      if (size.cpus.length === 0) cpu += size.vcpus;
      for (const each of size.cpus) {
        if (owners.has(each)) this.#run.violation(`CPU ${each} belongs to ${owners.get(each)} and ${who}`);
        owners.set(each, who);
      }
    };
    for (const { name, vcpus, memoryBytes, cpuTune } of domains) {
      const cpus = (cpuTune?.vcpuPins ?? []).flatMap(({ cpuSet }) => cpuSet);
      take(`VM ${name}`, { vcpus: vcpus.max, memoryBytes, cpus });
    }
    for (const each of granted) take(`reservation ${each.id}`, each);
    if (this.#sold === undefined) return;
    const { cpu: cpus, memory: bytes } = this.#sold;
    if (cpu > cpus) this.#run.violation(`${cpu} vCPUs of ${cpus} are allocated`);
    if (memory > bytes) this.#run.violation(`${memory} bytes of ${bytes} are allocated`);
  }
}

const rowsOf = (host: Host__Output) => (host.capacity?.cells ?? []).flatMap(({ resources }) => resources);

const isIn = (
  { id }: GrantedReservation,
  reservations: readonly { readonly reservationId: string }[],
): boolean => reservations.some(({ reservationId }) => reservationId === id);
