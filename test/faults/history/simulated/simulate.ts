// Plays simulated histories and checks each. One JSON line on stdout per violation, {"histories", "ms"} at the end.
//
//   simulate.ts --from SEED --count N [--shrink] [--until RULE]   --shrink: with the shortest history that shows it;
//                                                                 --until: ends at the first history that violates it
//   simulate.ts --show SEED                                         the whole history
import { parseArgs } from "node:util";
import { check, describe } from "../checker.ts";
import { toLines } from "../history.ts";
import { withChanges } from "./changes.ts";
import { withSaves } from "./saves.ts";
import { scheduleOf, type Schedule } from "./schedule.ts";
import { withEpochProbes } from "./epoch-probes.ts";
import { withMoments } from "./moments.ts";
import { withSecondTenant } from "./second-tenant.ts";
import { shrink, type Played } from "./shrink.ts";
import { simulate } from "./simulation.ts";

/** A line of the output. */
export interface Finding {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
  /** For readers: the shortest history that shows it. */
  readonly shown?: string;
}

const SHRINKING_PLAYS = 200;

const usage = `usage: simulate.ts --from SEED --count N [--shrink] [--until RULE]...
       simulate.ts --show SEED
`;
const options = optionsOf(process.argv.slice(2));
const untilRules: ReadonlySet<string> = new Set(options.until);
const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

if (options.show !== undefined) await showHistory(options.show);
else await playAll(options.from, options.count);

function optionsOf(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        from: { type: "string" },
        count: { type: "string" },
        show: { type: "string" },
        shrink: { type: "boolean" },
        until: { type: "string", multiple: true },
      },
    });
    const { shrink = false, until = [] } = values;
    const show = values.show === undefined ? undefined : whole(values.show, "--show");
    if (show !== undefined) return { from: show, count: 1, show, shrink, until };
    return { from: whole(values.from, "--from"), count: whole(values.count, "--count"), show, shrink, until };
  } catch (thrown) {
    process.stderr.write(
      `simulate.ts: ${thrown instanceof Error ? thrown.message : String(thrown)}\n${usage}`,
    );
    return process.exit(2);
  }
}

function whole(text: string | undefined, option: string): number {
  if (text !== undefined && /^\d{1,15}$/.test(text)) return Number(text);
  throw new Error(`${option} needs a whole number`);
}

function wholeScheduleOf(seed: number): Schedule {
  return withSaves(withChanges(withEpochProbes(withSecondTenant(withMoments(scheduleOf(seed))))));
}

async function played(schedule: Schedule): Promise<Played> {
  const { history, failures } = await simulate(schedule);
  return { history, violations: [...failures, ...check(history)] };
}

async function showHistory(seed: number): Promise<void> {
  const { history, violations } = await played(wholeScheduleOf(seed));
  process.stdout.write(toLines(history));
  for (const violation of violations) process.stderr.write(`${describe(history, violation)}\n`);
}

async function playAll(from: number, count: number): Promise<void> {
  const startMs = performance.now();
  let histories = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const schedule = wholeScheduleOf(seed);
    const { violations: found } = await played(schedule);
    histories += 1;
    for (const rule of new Set(found.map((violation) => violation.rule))) {
      const message = found.find((violation) => violation.rule === rule)?.message ?? "";
      const shrunk = options.shrink
        ? await shrink(schedule, rule, { play: played, mostPlays: SHRINKING_PLAYS })
        : undefined;
      const shown = shrunk === undefined ? {} : { shown: describe(shrunk.history, shrunk.violation) };
      print({ seed, rule, message, ...shown } satisfies Finding);
    }
    if (found.some(({ rule }) => untilRules.has(rule))) break;
  }
  print({ histories, ms: Math.round(performance.now() - startMs) });
}
