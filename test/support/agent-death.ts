import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentProcessOptions } from "./agent-process.ts";

/** Kills an agent at a boundary of its journal: see faults/die-at-boundary.mjs. */
export class AgentDeath {
  readonly #directory: string;

  static async make(): Promise<AgentDeath> {
    return new AgentDeath(await mkdtemp(join(tmpdir(), "socle-death-")));
  }

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** For the agent that is to die. */
  get agentOptions(): AgentProcessOptions {
    const hook = new URL("../faults/die-at-boundary.mjs", import.meta.url).href;
    return { nodeOptions: ["--import", hook], environment: { SOCLE_DEATH: this.#file } };
  }

  /** Of the next operation or reservation that begins, and of what follows it. */
  async setAt(boundary: number): Promise<void> {
    await writeFile(this.#file, String(boundary));
  }

  /** The agent lives. Returns whether an operation or reservation has durably begun since. */
  async awaitBegin(): Promise<() => boolean> {
    await writeFile(this.#file, "begin");
    return () => !existsSync(this.#file);
  }

  /** A boundary that is being counted to stays until the agent ends. */
  async unset(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  async stop(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #file(): string {
    return join(this.#directory, "boundary");
  }
}
