import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentProcess, AgentProcessOptions } from "../support/agent-process.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";

/** An agent's view of the wall clock; the machine's real clock does not change. */
export class SteppedClock {
  readonly #file: string;
  #offsetMs = 0;

  static async make(run: CampaignRun): Promise<SteppedClock> {
    const directory = await mkdtemp(join(tmpdir(), "socle-clock-"));
    run.cleanUp(() => rm(directory, { recursive: true, force: true }));
    const clock = new SteppedClock(join(directory, "offset"));
    await clock.stepWhileDown(0);
    return clock;
  }

  private constructor(file: string) {
    this.#file = file;
  }

  get agentOptions(): AgentProcessOptions {
    const hook = new URL("shift-clock.mjs", import.meta.url).href;
    return { nodeOptions: ["--import", hook], environment: { SOCLE_CLOCK_OFFSET: this.#file } };
  }

  /** Resolves once the agent uses it; a stopped agent uses it at its next start. */
  async step(agent: AgentProcess, ms: number): Promise<void> {
    await this.stepWhileDown(ms);
    try {
      agent.signal("SIGUSR2");
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ESRCH") return;
      throw thrown;
    }
    const applied = `${this.#file}.applied`;
    await eventually(async () => (await readFile(applied, "utf8")) === String(this.#offsetMs), {
      what: "the agent's clock to be stepped",
    });
  }

  /** For the agent's next start. */
  async stepWhileDown(ms: number): Promise<void> {
    this.#offsetMs += ms;
    await writeFile(this.#file, String(this.#offsetMs));
  }
}
