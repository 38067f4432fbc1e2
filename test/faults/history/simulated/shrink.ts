import type { Violation } from "../checker.ts";
import type { History } from "../history.ts";
import type { Action, Schedule } from "./schedule.ts";

export interface Played {
  readonly history: History;
  readonly violations: readonly Violation[];
}

export interface Shrunk {
  readonly schedule: Schedule;
  readonly history: History;
  readonly violation: Violation;
}

export interface Shrinking {
  readonly play: (schedule: Schedule) => Promise<Played>;
  readonly mostPlays: number;
}

/**
 * Removes actions while the same rule is still violated (delta debugging): half of them, a quarter, down to single ones.
 * Undefined: the repeated schedule does not violate that rule.
 */
export async function shrink(
  schedule: Schedule,
  rule: string,
  { play, mostPlays }: Shrinking,
): Promise<Shrunk | undefined> {
  const broken = async (tried: Schedule): Promise<Shrunk | undefined> => {
    const { history, violations } = await play(tried);
    const violation = violations.find((found) => found.rule === rule);
    return violation === undefined ? undefined : { schedule: tried, history, violation };
  };
  let best = await broken(schedule);
  let plays = 1;
  for (let size = Math.ceil(schedule.actions.length / 2); best !== undefined && size >= 1;) {
    let isShorter = false;
    for (let at = 0; at < best.schedule.actions.length && plays < mostPlays;) {
      const actions: readonly Action[] = best.schedule.actions.toSpliced(at, size);
      const tried: Shrunk | undefined = await broken({ ...schedule, actions });
      plays += 1;
      if (tried === undefined) at += size;
      else [best, isShorter] = [tried, true];
    }
    if (size === 1 && !isShorter) break;
    size = Math.max(1, Math.floor(size / 2));
    if (plays >= mostPlays) break;
  }
  return best;
}
