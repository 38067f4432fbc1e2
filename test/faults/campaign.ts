import { Run } from "../bench/bench.ts";

export interface CampaignOptions {
  readonly name: string;
  /** Tries of a full run. */
  readonly count: number;
}

/** One run of a campaign: what it tried, and every promise it saw broken. */
export class CampaignRun extends Run {
  readonly count: number;
  readonly violations: string[] = [];
  tries = 0;

  constructor(name: string, count: number) {
    super(false, name);
    this.count = count;
  }

  /** A promise was broken: the campaign goes on, and fails in the end. */
  violation(what: string): void {
    this.violations.push(what);
    this.say(`VIOLATION in try ${this.tries}: ${what}`);
  }

  demand(holds: boolean, what: string): void {
    if (!holds) this.violation(what);
  }
}

/**
 * Conducts a campaign and prints its result as the last line on stdout: {"campaign", "tries", "violations", ...figures}.
 * Exits 1 on a violation, 2 when it could not be conducted. Whatever happens, a signal too, what it made is gone when
 * the process ends. `--count N` on the command line: how many tries.
 */
export async function campaign(
  { name, count }: CampaignOptions,
  conduct: (run: CampaignRun) => Promise<Readonly<Record<string, unknown>>>,
): Promise<void> {
  const run = new CampaignRun(name, asked("--count") ?? count);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      run.say(`${signal}: cleaning up`);
      void run.end().finally(() => process.exit(130));
    });
  }
  const startMs = performance.now();
  let figures: Readonly<Record<string, unknown>>;
  try {
    figures = await conduct(run);
  } catch (thrown) {
    run.say(
      `given up in try ${run.tries}: ${thrown instanceof Error ? (thrown.stack ?? "") : String(thrown)}`,
    );
    process.exitCode = 2;
    return;
  } finally {
    await run.end();
  }
  for (const what of run.violations) run.say(`VIOLATION: ${what}`);
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
