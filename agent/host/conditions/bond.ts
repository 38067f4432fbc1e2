import type { Bond } from "../../hardware/bonding.ts";
import {
  each,
  streak,
  watching,
  type ConditionContext,
  type ConditionTable,
  type Verdicts,
} from "./condition.ts";

export const bondConditions = ({ config }: ConditionContext) => {
  const { bondSlaveDownSeconds, bondDownSeconds, bondGoodSeconds } = config.health;
  const leave = streak(2, bondGoodSeconds);
  return {
    BondDegraded: {
      slave: watching(
        "bonds",
        { reason: "BondSlaveDown", effect: "degraded", enter: streak(2, bondSlaveDownSeconds), leave },
        (bonds) => bondVerdicts(bonds, (up, all) => up < all),
      ),
      all: watching(
        "bonds",
        { reason: "BondDown", effect: "no_schedule", enter: streak(2, bondDownSeconds), leave },
        (bonds) => bondVerdicts(bonds, (up) => up === 0),
      ),
    },
  } satisfies ConditionTable;
};

/** A bond that has no slaves is not in use. */
export function bondVerdicts(bonds: readonly Bond[], isBad: (up: number, all: number) => boolean): Verdicts {
  const used = bonds.filter(({ slaves }) => slaves.length > 0);
  return each(
    used,
    ({ name }) => name,
    ({ name, slaves }) => {
      const down = slaves.filter(({ up }) => !up).map((slave) => slave.name);
      const up = slaves.length - down.length;
      const which = down.length === 0 ? "" : `, down: ${down.join(", ")}`;
      const evidence = `${name} has ${up} of ${slaves.length} links up${which}`;
      return { kind: isBad(up, slaves.length) ? "bad" : "good", evidence };
    },
  );
}
