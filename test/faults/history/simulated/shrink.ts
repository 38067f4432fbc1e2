import { check, type Violation } from "../checker.ts";
import type { History } from "../history.ts";
import type { Action, Schedule } from "./schedule.ts";
import { simulate } from "./simulation.ts";

export interface Shrunk {
  readonly schedule: Schedule;
  readonly history: History;
  readonly violation: Violation;
}

/**
 * Leaves actions out as long as the same rule is broken without them (delta debugging): half of them, a quarter, down to
 * each one alone. Undefined: the schedule breaks no rule of that name.
 */
export async function shrink(schedule: Schedule, rule: string, mostRuns = 200): Promise<Shrunk | undefined> {
  let best = await broken(schedule, rule);
  let runs = 1;
  for (let size = Math.ceil(schedule.actions.length / 2); best !== undefined && size >= 1;) {
    let isShorter = false;
    for (let at = 0; at < best.schedule.actions.length && runs < mostRuns;) {
      const actions: readonly Action[] = best.schedule.actions.toSpliced(at, size);
      const tried: Shrunk | undefined = await broken({ ...schedule, actions }, rule);
      runs += 1;
      if (tried === undefined) at += size;
      else [best, isShorter] = [tried, true];
    }
    if (size === 1 && !isShorter) break;
    size = Math.max(1, Math.floor(size / 2));
    if (runs >= mostRuns) break;
  }
  return best;
}

async function broken(schedule: Schedule, rule: string): Promise<Shrunk | undefined> {
  const { history, failures } = await simulate(schedule);
  const violation = [...failures, ...check(history)].find((found) => found.rule === rule);
  return violation === undefined ? undefined : { schedule, history, violation };
}
