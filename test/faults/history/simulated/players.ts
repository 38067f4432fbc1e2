import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";
import type { Finding } from "./simulate.ts";

export interface PlayOptions {
  readonly firstSeed: number;
  readonly count: number;
  /** Concurrent processes. */
  readonly workers?: number;
  /** A directory with `agent/` and `test/`: this repository, or a changed copy. */
  readonly root?: string;
  readonly shrink?: boolean;
  /** Ends each process at its first finding by one of these rules. */
  readonly untilCaught?: readonly string[];
  /** Histories per process. */
  readonly seedsAtOnce?: number;
  readonly onFinding?: (finding: Finding) => void;
  readonly onHistories?: (histories: number) => void;
  readonly signal?: AbortSignal;
}

const repository = join(import.meta.dirname, "../../../..");
/** With Node's default of 16 MiB for new objects, garbage collection takes a fifth of a simulation's time. */
const YOUNG_SPACE = "--max-semi-space-size=64";

/** Plays simulated histories in separate processes and returns their number. Throws if a process fails. */
export async function playSimulated(options: PlayOptions): Promise<number> {
  const { firstSeed, count, workers = 2, seedsAtOnce = 1000 } = options;
  const endSeed = firstSeed + count;
  let next = firstSeed;
  let histories = 0;
  const work = async (): Promise<void> => {
    while (next < endSeed && options.signal?.aborted !== true) {
      const from = next;
      next = Math.min(endSeed, from + Math.min(seedsAtOnce, Math.ceil(count / workers)));
      const played = await playSome(options, from, next - from);
      histories += played;
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return histories;
}

async function playSome(options: PlayOptions, from: number, count: number): Promise<number> {
  const { root = repository, shrink = false, untilCaught = [], onFinding, onHistories, signal } = options;
  const script = join(root, "test/faults/history/simulated/simulate.ts");
  const more = [...(shrink ? ["--shrink"] : []), ...untilCaught.flatMap((rule) => ["--until", rule])];
  const args = ["--import", "tsx", script, "--from", String(from), "--count", String(count), ...more];
  const child = spawn(process.execPath, [YOUNG_SPACE, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    ...(signal === undefined ? {} : { signal }),
  });
  let errors = "";
  child.stderr.on("data", (text: Buffer) => (errors = `${errors}${text.toString()}`.slice(-4000)));
  let histories: number | undefined;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const reported = JSON.parse(line) as Finding | { histories: number };
    if ("histories" in reported) histories = reported.histories;
    else onFinding?.(reported);
  }
  const code = await ended;
  if (code !== 0 || histories === undefined)
    throw new Error(`the histories from seed ${from} on did not run (exit ${code}): ${errors}`);
  onHistories?.(histories);
  return histories;
}
