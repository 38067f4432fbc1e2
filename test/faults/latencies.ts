import { setTimeout as pause } from "node:timers/promises";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import type { CampaignRun } from "./campaign.ts";
import { allProcessorWaitMs } from "./processor-wait.ts";
import type { FaultyHost, Timed } from "./host.ts";

/** The interval of the agent's rounds. */
export const INTERVAL_MS = 2000;
/**
 * The maximum age of a responsive VM's data, without the time in which the agent, libvirt and the guests waited for a
 * processor: an interval, an attempt of the round that a hung guest spoils, and as much again for a busy machine. Each further
 * hung guest takes another attempt.
 */
export const OLD_MS = 3 * INTERVAL_MS;
const OLD_MS_BY_GUEST = 1500;
/** The window of the checked ages. */
const REMEMBER_MS = 120_000;

/** Latencies by call. */
export type Timings = Map<string, Omit<Timed<unknown>, "answer">[]>;

/** Reads everything continuously and checks the age of the data. */
export class LatencyMonitor {
  oldestMs = 0;
  wasPaused = false;
  #isPaused = false;
  #isOver = false;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #hung: ReadonlySet<string>;
  readonly #timings: Timings;
  readonly #old = new Set<string>();
  readonly #guestPids: readonly number[];
  /** The total wait for a processor, and the time of its reading. */
  readonly #waits: { readonly atMs: number; readonly ms: number }[] = [];
  readonly #done: Promise<void>;

  constructor(
    run: CampaignRun,
    host: FaultyHost,
    hung: ReadonlySet<string>,
    guestPids: readonly number[],
    timings: Timings,
  ) {
    this.#run = run;
    this.#host = host;
    this.#hung = hung;
    this.#guestPids = guestPids;
    this.#timings = timings;
    this.#done = this.#measure();
  }

  /** While the agent or libvirt is down: measures nothing, since no data is fresh. */
  pause(): void {
    this.#isPaused = this.wasPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #measure(): Promise<void> {
    while (!this.#isOver) {
      try {
        if (!this.#isPaused) await this.#ask();
      } catch (thrown) {
        if (!this.#isPaused) this.#run.violation(`no answer: ${String(thrown)}`);
      }
      await pause(100);
    }
  }

  async #ask(): Promise<void> {
    const { vms } = await this.#timed("list", () => this.#host.list());
    await this.#remember();
    this.#checkAges(vms);
    for (const id of this.#hung) await this.#timed("get", () => this.#host.get(id));
    await this.#timed("metrics", async () => {
      const response = await fetch(`http://${this.#host.agent.metricsAddress}/metrics`);
      return await response.text();
    });
  }

  #checkAges(vms: readonly Vm__Output[]): void {
    if (this.#isPaused) return;
    for (const vm of vms) {
      if (this.#hung.has(vm.vmId) || vm.stats === null) continue;
      const ageMs = this.#ageMs(sampledAtMs(vm));
      this.oldestMs = Math.max(this.oldestMs, ageMs);
      if (ageMs <= OLD_MS + (this.#hung.size - 1) * OLD_MS_BY_GUEST || this.#old.has(vm.vmId)) continue;
      this.#old.add(vm.vmId);
      this.#run.violation(`the data of ${vm.name}, which responds, is ${Math.round(ageMs)} ms old`);
    }
  }

  /** The wait for a processor of every process that takes part in a sample. */
  async #remember(): Promise<void> {
    const pids = [this.#host.agent.pid, await this.#host.libvirtd.pid(), ...this.#guestPids];
    const atMs = Date.now();
    this.#waits.push({ atMs, ms: allProcessorWaitMs(pids) });
    while ((this.#waits[0]?.atMs ?? Infinity) < atMs - REMEMBER_MS) this.#waits.shift();
  }

  #ageMs(sinceMs: number): number {
    const then = this.#waits.findLast(({ atMs }) => atMs <= sinceMs) ?? this.#waits[0];
    const processorWaitMs = (this.#waits.at(-1)?.ms ?? 0) - (then?.ms ?? 0);
    return Date.now() - sinceMs - Math.max(0, processorWaitMs);
  }

  async #timed<T>(what: string, ask: () => Promise<T>): Promise<T> {
    const { answer, ...timing } = await this.#host.timed(ask);
    if (this.#isPaused) return answer;
    const all = this.#timings.get(what) ?? [];
    all.push(timing);
    this.#timings.set(what, all);
    return answer;
  }
}

export function sampledAtMs(vm: Vm__Output | undefined): number {
  const at = vm?.stats?.sampledAt;
  return at == null ? 0 : at.seconds * 1000 + at.nanos / 1e6;
}
