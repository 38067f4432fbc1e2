// Plays simulated histories and checks each. One JSON line on stdout a broken rule, {"histories", "ms"} at the end.
//
//   simulate.ts --from SEED --count N [--shrink] [--until RULE]   --shrink: with the shortest history that shows it;
//                                                              --until: ends at the first history that breaks it
//   simulate.ts --show SEED                                         the whole history
import { check, describe } from "../checker.ts";
import { toLines } from "../history.ts";
import { scheduleOf } from "./schedule.ts";
import { withMoments } from "./moments.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulation.ts";

/** As a line of the output. */
export interface Finding {
  readonly seed: number;
  readonly rule: string;
  readonly message: string;
  /** For people: the shortest history that shows it. */
  readonly shown?: string;
}

const has = (option: string): boolean => process.argv.includes(option);
const number = (option: string): number => Number(process.argv[process.argv.indexOf(option) + 1]);
const untilRules: ReadonlySet<string> = new Set(
  process.argv.flatMap((option, at) => (option === "--until" ? [process.argv[at + 1] ?? ""] : [])),
);
const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

if (has("--show")) await showHistory(number("--show"));
else await playAll(number("--from"), number("--count"));

async function showHistory(seed: number): Promise<void> {
  const { history, failures } = await simulate(withMoments(scheduleOf(seed)));
  process.stdout.write(toLines(history));
  for (const violation of [...failures, ...check(history)])
    process.stderr.write(`${describe(history, violation)}\n`);
}

async function playAll(from: number, count: number): Promise<void> {
  const startMs = performance.now();
  let histories = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const schedule = withMoments(scheduleOf(seed));
    const { history, failures } = await simulate(schedule);
    histories += 1;
    const found = [...failures, ...check(history)];
    for (const rule of new Set(found.map((violation) => violation.rule))) {
      const message = found.find((violation) => violation.rule === rule)?.message ?? "";
      const shrunk = has("--shrink") ? await shrink(schedule, rule) : undefined;
      const shown = shrunk === undefined ? {} : { shown: describe(shrunk.history, shrunk.violation) };
      print({ seed, rule, message, ...shown } satisfies Finding);
    }
    if (found.some(({ rule }) => untilRules.has(rule))) break;
  }
  print({ histories, ms: Math.round(performance.now() - startMs) });
}
