import type { MemoryInfo } from "../../../hardware/memory/memory.ts";
import type { Pressure } from "../../../hardware/system/pressure.ts";
import { unknown, type Verdict } from "../trigger.ts";
import {
  above,
  below,
  percent,
  streak,
  watching,
  type ConditionContext,
  type ConditionTable,
} from "./condition.ts";

const MIB = 1024 ** 2;

export const memoryConditions = ({ config: { health } }: ConditionContext) => {
  const leave = streak(2, health.memoryGoodSeconds);
  const maxRatio = { degraded: health.memoryStalledRatio, no_schedule: health.memoryStalledBadlyRatio };
  // The kernel's 60 s average provides the duration.
  const stalls = (reason: string, effect: keyof typeof maxRatio) =>
    watching("pressure", { reason, effect, leave }, (pressure) =>
      stallVerdict(pressure.get("memory"), maxRatio[effect], health.headroom),
    );
  return {
    MemoryPressure: {
      available: watching(
        "memory",
        {
          reason: "LowAvailableMemory",
          effect: "degraded",
          enter: streak(2, health.memorySeconds),
          leave,
        },
        (memory) =>
          memoryVerdict(memory, {
            minBytes: health.memoryMinMiB * MIB,
            minRatio: health.memoryMinRatio,
            headroom: health.headroom,
          }),
      ),
      stalled: stalls("MemoryStalls", "degraded"),
      stalledBadly: stalls("MemoryStallsSevere", "no_schedule"),
    },
  } satisfies ConditionTable;
};

/** Available memory should be at least `minBytes`, or that ratio of memory outside huge pages if larger. */
export function memoryVerdict(
  { totalBytes, availableBytes, hugetlbBytes }: MemoryInfo,
  limits: { readonly minBytes: number; readonly minRatio: number; readonly headroom: number },
): Verdict {
  const limitBytes = Math.max(limits.minBytes, (totalBytes - hugetlbBytes) * limits.minRatio);
  const evidence = `${mib(availableBytes)} MiB available, at least ${mib(limitBytes)} MiB wanted`;
  return { kind: below(availableBytes, limitBytes, limits.headroom), evidence };
}

/** Share of the last minute in which all tasks waited for memory. */
export function stallVerdict(pressure: Pressure | undefined, limitRatio: number, headroom: number): Verdict {
  const ratio = pressure?.stalled?.avg60Ratio;
  if (ratio === undefined) return unknown("the kernel does not report memory stalls");
  const evidence = `all tasks at once waited for memory ${percent(ratio)} of the last minute`;
  return { kind: above(ratio, limitRatio, headroom), evidence };
}

const mib = (bytes: number): number => Math.floor(bytes / MIB);
