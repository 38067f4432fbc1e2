import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { configSchema, type Config } from "../../agent/config/schema.ts";
import { spawnBound } from "./bound-child.ts";
import { freePort } from "./ports.ts";
import { socleCommand } from "./programs.ts";
import { eventually, within } from "./wait.ts";

const repository = join(import.meta.dirname, "../..");

type Partly<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [Key in keyof T]?: Partly<T[Key]> }
    : T;

export interface AgentProcessOptions {
  /** Changes of the defaults. The socket, state and metrics address are the agent's own unless given. */
  readonly config?: Partly<Config>;
  /** The bundle to run (dist/socle.js) in place of `socleCommand`. */
  readonly bundle?: string;
  readonly nodeOptions?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly startTimeoutMs?: number;
  /** The parent of its folder; else the directory of all temporary ones. */
  readonly parentDirectory?: string;
  /** A process in whose mount namespace the agent runs, with that process's /run/libvirt. */
  readonly mountsOf?: number;
}

/** A line of the agent's log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/**
 * `socle agent` in its own process, with its configuration, socket and state in a temporary folder that
 * survives `kill` and `startAgain` and ends with `stop`. It does not manage guests: they end with their
 * libvirtd.
 */
export class AgentProcess {
  readonly directory: string;
  readonly configPath: string;
  /** The operator's unix socket. */
  readonly socketPath: string;
  /** "127.0.0.1:PORT" of /metrics, /healthz and /readyz. */
  readonly metricsAddress: string;
  /** All log lines since the first start. */
  readonly log: LogLine[] = [];
  readonly #options: AgentProcessOptions;
  #process: ChildProcess | undefined;
  /** Resolves when the process has ended and all its output is read. */
  #closed: Promise<unknown> = Promise.resolve();
  #printed = "";

  private constructor(directory: string, metricsAddress: string, options: AgentProcessOptions) {
    this.directory = directory;
    this.configPath = join(directory, "agent.yaml");
    this.socketPath = options.config?.api?.socket ?? join(directory, "agent.sock");
    this.metricsAddress = metricsAddress;
    this.#options = options;
  }

  /** Starts it and waits until it is ready; rejects with its own output when it ends before. */
  static async start(options: AgentProcessOptions = {}): Promise<AgentProcess> {
    const directory = await mkdtemp(join(options.parentDirectory ?? tmpdir(), "socle-agent-"));
    const metrics = options.config?.metrics?.listen ?? `127.0.0.1:${await freePort()}`;
    const agent = new AgentProcess(directory, metrics, options);
    try {
      await agent.configure(options.config ?? {});
      await agent.startAgain();
    } catch (cause) {
      await agent.stop();
      throw cause;
    }
    return agent;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("the agent does not run");
    return pid;
  }

  /** Rewrites its configuration; SIGHUP or the next start reads it. */
  async configure(config: Partly<Config>): Promise<void> {
    const isSecured = (config.trust?.domain ?? null) !== null;
    // Earlier agents do not have the key: it is written only where it is needed.
    const isInsecure = !isSecured && (config.api?.listen ?? config.scheduler?.address ?? null) !== null;
    const whole = {
      ...config,
      api: { socket: this.socketPath, ...config.api },
      metrics: { listen: this.metricsAddress, ...config.metrics },
      // Tests that open TCP without certificates state that.
      trust: { ...(isInsecure ? { insecureLoopback: "development" } : {}), ...config.trust },
      state: { directory: join(this.directory, "state"), ...config.state },
      // Test machines may lack time synchronization, which these tests do not need.
      health: { requireSyncedClock: false, ...config.health },
    };
    configSchema.parse(whole);
    // YAML is a superset of JSON.
    await writeFile(this.configPath, JSON.stringify(whole, null, 2));
  }

  /** After `kill`: the same configuration and state. Resolves when it is ready, with how long that took. */
  async startAgain(): Promise<{ readyMs: number }> {
    const { bundle, nodeOptions = [], environment = {}, startTimeoutMs = 30_000, mountsOf } = this.#options;
    const entry = bundle === undefined ? socleCommand : [bundle];
    const began = performance.now();
    const seen = this.log.length;
    const args = [...nodeOptions, ...entry, "agent", "--config", this.configPath];
    const env = { PATH: process.env["PATH"] ?? "", ...environment };
    const options = { cwd: repository, env };
    const child =
      mountsOf === undefined
        ? spawnBound(process.execPath, args, options)
        : spawnBound("nsenter", [...enter(mountsOf), process.execPath, ...args], options);
    this.#process = child;
    this.#closed = once(child, "close");
    createInterface(child.stdout).on("line", (line) => this.#read(line));
    child.stderr.on("data", (chunk: Buffer) => (this.#printed += chunk.toString()));
    await eventually(
      () => {
        if (this.log.slice(seen).some((line) => line.msg === "ready")) return true;
        if (child.exitCode === null && child.signalCode === null) return false;
        throw new AgentEnded(child.exitCode, this.output());
      },
      { what: "the agent to be ready", timeoutMs: startTimeoutMs, intervalMs: 5, giveUpOn: AgentEnded },
    );
    return { readyMs: performance.now() - began };
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /**
   * Runs the work while the agent, if it runs, is stopped between two of its calls: its files are from one
   * moment.
   */
  async whileHalted<T>(work: () => Promise<T>): Promise<T> {
    const { pid } = this;
    const child = this.#process;
    const isHalted = async (): Promise<boolean> => {
      const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
      const stats = await Promise.all(
        threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => "")),
      );
      // proc(5): the state follows the command, in parentheses. An ended process does no more either.
      return stats.every((stat) => stat === "" || /^[TtZX]/.test(stat.slice(stat.lastIndexOf(")") + 2)));
    };
    child?.kill("SIGSTOP");
    try {
      await eventually(isHalted, { what: "the agent to stop", intervalMs: 1 });
      return await work();
    } finally {
      child?.kill("SIGCONT");
    }
  }

  /** Resolves when the last started process has ended in any way. */
  async ended(): Promise<void> {
    await this.#closed;
  }

  /** A crash: no clean stop, the state stays. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL", 5000);
  }

  /**
   * Stops it cleanly, as systemd does, and returns its exit code (null: it had to be killed). The state
   * stays.
   */
  async terminate(timeoutMs = 30_000): Promise<number | null> {
    return await this.#end("SIGTERM", timeoutMs);
  }

  /** Ends it in any state and removes its folder. */
  async stop(): Promise<void> {
    await this.terminate();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Resolves with the first line of the log that `match` accepts, past or future. */
  async logged(match: (line: LogLine) => boolean, what: string, timeoutMs = 10_000): Promise<LogLine> {
    return await eventually(() => this.log.find(match), { what, timeoutMs });
  }

  /** Its output, for the message of a failing test. */
  output(): string {
    return [...this.log.slice(-20).map((line) => JSON.stringify(line)), this.#printed].join("\n");
  }

  async #end(signal: NodeJS.Signals, timeoutMs: number): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    try {
      await within(this.#closed, timeoutMs, `the agent to end after ${signal}`);
    } catch {
      child.kill("SIGKILL");
      await this.#closed;
    }
    return child.exitCode;
  }

  #read(line: string): void {
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.#printed += `${line}\n`;
    }
  }
}

function enter(mountsOf: number): readonly string[] {
  return [`--mount=/proc/${mountsOf}/ns/mnt`, `--wdns=${repository}`];
}

class AgentEnded extends Error {
  constructor(exitCode: number | null, words: string) {
    super(`the agent ended with ${exitCode ?? "a signal"} before it was ready:\n${words}`);
  }
}
