import { configSchema, type Config } from "../../../agent/config/schema.ts";
import type { Reading } from "../../../agent/hardware/reading.ts";
import { hostConditions, type ConditionType } from "../../../agent/host/health/conditions/table.ts";
import { Health } from "../../../agent/host/health/health.ts";
import type { HostReadings, HostValue, ReaderName } from "../../../agent/host/health/readers/table.ts";
import { fixedReadings } from "../metrics/fixed-sources.ts";
import { FakeClock } from "./fake-clock.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** The health of a host whose readers return the test's values, on a clock that the test drives. */
export function driven(health: Partial<Config["health"]> = {}) {
  const clock = new FakeClock();
  const at = () => ({ wallMs: clock.now(), monotonicMs: clock.monotonicMs() });
  const rules = hostConditions({ config: configSchema.parse({ health }), offersKvm: () => undefined });
  const held = new Health({
    rules,
    flapping: { flips: 3, withinMs: 30 * MINUTE },
    at: at(),
    onChange: () => undefined,
  });
  return {
    allGood: (): void => {
      for (const [type, triggers] of Object.entries(rules))
        for (const trigger of Object.keys(triggers))
          // The table's own names, which the compiler cannot infer through a loop.
          held.observe(type as ConditionType, trigger as never, { kind: "good", evidence: "fine" }, at());
    },
    schedulable: () => held.answer({ probing: true, cordoned: false, guests: "false" }).schedulable,
    acknowledge: (type: ConditionType): void => held.acknowledge(type, at()),
    /** One read by a reader, or reads at its interval over some time. */
    report: <N extends ReaderName>(
      reader: N,
      reading: Reading<HostValue<N>>,
      everyMs = 0,
      forMs = 0,
    ): void => {
      const last = (() => reading) as HostReadings["last"];
      const readings = { ...fixedReadings({}), last };
      held.judge(reader, readings, at());
      for (let passed = 0; passed < forMs; passed += everyMs) {
        clock.advance(everyMs);
        held.judge(reader, readings, at());
      }
    },
    is: (type: ConditionType): string => {
      const found = held.conditions.find((condition) => condition.type === type);
      return `${found?.status ?? "?"} ${found?.effect ?? "?"} ${found?.reason ?? "?"}`;
    },
    why: (type: ConditionType) =>
      held.conditions.find((condition) => condition.type === type)?.evidence ?? "",
  };
}

export const read = <T>(value: T): Reading<T> => ({ kind: "read", value });
