import { readdir, readFile } from "node:fs/promises";
import { status } from "@grpc/grpc-js";
import { systemClock } from "../../agent/kernel/clock.ts";
import { eventually } from "../support/wait.ts";
import type { Issued } from "../scheduler/authority.ts";
import type { Caller } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import { isSame } from "./witness.ts";

const LOOK_EVERY_MS = 250;
/** A generous bound for a busy machine; reads are answered from memory. */
const ANSWER_WITHIN_MS = 20_000;
/** A new connection among thousands of others may need a retry. */
const CONNECTED_WITHIN_MS = 60_000;
/** All listeners' connections, handshakes, and the agent's own: connection-limits.ts, tls-listener.ts, http/server.ts. */
const MOST_DESCRIPTORS = 1000;
const MOST_RSS_MIB = 600;

/**
 * The other users of an attacked host: a legitimate client whose reads and scrapes are always answered, over its connection and
 * over new ones; guests that run on; an agent that neither restarts nor grows.
 */
export class Bystander {
  readonly #stage: Stage;
  readonly #issued: Issued;
  readonly #caller: Caller;
  readonly #pid: number;
  readonly #end = new AbortController();
  #done: Promise<unknown> = Promise.resolve();
  #reads = 0;
  #slowestMs = 0;
  #slowestScrapeMs = 0;
  #mostDescriptors = 0;
  #mostRssMiB = 0;

  static async start(stage: Stage): Promise<Bystander> {
    const bystander = new Bystander(stage, await stage.authority.issue("viewer/proper"));
    await bystander.#ask(bystander.#caller);
    bystander.#done = Promise.all([
      bystander.#forEver("a read", () => bystander.#ask(bystander.#caller)),
      bystander.#forEver("a scrape", () => bystander.#scrape()),
      bystander.#forEver("a new connection", () => bystander.#connectAnew()),
      bystander.#forEver("a look at the process", () => bystander.#measure()),
    ]);
    stage.run.cleanUp(() => bystander.#stop());
    return bystander;
  }

  private constructor(stage: Stage, issued: Issued) {
    this.#stage = stage;
    this.#issued = issued;
    this.#caller = stage.callerOf(issued);
    this.#pid = stage.host.agent.pid;
  }

  /** Checks that the guests run on in their first processes. */
  async checkGuests(): Promise<void> {
    const { run, bystanders, host } = this.#stage;
    for (const [vmId, process] of bystanders)
      run.demand(
        isSame(process, await host.witness.process(vmId)),
        `the process of VM ${vmId} ended or was replaced`,
      );
    run.demand(host.agent.pid === this.#pid, "the agent restarted");
  }

  async end(): Promise<Readonly<Record<string, number>>> {
    await this.#stop();
    const { run } = this.#stage;
    run.demand(
      this.#mostDescriptors <= MOST_DESCRIPTORS,
      `the agent had ${this.#mostDescriptors} descriptors open`,
    );
    run.demand(this.#mostRssMiB <= MOST_RSS_MIB, `the agent took ${this.#mostRssMiB} MiB`);
    return {
      reads: this.#reads,
      slowestMs: Math.round(this.#slowestMs),
      slowestScrapeMs: Math.round(this.#slowestScrapeMs),
      mostDescriptors: this.#mostDescriptors,
      mostRssMiB: this.#mostRssMiB,
    };
  }

  async #stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
    this.#caller.close();
  }

  async #forEver(what: string, look: () => Promise<void>): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await look();
      } catch (thrown) {
        this.#stage.run.violation(`${what} of a legitimate client: ${String(thrown)}`);
      }
      await systemClock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
    }
  }

  async #ask(caller: Caller): Promise<void> {
    const { host, contract } = this.#stage;
    for (const { path } of [contract.host.GetHost, contract.vms.ListVms]) {
      const { answer, ownMs } = await host.timed(() =>
        caller.call(path, Buffer.alloc(0), { timeoutMs: ANSWER_WITHIN_MS }),
      );
      if (answer.code !== status.OK)
        throw new Error(`${path} answers ${status[answer.code]}: ${answer.message}`);
      this.#reads += 1;
      this.#slowestMs = Math.max(this.#slowestMs, ownMs);
    }
  }

  async #connectAnew(): Promise<void> {
    await eventually(
      async () => {
        const caller = this.#stage.callerOf(this.#issued);
        try {
          await this.#ask(caller);
          return true;
        } finally {
          caller.close();
        }
      },
      { what: "a new connection to be accepted", timeoutMs: CONNECTED_WITHIN_MS, intervalMs: 50 },
    );
  }

  async #scrape(): Promise<void> {
    const startMs = performance.now();
    await eventually(
      async () => {
        const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
        const headers = { connection: "close" };
        const response = await fetch(`http://${this.#stage.host.agent.metricsAddress}/metrics`, {
          signal,
          headers,
        });
        return response.status === 200 && (await response.text()).includes("socle_vm");
      },
      { what: "a scrape", timeoutMs: ANSWER_WITHIN_MS, intervalMs: 50 },
    );
    this.#slowestScrapeMs = Math.max(this.#slowestScrapeMs, performance.now() - startMs);
  }

  async #measure(): Promise<void> {
    const [descriptors, text] = await Promise.all([
      readdir(`/proc/${this.#pid}/fd`),
      readFile(`/proc/${this.#pid}/status`, "utf8"),
    ]);
    this.#mostDescriptors = Math.max(this.#mostDescriptors, descriptors.length);
    const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]);
    this.#mostRssMiB = Math.max(this.#mostRssMiB, Math.round(kib / 1024));
  }
}
