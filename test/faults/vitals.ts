import { readdir, readFile, rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../support/wait.ts";
import type { AgentProcess } from "../support/agent-process.ts";
import type { CampaignRun } from "./campaign.ts";

const SAMPLES = 8;
const SAMPLE_EVERY_MS = 500;
const SETTLES_WITHIN_MS = 60_000;

interface Mark {
  readonly rss: number;
  readonly heapUsed: number;
  readonly resources: Readonly<Record<string, number>>;
}

/** An agent's resources: memory over time; descriptors and active Node resources at rest. */
export class Vitals {
  /** The environment for the agent's start. */
  static readonly nodeOptions: readonly string[] = [
    "--expose-gc",
    "--import",
    new URL("report-vitals.mjs", import.meta.url).href,
  ];
  readonly #rss: number[] = [];
  readonly #run: CampaignRun;
  readonly #agent: AgentProcess;
  readonly #path: string;

  /** `path`: SOCLE_VITALS of the agent's environment. */
  constructor(run: CampaignRun, agent: AgentProcess, path: string) {
    this.#run = run;
    this.#agent = agent;
    this.#path = path;
  }

  /** Collects garbage and records the remaining memory. */
  async mark(): Promise<Mark> {
    await rm(this.#path, { force: true });
    this.#agent.signal("SIGUSR2");
    const text = await eventually(() => readFile(this.#path, "utf8").catch(() => undefined), {
      what: "the agent to write its vitals",
      timeoutMs: 60_000,
    });
    const mark = JSON.parse(text) as Mark;
    this.#rss.push(mark.rss);
    return mark;
  }

  /** The median of the last third of the marks relative to the middle third's; the first third is the warm-up. */
  get growth(): { readonly fromMiB: number; readonly toMiB: number; readonly percent: number } {
    const third = Math.floor(this.#rss.length / 3);
    const from = median(this.#rss.slice(third, 2 * third));
    const to = median(this.#rss.slice(2 * third));
    const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
    return { fromMiB: mib(from), toMiB: mib(to), percent: Math.round((to / from - 1) * 1000) / 10 };
  }

  /** The maximum of each resource at rest: descriptors, and Node's resources by kind. */
  async atRest(): Promise<Map<string, number>> {
    const most = new Map<string, number>();
    for (let left = SAMPLES; left > 0; left -= 1) {
      for (const [what, count] of await this.#held()) most.set(what, Math.max(most.get(what) ?? 0, count));
      await pause(SAMPLE_EVERY_MS);
    }
    return most;
  }

  /** No resource may remain that did not exist before; pending ones have a minute. */
  async mustNotExceed(before: ReadonlyMap<string, number>): Promise<void> {
    let more: string[] = [];
    const isBack = async (): Promise<boolean> => {
      more = [...(await this.#held())].flatMap(([what, count]) =>
        count > (before.get(what) ?? 0) ? [`${count} ${what}, ${before.get(what) ?? 0} before`] : [],
      );
      return more.length === 0;
    };
    try {
      await eventually(isBack, { what: "rest", timeoutMs: SETTLES_WITHIN_MS, intervalMs: SAMPLE_EVERY_MS });
    } catch {
      this.#run.violation(`the agent holds more than before: ${more.join("; ")}`);
    }
  }

  async #held(): Promise<[string, number][]> {
    const { resources } = await this.mark();
    const descriptors = (await readdir(`/proc/${this.#agent.pid}/fd`)).length;
    return [...Object.entries(resources), ["descriptors", descriptors]];
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
