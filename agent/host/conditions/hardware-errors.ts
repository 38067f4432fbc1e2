import type { MemoryModule } from "../../hardware/edac.ts";
import type { KernelLog } from "../../hardware/kernel-log.ts";
import type { PcieDevice, PcieSeverity } from "../../hardware/pcie.ts";
import type { Verdict } from "../trigger.ts";
import {
  atOnce,
  each,
  HOUR,
  watching,
  worstOf,
  type ConditionContext,
  type ConditionTable,
  type Verdicts,
} from "./condition.ts";
import { Growth } from "./growth.ts";

const DAY = 24 * HOUR;
/** Memory that lost data is not trusted again because it has been quiet. */
const untilReplaced = { enter: atOnce, leave: atOnce, latch: "reboot_and_acknowledge" } as const;

export const memoryErrorConditions = ({ config }: ConditionContext) => {
  const { memoryCorrectedPerDay, memoryCorrectedPerHour } = config.health;
  const [day, hour] = [correctedWithin(DAY), correctedWithin(HOUR)];
  return {
    MemoryUncorrected: {
      counted: watching(
        "memoryErrors",
        { reason: "UncorrectedMemoryError", effect: "evacuate", ...untilReplaced },
        uncorrectedVerdicts,
      ),
      machineCheck: watching(
        "kernelLog",
        { reason: "FatalMachineCheck", effect: "evacuate", ...untilReplaced },
        machineCheckVerdict,
      ),
    },
    MemoryCorrected: {
      perDay: watching(
        "memoryErrors",
        {
          reason: "ManyCorrectedMemoryErrors",
          effect: "degraded",
          enter: atOnce,
          leave: atOnce,
          looksBackMs: DAY,
        },
        (modules, { monotonicMs }) => day(modules, memoryCorrectedPerDay, monotonicMs),
      ),
      perHour: watching(
        "memoryErrors",
        {
          reason: "StormOfCorrectedMemoryErrors",
          effect: "evacuate",
          enter: atOnce,
          leave: { probes: 1, forMs: DAY },
          looksBackMs: HOUR,
        },
        (modules, { monotonicMs }) => hour(modules, memoryCorrectedPerHour, monotonicMs),
      ),
    },
  } satisfies ConditionTable;
};

export function uncorrectedVerdicts(modules: readonly MemoryModule[]): Verdicts {
  return each(modules, nameOf, ({ dimm, uncorrectedErrors }) => {
    if (uncorrectedErrors === undefined) return notCounted(dimm, "uncorrected");
    if (uncorrectedErrors === 0) return { kind: "good", evidence: "no uncorrected memory error since boot" };
    return { kind: "bad", evidence: `${dimm} has ${uncorrectedErrors} uncorrected errors` };
  });
}

const nameOf = ({ dimm }: MemoryModule): string => dimm;
const notCounted = (dimm: string, which: string): Verdict => ({
  kind: "unknown",
  evidence: `the ${which} errors of ${dimm} cannot be read`,
});

export function machineCheckVerdict({ faults }: KernelLog): Verdict {
  const newest = faults.findLast(({ isUncorrected }) => isUncorrected === true);
  if (newest === undefined)
    return { kind: "good", evidence: "no uncorrected machine check in the kernel's log" };
  return { kind: "bad", evidence: newest.text };
}

/** Over the limit within the window; good again once it is below half of it. */
function correctedWithin(windowMs: number) {
  const growth = new Growth(windowMs);
  return (modules: readonly MemoryModule[], limit: number, monotonicMs: number): Verdicts =>
    each(modules, nameOf, ({ dimm, correctedErrors }) => {
      if (correctedErrors === undefined) return notCounted(dimm, "corrected");
      const errors = growth.add(dimm, correctedErrors, monotonicMs);
      const hours = windowMs / HOUR;
      if (errors === 0) return { kind: "good", evidence: `no corrected memory error within ${hours} h` };
      const evidence = `${errors} corrected memory errors within ${hours} h at ${dimm}, ${limit} are the limit`;
      if (errors > limit) return { kind: "bad", evidence };
      return { kind: errors < limit / 2 ? "good" : "between", evidence };
    });
}

export const pcieConditions = ({ config }: ConditionContext) => {
  const { pcieCorrectedPerHour } = config.health;
  const fatal = pcieWithinHour("fatal");
  const nonfatal = pcieWithinHour("nonfatal");
  const corrected = pcieWithinHour("correctable");
  return {
    // Each is over an hour's window: an hour without any is the way to leave.
    PcieErrors: {
      fatal: watching(
        "pcie",
        { reason: "FatalPcieError", effect: "no_schedule", enter: atOnce, leave: atOnce, looksBackMs: HOUR },
        (devices, { monotonicMs }) => fatal(devices, 0, monotonicMs),
      ),
      nonfatal: watching(
        "pcie",
        { reason: "NonfatalPcieError", effect: "degraded", enter: atOnce, leave: atOnce, looksBackMs: HOUR },
        (devices, { monotonicMs }) => nonfatal(devices, 0, monotonicMs),
      ),
      corrected: watching(
        "pcie",
        {
          reason: "ManyCorrectedPcieErrors",
          effect: "degraded",
          enter: { probes: 2, forMs: 2 * HOUR },
          leave: atOnce,
          looksBackMs: HOUR,
        },
        (devices, { monotonicMs }) => corrected(devices, pcieCorrectedPerHour, monotonicMs),
      ),
    },
  } satisfies ConditionTable;
};

function pcieWithinHour(severity: PcieSeverity) {
  const growth = new Growth(HOUR);
  return (devices: readonly PcieDevice[], limit: number, monotonicMs: number): Verdict => {
    const verdicts = devices.flatMap(({ device, errors }): Verdict[] => {
      const total = errors[severity];
      if (total === undefined)
        return [{ kind: "unknown", evidence: `the ${severity} errors of ${device} cannot be read` }];
      const grown = growth.add(device, total, monotonicMs);
      const evidence = `${device} had ${grown} ${severity} errors within an hour`;
      return grown > limit ? [{ kind: "bad", evidence }] : grown > 0 ? [{ kind: "between", evidence }] : [];
    });
    return verdicts.length > 0
      ? worstOf(verdicts)
      : { kind: "good", evidence: `no ${severity} error within an hour on ${devices.length} devices` };
  };
}
