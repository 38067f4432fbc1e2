import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { setPriority } from "node:os";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { bundle, moduleOf } from "../../../../scripts/bundle-tests.ts";
import { readPlanted, type Edit } from "../plant.ts";
import type { Finding } from "./simulate.ts";

export interface PlayOptions {
  readonly firstSeed: number;
  readonly count: number;
  /** Concurrent processes. */
  readonly workers?: number;
  /** A bug in the agent that plays. */
  readonly edits?: readonly Edit[];
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
const program = "test/faults/history/simulated/simulate.ts";
/**
 * With Node's default of 16 MiB for new objects, garbage collection takes a fifth of a simulation's CPU time. V8 optimizes a
 * function seven times later than Node 20's does by default: most run too seldom to repay it. That saves a tenth, of one history
 * a fifth. The V8 of newer versions of Node decides by other rules and has no such option.
 */
const V8_OPTIONS = [
  "--max-semi-space-size=64",
  ...(process.versions.node.startsWith("20.") ? ["--interrupt-budget=1000000"] : []),
];
/** A simulation has a virtual clock, so it yields the CPU to tests with real deadlines. */
const LOW_PRIORITY = 15;

/** Plays simulated histories in separate processes and returns their number. Throws if a process fails. */
export async function playSimulated(options: PlayOptions): Promise<number> {
  const { firstSeed, count, workers = 2, seedsAtOnce = 1000, edits = [] } = options;
  await mkdir(join(repository, ".cache"), { recursive: true });
  const directory = await mkdtemp(join(repository, ".cache/simulate-"));
  try {
    const paths = [...new Set(edits.map(({ file }) => `agent/${file}`))];
    const changed = await Promise.all(
      paths.map(async (path) => [path, await readPlanted(edits, path)] as const),
    );
    await bundle(directory, [program], new Map(changed));
    const endSeed = firstSeed + count;
    let next = firstSeed;
    let histories = 0;
    const work = async (): Promise<void> => {
      while (next < endSeed && options.signal?.aborted !== true) {
        const from = next;
        next = Math.min(endSeed, from + Math.min(seedsAtOnce, Math.ceil(count / workers)));
        const played = await playSome(options, join(directory, moduleOf(program)), from, next - from);
        histories += played;
      }
    };
    await Promise.all(Array.from({ length: workers }, work));
    return histories;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function playSome(options: PlayOptions, module: string, from: number, count: number): Promise<number> {
  const { shrink = false, untilCaught = [], onFinding, onHistories, signal } = options;
  const more = [...(shrink ? ["--shrink"] : []), ...untilCaught.flatMap((rule) => ["--until", rule])];
  const nodeOptions = [...V8_OPTIONS, "--enable-source-maps"];
  const args = [module, "--from", String(from), "--count", String(count), ...more];
  const child = spawn(process.execPath, [...nodeOptions, ...args], {
    cwd: repository,
    stdio: ["ignore", "pipe", "pipe"],
    ...(signal === undefined ? {} : { signal }),
  });
  if (child.pid !== undefined) setPriority(child.pid, LOW_PRIORITY);
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
