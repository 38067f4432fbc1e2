import type { MemoryModule } from "../../../hardware/memory/edac.ts";
import type { KernelLog } from "../../../hardware/system/kernel-log.ts";
import type { PcieDevice, PcieSeverity } from "../../../hardware/pci/pcie.ts";
import { bad, good, unknown, type Moment, type Verdict } from "../trigger.ts";
import {
  each,
  HOUR,
  MINUTE,
  SECOND,
  streak,
  watching,
  type ConditionContext,
  type ConditionTable,
  type Verdicts,
} from "./condition.ts";
import { Growth } from "./growth.ts";

const DAY = 24 * HOUR;
/** Memory that lost data stays untrusted, even without new errors. */
const untilReplaced = { latch: "reboot_and_acknowledge" } as const;

export const memoryErrorConditions = ({ config }: ConditionContext) => {
  const { memoryCorrectedPerDay, memoryCorrectedPerHour, memoryCorrectedGoodSeconds } = config.health;
  const leave = streak(1, memoryCorrectedGoodSeconds);
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
        { reason: "ManyCorrectedMemoryErrors", effect: "degraded", leave, looksBackMs: DAY },
        (modules, { monotonicMs }) => day(modules, memoryCorrectedPerDay, monotonicMs),
      ),
      perHour: watching(
        "memoryErrors",
        { reason: "CorrectedMemoryErrorStorm", effect: "evacuate", leave, looksBackMs: HOUR },
        (modules, { monotonicMs }) => hour(modules, memoryCorrectedPerHour, monotonicMs),
      ),
    },
  } satisfies ConditionTable;
};

const uncorrectedVerdicts = (modules: readonly MemoryModule[]): Verdicts =>
  each(modules, nameOf, ({ dimm, uncorrectedErrors }) => {
    if (uncorrectedErrors === undefined) return notCounted(dimm, "uncorrected");
    if (uncorrectedErrors === 0) return good("no uncorrected memory error since boot");
    return bad(`${dimm} has ${uncorrectedErrors} uncorrected errors`);
  });

const nameOf = ({ dimm }: MemoryModule): string => dimm;
const notCounted = (dimm: string, which: string): Verdict =>
  unknown(`the ${which} errors of ${dimm} cannot be read`);

function machineCheckVerdict({ faults }: KernelLog): Verdict {
  const newest = faults.findLast(({ isUncorrected }) => isUncorrected === true);
  if (newest === undefined) return good("no uncorrected machine check in the kernel's log");
  return bad(newest.text);
}

/** Bad over the limit within the window, good below half of it. */
function correctedWithin(windowMs: number) {
  const growth = new Growth(windowMs);
  return (modules: readonly MemoryModule[], limit: number, monotonicMs: number): Verdicts =>
    each(modules, nameOf, ({ dimm, correctedErrors }) => {
      if (correctedErrors === undefined) return notCounted(dimm, "corrected");
      const errors = growth.add(dimm, correctedErrors, monotonicMs);
      const hours = windowMs / HOUR;
      if (errors === 0) return good(`no corrected memory error within ${hours} h`);
      const evidence = `${errors} corrected memory errors within ${hours} h at ${dimm}, ${limit} are the limit`;
      if (errors > limit) return bad(evidence);
      return { kind: errors < limit / 2 ? "good" : "between", evidence };
    });
}

export const pcieConditions = ({ config: { health } }: ConditionContext) => {
  const cleanMs = health.pcieCleanSeconds * SECOND;
  const rule = { looksBackMs: cleanMs } as const;
  const fatal = pcieWithin("fatal", { windowMs: cleanMs, limit: 0, cleanMs });
  const nonfatal = pcieWithin("nonfatal", {
    windowMs: health.pcieNonfatalSeconds * SECOND,
    limit: health.pcieNonfatalErrors,
    cleanMs,
  });
  const corrected = pcieWithin("correctable", {
    windowMs: HOUR,
    limit: health.pcieCorrectedPerHour,
    cleanMs,
  });
  return {
    PcieErrors: {
      fatal: watching("pcie", { ...rule, reason: "FatalPcieError", effect: "no_schedule" }, fatal),
      nonfatal: watching("pcie", { ...rule, reason: "NonfatalPcieError", effect: "degraded" }, nonfatal),
      corrected: watching(
        "pcie",
        {
          ...rule,
          reason: "ManyCorrectedPcieErrors",
          effect: "degraded",
          enter: streak(2, health.pcieCorrectedSeconds),
        },
        corrected,
      ),
    },
  } satisfies ConditionTable;
};

/** A device is bad over the limit within the window, and good after `cleanMs` without errors. */
function pcieWithin(
  severity: PcieSeverity,
  {
    windowMs,
    limit,
    cleanMs,
  }: { readonly windowMs: number; readonly limit: number; readonly cleanMs: number },
) {
  const [recent, uncleared] = [new Growth(windowMs), new Growth(cleanMs)];
  return (devices: readonly PcieDevice[], { monotonicMs }: Moment): Verdicts =>
    each(
      devices,
      ({ device }) => device,
      ({ device, errors }) => {
        const total = errors[severity];
        if (total === undefined) return unknown(`the ${severity} errors of ${device} cannot be read`);
        const grown = recent.add(device, total, monotonicMs);
        if (uncleared.add(device, total, monotonicMs) === 0)
          return good(`no ${severity} error within ${cleanMs / MINUTE} min`);
        const evidence = `${device} had ${grown} ${severity} errors within ${windowMs / MINUTE} min`;
        return { kind: grown > limit ? "bad" : "between", evidence };
      },
    );
}
