import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnBound } from "./bound-child.ts";
import { freePort } from "./ports.ts";
import { eventually, within } from "./wait.ts";

/** Why no Prometheus can run here, or false: for a test's `skip` option. */
export function prometheusUnavailable(): string | false {
  return existsSync("/usr/bin/prometheus") ? false : "Prometheus is not installed: run scripts/setup --tests";
}

export interface PrometheusOptions {
  /** Its targets, "host:port" each, at /metrics. */
  readonly targets: readonly string[];
  readonly scrapeIntervalMs?: number;
}

/** One series of a query's answer: its labels (the name is `__name__`) and its value now. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prometheus' state of one of its targets; `lastError` is its own text, empty without an error. */
export interface TargetHealth {
  readonly scrapeUrl: string;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

/** A real Prometheus on a free port of 127.0.0.1, its data in a temporary folder. */
export class Prometheus {
  readonly url: string;
  readonly #directory: string;
  readonly #process: ReturnType<typeof spawnBound>;
  #printed = "";

  private constructor(directory: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#directory = directory;
    const args = [
      `--config.file=${join(directory, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ];
    this.#process = spawnBound("/usr/bin/prometheus", args);
    this.#process.stdout.resume();
    this.#process.stderr.on("data", (chunk: Buffer) => (this.#printed += chunk.toString()));
  }

  static async start(options: PrometheusOptions): Promise<Prometheus> {
    const directory = await mkdtemp(join(tmpdir(), "socle-prometheus-"));
    const interval = `${options.scrapeIntervalMs ?? 1000}ms`;
    // YAML is a superset of JSON.
    const config = {
      global: { scrape_interval: interval, scrape_timeout: interval },
      scrape_configs: [{ job_name: "socle", static_configs: [{ targets: options.targets }] }],
    };
    await writeFile(join(directory, "prometheus.yml"), JSON.stringify(config));
    const prometheus = new Prometheus(directory, await freePort());
    try {
      await eventually(() => prometheus.#ready(), { what: "Prometheus to start", timeoutMs: 30_000 });
    } catch (cause) {
      await prometheus.stop();
      throw new Error(`Prometheus did not start: ${prometheus.#printed}`, { cause });
    }
    return prometheus;
  }

  /** The answer to a PromQL instant query. */
  async query(expression: string): Promise<Sample[]> {
    const data = await this.#get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
    const { result } = data as { result: { metric: Record<string, string>; value: [number, string] }[] };
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /**
   * The same, once it has `count` samples: a scrape beyond its timeout on a busy machine leaves none until
   * the next.
   */
  async queryUntil(expression: string, count = 1): Promise<Sample[]> {
    return await eventually(
      async () => {
        const samples = await this.query(expression);
        return samples.length === count && samples;
      },
      { what: `${count} of ${expression} in Prometheus`, timeoutMs: 60_000 },
    );
  }

  /** Waits until all targets are up; throws with Prometheus' own state of them. */
  async targetsUp(): Promise<void> {
    await eventually(
      async () => {
        const ill = (await this.targets()).filter(({ health }) => health !== "up");
        if (ill.length > 0) throw new Error(JSON.stringify(ill));
        return true;
      },
      { what: "all targets to be up", timeoutMs: 60_000 },
    );
  }

  async targets(): Promise<TargetHealth[]> {
    const data = await this.#get("/api/v1/targets?state=active");
    return (data as { activeTargets: TargetHealth[] }).activeTargets;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await within(ended, 60_000, "Prometheus to end");
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #ready(): Promise<boolean> {
    if (this.#process.exitCode !== null) throw new Error("it ended");
    return (await fetch(`${this.url}/-/ready`, { signal: AbortSignal.timeout(2000) })).ok;
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(this.url + path, { signal: AbortSignal.timeout(10_000) });
    const body = (await response.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== "success") throw new Error(`Prometheus: ${body.error ?? response.statusText}`);
    return body.data;
  }
}

/** Runs `promtool check metrics` on an exporter's output; resolves with its complaints, empty without any. */
export async function promtoolComplaints(exposition: string): Promise<string> {
  const child = execFile("/usr/bin/promtool", ["check", "metrics"], { timeout: 30_000 });
  let printed = "";
  child.stderr?.on("data", (chunk: string) => (printed += chunk));
  child.stdout?.on("data", (chunk: string) => (printed += chunk));
  child.stdin?.end(exposition);
  const [code] = (await once(child, "close")) as [number | null];
  return code === 0 ? "" : printed.trim() || `promtool ended with ${code ?? "a signal"}`;
}
