import { setTimeout as pause } from "node:timers/promises";
import type { AgentDeath } from "../support/agent-death.ts";
import { eventually } from "../support/wait.ts";
import type { ChainAct } from "./chain-victim.ts";
import type { Change } from "./device-victim.ts";
import type { Kind, FaultyHost } from "./host.ts";
import type { VolumeAct } from "./interrupted-volume.ts";
import type { Watch } from "./watch.ts";

/** The phases in which the agent is killed. */
export type Act = Kind | Change | ChainAct | VolumeAct | "RESTORE" | "RESERVE" | "IMPORT" | "RACE";

const ways = ["journal", "call", "moment", "stop"] as const;
type Way = (typeof ways)[number];

/** Longer than any operation here. */
const MOMENT_MS = 600;

/** A prepared kill of the agent. */
export interface Trap {
  readonly what: string;
  /** Resolves once the agent is dead; an agent that passed the trap is killed when `over` resolves. */
  spring(over: Promise<unknown>): Promise<void>;
}

/** Kills the agent in different ways, each time a little later in the operation. */
export class Killer {
  readonly deaths: Record<Way, number> = { journal: 0, call: 0, moment: 0, stop: 0 };
  /** The number of journal boundaries of each kind of operation, once known. */
  readonly boundaries: Partial<Record<Act, number>> = {};
  readonly #host: FaultyHost;
  readonly #watch: Watch;
  readonly #death: AgentDeath;
  readonly #tries = new Map<Act, number>();
  /** The next position, by way of killing and kind of operation. */
  readonly #depth = new Map<string, number>();

  constructor(host: FaultyHost, watch: Watch, death: AgentDeath) {
    this.#host = host;
    this.#watch = watch;
    this.#death = death;
  }

  /** Call it before the operation starts. */
  async set(kind: Act): Promise<Trap> {
    const tries = this.#tries.get(kind) ?? 0;
    this.#tries.set(kind, tries + 1);
    const way = ways[tries % ways.length] as Way;
    const depth = this.#depth.get(`${way} ${kind}`) ?? 0;
    this.#depth.set(`${way} ${kind}`, depth + 1);
    switch (way) {
      case "journal":
        return await this.#atBoundary(kind, depth);
      case "call":
        return await this.#atCall(kind, depth);
      case "moment":
        return this.#atMoment("SIGKILL");
      case "stop":
        return this.#atMoment("SIGTERM");
    }
  }

  async revive(): Promise<void> {
    await this.#host.agent.kill();
    await this.#death.unset();
    await this.#host.startAgain();
    this.#watch.agentIsUp(true);
  }

  async #atBoundary(kind: Act, depth: number): Promise<Trap> {
    // Its callers lose it at a moment that is not known here.
    this.#watch.agentIsUp(false);
    await this.#death.setAt(depth);
    return {
      what: `at boundary ${depth} of the journal`,
      spring: async (over) => {
        if (!(await this.#isPast(over))) {
          this.deaths.journal += 1;
          return;
        }
        this.boundaries[kind] = Math.max(this.boundaries[kind] ?? 0, depth);
        this.#depth.delete(`journal ${kind}`);
      },
    };
  }

  async #atCall(kind: Act, depth: number): Promise<Trap> {
    // A call that another operation, or the agent itself, has left to do is not its own.
    const since = await this.#death.awaitBegin();
    const at = depth % 2 === 0 ? "call" : "reply";
    const skip = Math.floor(depth / 2);
    const rule = this.#host.proxy.add({
      lane: "command",
      since,
      skip,
      times: 1,
      fault: { kind: "notify", at, act: () => this.#kill("SIGKILL") },
    });
    return {
      what: `${at === "call" ? "before" : "after"} its call ${skip + 1}`,
      spring: async (over) => {
        await this.#isPast(over);
        if (rule.struck === 0) this.#depth.delete(`call ${kind}`);
        else this.deaths.call += 1;
        this.#host.proxy.remove(rule);
      },
    };
  }

  #atMoment(signal: "SIGKILL" | "SIGTERM"): Trap {
    const ms = Math.floor(Math.random() * MOMENT_MS);
    return {
      what: `${signal} after ${ms} ms`,
      spring: async (over) => {
        await Promise.race([pause(ms), over]);
        await this.#kill(signal);
        this.deaths[signal === "SIGKILL" ? "moment" : "stop"] += 1;
      },
    };
  }

  /** Whether the operation ended before the agent died; the agent is then killed. */
  async #isPast(over: Promise<unknown>): Promise<boolean> {
    let isOver = false;
    void over.then(() => (isOver = true));
    const { pid } = this.#host.agent;
    const what = "the agent's end";
    await eventually(() => isOver || !isAlive(pid), { what, timeoutMs: 60_000, intervalMs: 5 });
    const isPast = isAlive(pid);
    await this.#kill("SIGKILL");
    return isPast;
  }

  async #kill(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#watch.agentIsUp(false);
    const { agent } = this.#host;
    if (signal === "SIGKILL") {
      await agent.kill();
      return;
    }
    const code = await agent.terminate(60_000);
    if (code !== 0) throw new Error(`the agent did not stop in order (${code}): ${agent.output()}`);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
