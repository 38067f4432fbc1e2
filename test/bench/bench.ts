import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { builtAgent } from "../support/programs.ts";
import { checkOut } from "./check-out.ts";

const repository = join(import.meta.dirname, "../..");

/** A bench's result. A figure's bound, if any, has the same name. */
export interface Result {
  readonly figures: Readonly<Record<string, number>>;
  readonly bound: Readonly<Record<string, { readonly atMost: number } | { readonly atLeast: number }>>;
}

/** One run of a bench. */
export class Run {
  /** A small run that checks the bench itself: its figures mean little. */
  readonly quick: boolean;
  readonly #speaker: string;
  readonly #cleanups: (() => unknown)[] = [];

  constructor(quick: boolean, speaker = "bench") {
    this.quick = quick;
    this.#speaker = speaker;
  }

  log(text: string): void {
    process.stderr.write(`${this.#speaker}: ${text}\n`);
  }

  /** Returns its argument and stops it at the end of the run, also after a failure: the last one first. */
  keep<T extends { stop(): Promise<unknown> }>(thing: T): T {
    this.#cleanups.push(() => thing.stop());
    return thing;
  }

  cleanUp(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  /**
   * The path of the shipped bundle: the one that scripts/test built, else one built in the run's own directory. With `commit`:
   * the agent of that commit instead of this tree's.
   */
  async bundle(commit?: string): Promise<string> {
    if (commit === undefined && builtAgent !== undefined) return builtAgent;
    const directory = await mkdtemp(join(tmpdir(), "socle-bench-"));
    this.cleanUp(() => rm(directory, { recursive: true, force: true }));
    const sources = commit === undefined ? repository : join(directory, "sources");
    if (commit !== undefined) await checkOut(commit, sources);
    await promisify(execFile)(process.execPath, [join(sources, "scripts/build.mjs"), directory]);
    return join(directory, "socle.js");
  }

  async end(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).reverse()) {
      try {
        await cleanup();
      } catch (thrown) {
        this.log(`cleaning up: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
        process.exitCode = 1;
      }
    }
  }
}

/**
 * Runs a bench and prints its result as the last line on stdout. Cleans up before the process ends, also after a signal.
 * `compare` serves `--against COMMIT`.
 */
export async function bench(
  name: string,
  measure: (run: Run) => Promise<Result>,
  compare?: (run: Run, against: string) => Promise<Result>,
): Promise<void> {
  const { quick = false, against } = parseArgs({
    options: { quick: { type: "boolean" }, against: { type: "string" } },
  }).values;
  if (against !== undefined && compare === undefined) throw new Error(`${name} cannot compare two commits`);
  const run = new Run(quick);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      run.log(`${signal}: cleaning up`);
      void run.end().finally(() => process.exit(130));
    });
  }
  let result: Result;
  try {
    result = await (against === undefined ? measure(run) : (compare ?? measure)(run, against));
  } finally {
    await run.end();
  }
  const figures = Object.fromEntries(
    Object.entries(result.figures).map(([figure, value]) => [figure, Number(value.toPrecision(4))]),
  );
  process.stdout.write(
    `${JSON.stringify({ bench: name, figures, bound: result.bound, pass: isWithin(result) })}\n`,
  );
}

/** From the measured figures, not from the printed ones. */
export function isWithin({ figures, bound }: Result): boolean {
  return Object.entries(bound).every(([figure, limit]) => {
    const value = figures[figure];
    if (value === undefined) throw new Error(`no figure ${figure} was measured`);
    return "atMost" in limit ? value <= limit.atMost : value >= limit.atLeast;
  });
}
