import type { BmcSensor } from "../../../hardware/bmc/bmc-text.ts";
import type { Temperature } from "../../../hardware/sensors/hwmon.ts";
import type { SeenHardware } from "../seen.ts";
import { absent, bad, good, unknown, type TriggerRule, type Verdict } from "../trigger.ts";
import { SECOND, watching, type ConditionContext, type ConditionTable } from "./condition.ts";
import { defined } from "../../../kernel/defined.ts";

/** A temperature of a host chip or a BMC sensor. */
interface Heat {
  readonly name: string;
  readonly celsius: number;
  readonly criticalCelsius?: number;
  /** Absent without a known critical point. */
  readonly isAlarming?: boolean;
}

export const thermalConditions = ({ config }: ConditionContext) => {
  const { thermalMarginCelsius, thermalGoodMarginCelsius, thermalSeconds, thermalGoodSeconds } =
    config.health;
  const margins = { enterCelsius: thermalMarginCelsius, leaveCelsius: thermalGoodMarginCelsius };
  const leave = { probes: 2, forMs: thermalGoodSeconds * SECOND };
  const hot: TriggerRule = {
    reason: "NearCriticalTemperature",
    effect: "no_schedule",
    enter: { probes: 2, forMs: thermalSeconds * SECOND },
    leave,
  };
  const alarm: TriggerRule = {
    reason: "CriticalTemperature",
    effect: "evacuate",
    enter: { probes: 2, forMs: 0 },
    leave,
  };
  return {
    Thermal: {
      hot: watching("sensors", hot, ({ temperatures, unread, silent }) =>
        allAnswered([...silent, ...unread.temperatures], hotVerdict(temperatures.map(ofChip), margins)),
      ),
      alarm: watching("sensors", alarm, ({ temperatures, unread, silent }) =>
        allAnswered([...silent, ...unread.temperatures], alarmVerdict(temperatures.map(ofChip))),
      ),
      bmcHot: watching("bmc", hot, (sensors, _, seen) => {
        const { heats, mute } = heatsOfBmc(sensors, seen);
        return allAnswered(mute, hotVerdict(heats, margins));
      }),
      bmcAlarm: watching("bmc", alarm, (sensors, _, seen) => {
        const { heats, mute } = heatsOfBmc(sensors, seen);
        return allAnswered(mute, alarmVerdict(heats));
      }),
    },
  } satisfies ConditionTable;
};

/** Good only if every chip and sensor answered. */
export function allAnswered(mute: readonly string[], verdict: Verdict): Verdict {
  if (mute.length === 0 || verdict.kind === "bad") return verdict;
  return unknown(`no answer from ${mute.join(", ")}`);
}

function ofChip({ chip, sensor, celsius, criticalCelsius, criticalAlarm }: Temperature): Heat {
  const isOver = criticalCelsius === undefined ? undefined : celsius >= criticalCelsius;
  const isAlarming = isOver === undefined ? criticalAlarm : criticalAlarm === true || isOver;
  return defined({ name: `${chip} ${sensor}`, celsius, isAlarming, criticalCelsius });
}

/** `mute`: sensors that reported before and do not now; the sensor of an empty slot never reports. */
function heatsOfBmc(sensors: readonly BmcSensor[], seen: SeenHardware): { heats: Heat[]; mute: string[] } {
  const heats = sensors.flatMap(ofBmc);
  for (const { name, criticalCelsius } of heats)
    if (criticalCelsius !== undefined) seen.add("bmcTemperature", name);
  const mute = sensors.filter(
    ({ name, measured }) => measured === undefined && seen.has("bmcTemperature", name),
  );
  return { heats, mute: mute.map(({ name }) => name) };
}

function ofBmc({ name, state, measured }: BmcSensor): Heat[] {
  if (measured?.unit !== "degrees C") return [];
  const { value, upperCritical } = measured;
  const isCritical = state === "critical" || state === "non_recoverable";
  return [
    defined({
      name,
      celsius: value,
      // Critical below the lower threshold means cold, not hot.
      isAlarming: isCritical && (upperCritical === undefined || value >= upperCritical),
      criticalCelsius: upperCritical,
    }),
  ];
}

/** The sensor nearest to its critical point decides. */
export function hotVerdict(
  heats: readonly Heat[],
  margins: { readonly enterCelsius: number; readonly leaveCelsius: number },
): Verdict {
  const bounded = heats.flatMap(({ name, celsius, criticalCelsius }) =>
    criticalCelsius === undefined
      ? []
      : [{ name, celsius, criticalCelsius, room: criticalCelsius - celsius }],
  );
  if (bounded.length === 0) return withoutCriticalPoint(heats);
  const hottest = bounded.reduce((a, b) => (b.room < a.room ? b : a));
  const evidence = `${hottest.name} has ${hottest.celsius} °C, ${hottest.criticalCelsius} °C is critical`;
  if (hottest.room <= margins.enterCelsius) return bad(evidence);
  return { kind: hottest.room < margins.leaveCelsius ? "between" : "good", evidence };
}

const withoutCriticalPoint = ({ length }: readonly Heat[]): Verdict =>
  absent(`none of ${length} sensors has a critical point`);

export function alarmVerdict(heats: readonly Heat[]): Verdict {
  if (heats.every(({ isAlarming }) => isAlarming === undefined)) return withoutCriticalPoint(heats);
  const alarming = heats.filter(({ isAlarming }) => isAlarming === true);
  if (alarming.length === 0) return good("no temperature is critical");
  const evidence = alarming
    .map(({ name, celsius }) => `${name} has ${celsius} °C, which is critical`)
    .join("; ");
  return bad(evidence);
}
