import { Run } from "../bench/bench.ts";

export interface CampaignOptions {
  readonly name: string;
  /** The number of tries of a full run. */
  readonly count: number;
}

/** One run of a campaign: its tries and the violations that it found. */
export class CampaignRun extends Run {
  readonly count: number;
  readonly violations: string[] = [];
  tries = 0;

  constructor(name: string, count: number) {
    super(false, name);
    this.count = count;
  }

  /** Records a violation: the campaign continues and fails at its end. */
  violation(what: string): void {
    this.violations.push(what);
    this.log(`VIOLATION in try ${this.tries}: ${what}`);
  }

  demand(holds: boolean, what: string): void {
    if (!holds) this.violation(what);
  }
}

/**
 * Runs a campaign and prints its result as the last line on stdout: {"campaign", "tries", "violations", ...figures}.
 * Exits 1 on a violation, 2 if it could not run. Cleans up before the process ends, also after a signal. `--count N` on the
 * command line: the number of tries.
 */
export async function campaign(
  { name, count }: CampaignOptions,
  conduct: (run: CampaignRun) => Promise<Readonly<Record<string, unknown>>>,
): Promise<void> {
  const run = new CampaignRun(name, asked("--count") ?? count);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      run.log(`${signal}: cleaning up`);
      void run.end().finally(() => process.exit(130));
    });
  }
  const startMs = performance.now();
  let figures: Readonly<Record<string, unknown>>;
  try {
    figures = await conduct(run);
  } catch (thrown) {
    run.log(
      `given up in try ${run.tries}: ${thrown instanceof Error ? (thrown.stack ?? "") : String(thrown)}`,
    );
    process.exitCode = 2;
    return;
  } finally {
    await run.end();
  }
  for (const what of run.violations) run.log(`VIOLATION: ${what}`);
  const seconds = Math.round((performance.now() - startMs) / 1000);
  const { tries, violations } = run;
  process.stdout.write(
    `${JSON.stringify({ campaign: name, tries, violations: violations.length, seconds, ...figures })}\n`,
  );
  if (violations.length > 0) process.exitCode = 1;
}

/** A whole number from the command line. */
export function asked(option: "--count" | "--seed"): number | undefined {
  const at = process.argv.indexOf(option);
  if (at === -1) return undefined;
  const number = Number(process.argv[at + 1]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} takes a whole number`);
  return number;
}
