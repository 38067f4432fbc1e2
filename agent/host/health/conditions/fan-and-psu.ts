import type { Config } from "../../../config/schema.ts";
import { powerSuppliesOf, type BmcSensor } from "../../../hardware/bmc/bmc-text.ts";
import type { Fan } from "../../../hardware/sensors/hwmon.ts";
import type { SeenHardware } from "../seen.ts";
import { absent, bad, good, unknown, type TriggerRule, type Verdict } from "../trigger.ts";
import { SECOND, watching, type ConditionContext, type ConditionTable } from "./condition.ts";
import { allAnswered } from "./thermal.ts";

/** A redundant part: a machine has several and can lose one. */
interface Part {
  readonly name: string;
  readonly isLost: boolean;
  /** Its state is unknown now. */
  readonly isUnknown?: boolean;
  /** Counts as two lost parts: the BMC reports a non-recoverable state. */
  readonly isBeyondRecovery?: boolean;
}

export const fanAndPsuConditions = ({ config }: ConditionContext) => {
  const { lostOne, lostTwo } = rulesOf(config);
  return {
    Fan: {
      lost: watching("sensors", lostOne("Fan"), ({ fans: ofChips, unread, silent }) =>
        allAnswered([...silent, ...unread.fans], lostVerdict(ofChips.map(ofChip), 1)),
      ),
      lostMore: watching("sensors", lostTwo("Fan"), ({ fans: ofChips, unread, silent }) =>
        allAnswered([...silent, ...unread.fans], lostVerdict(ofChips.map(ofChip), 2)),
      ),
      bmcLost: watching("bmc", lostOne("Fan"), (sensors, _, seen) =>
        lostVerdict(fansOfBmc(sensors, seen), 1),
      ),
      bmcLostMore: watching("bmc", lostTwo("Fan"), (sensors, _, seen) =>
        lostVerdict(fansOfBmc(sensors, seen), 2),
      ),
    },
    Psu: {
      lost: watching("bmc", lostOne("Psu"), (sensors, _, seen) => lostVerdict(supplies(sensors, seen), 1)),
      lostMore: watching("bmc", lostTwo("Psu"), (sensors, _, seen) =>
        lostVerdict(supplies(sensors, seen), 2),
      ),
    },
  } satisfies ConditionTable;
};

function rulesOf({ health }: Config) {
  const leave = { probes: 2, forMs: health.partGoodSeconds * SECOND };
  const lostOne = (part: string): TriggerRule => ({
    reason: `${part}Lost`,
    effect: "degraded",
    enter: { probes: 2, forMs: health.partLostSeconds * SECOND },
    leave,
  });
  const lostTwo = (part: string): TriggerRule => ({
    reason: `Several${part}sLost`,
    effect: "no_schedule",
    enter: { probes: 2, forMs: 0 },
    leave,
  });
  return { lostOne, lostTwo };
}

const ofChip = ({ chip, sensor, isFailed }: Fan): Part => ({ name: `${chip} ${sensor}`, isLost: isFailed });

/** By the BMC's state, with or without a value. A header that never had a reading has no fan. */
const fansOfBmc = (sensors: readonly BmcSensor[], seen: SeenHardware): Part[] =>
  sensors.flatMap(({ name, kind, state }) => {
    if (kind !== "Fan") return [];
    const isUnknown = state === "unavailable";
    if (!isUnknown) seen.add("bmcFan", name);
    if (!seen.has("bmcFan", name)) return [];
    const isBeyondRecovery = state === "non_recoverable";
    return [{ name, isLost: isBeyondRecovery || state === "critical", isUnknown, isBeyondRecovery }];
  });

/** A supply that was present before is lost; a slot that was always empty or unknown is not. */
const supplies = (sensors: readonly BmcSensor[], seen: SeenHardware): Part[] =>
  powerSuppliesOf(sensors).flatMap(({ name, state, isBeyondRecovery }) => {
    const isUnknown = state === "unknown";
    if (state !== "absent" && !isUnknown) seen.add("psu", name);
    const wasThere = seen.has("psu", name);
    if (isUnknown && !wasThere) return [];
    const isLost = state === "failed" || (state === "absent" && wasThere);
    return [{ name, isLost, isUnknown, isBeyondRecovery }];
  });

export function lostVerdict(parts: readonly Part[], limit: number): Verdict {
  if (parts.length === 0) return absent("no sensor reports any");
  const lost = parts.filter(({ isLost }) => isLost);
  const count = lost.some(({ isBeyondRecovery }) => isBeyondRecovery)
    ? Math.max(2, lost.length)
    : lost.length;
  if (count >= limit) return bad(`${lost.map(({ name }) => name).join(", ")} of ${parts.length} failed`);
  const unread = parts.filter(({ isUnknown }) => isUnknown === true);
  if (unread.length > 0) return unknown(`no reading of ${unread.map(({ name }) => name).join(", ")}`);
  return good(`${parts.length - lost.length} of ${parts.length} work`);
}
