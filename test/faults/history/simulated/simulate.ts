// Plays simulated histories and checks them: `simulate.ts --from SEED --count N`. Prints one line of JSON a history that
// broke a rule, and at the end {"histories", "seconds", ...}. `--show SEED` prints a whole history.
import { check, describe } from "../checker.ts";
import { toLines } from "../history.ts";
import { scheduleOf } from "./schedule.ts";
import { simulate } from "./simulation.ts";

const show = Number(process.argv[process.argv.indexOf("--show") + 1]);
if (process.argv.includes("--show")) {
  const { history, failures } = await simulate(scheduleOf(show));
  process.stdout.write(toLines(history));
  for (const violation of [...failures, ...check(history)])
    process.stderr.write(`${describe(history, violation)}\n`);
  process.exit(0);
}
const number = (name: string): number => Number(process.argv[process.argv.indexOf(name) + 1]);
const from = number("--from");
const count = number("--count");
const startMs = performance.now();
for (let seed = from; seed < from + count; seed += 1) {
  const { history, failures } = await simulate(scheduleOf(seed));
  for (const { rule, message } of [...failures, ...check(history)])
    process.stdout.write(`${JSON.stringify({ seed, rule, message })}\n`);
}
process.stdout.write(
  `${JSON.stringify({ histories: count, ms: Math.round(performance.now() - startMs) })}\n`,
);
