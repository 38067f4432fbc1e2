import type { Bond } from "../../../hardware/network/bonding.ts";
import type { SeenHardware } from "../seen.ts";
import { badIf } from "../trigger.ts";
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
        (bonds, _, seen) => bondVerdicts(bonds, seen, (up, all) => up < all),
      ),
      all: watching(
        "bonds",
        { reason: "BondDown", effect: "no_schedule", enter: streak(2, bondDownSeconds), leave },
        (bonds, _, seen) => bondVerdicts(bonds, seen, (up) => up === 0),
      ),
    },
  } satisfies ConditionTable;
};

/**
 * A link whose card falls off the bus leaves its bond. It counts as missing until the bond has as many links again, or is
 * removed. A bond that never had links is unused.
 */
function bondVerdicts(
  bonds: readonly Bond[],
  seen: SeenHardware,
  isBad: (up: number, all: number) => boolean,
): Verdicts {
  const judged = bonds.map(({ name, slaves }) => {
    const present = slaves.map((slave) => slave.name);
    const before = linksSeen(seen, name);
    return { name, slaves, present, most: present.length < before.length ? before : present };
  });
  seen.replace(
    "bondSlave",
    judged.flatMap(({ name, most }) => most.map((link) => `${name}/${link}`)),
  );
  const used = judged.filter(({ most }) => most.length > 0);
  return each(
    used,
    ({ name }) => name,
    ({ name, slaves, present, most }) => {
      const up = slaves.filter((slave) => slave.up).length;
      const list = (what: string, links: readonly string[]): string =>
        links.length === 0 ? "" : `, ${what}: ${links.join(", ")}`;
      const down = slaves.filter((slave) => !slave.up).map((slave) => slave.name);
      const gone = most.filter((link) => !present.includes(link));
      const evidence = `${name} has ${up} of ${most.length} links up${list("down", down)}${list("gone", gone)}`;
      return badIf(isBad(up, most.length), evidence);
    },
  );
}

/** Interface names contain no slash. */
const linksSeen = (seen: SeenHardware, bond: string): readonly string[] =>
  seen.names("bondSlave").flatMap((entry) => {
    const [name, link = ""] = entry.split("/");
    return name === bond ? [link] : [];
  });
