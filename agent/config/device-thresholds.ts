import * as z from "zod";

const DAY_SECONDS = 86_400;
const seconds = (byDefault: number, words: string) =>
  z.number().min(0).max(DAY_SECONDS).default(byDefault).describe(words);

const celsius = (byDefault: number, words: string) =>
  z.number().min(0).max(50).default(byDefault).describe(words);

const count = (byDefault: number, words: string) =>
  z.number().int().min(1).max(1_000_000_000).default(byDefault).describe(words);

/** Thresholds to enter and leave the conditions of hardware and clock. */
export const deviceThresholds = {
  diskWearMaxRatio: z
    .number()
    .min(0)
    .max(1)
    .default(0.9)
    .describe("DiskWear: the share of a disk's life that may be used."),
  raidInSyncSeconds: seconds(300, "RaidDegraded: in sync for this long to leave."),
  bondSlaveDownSeconds: seconds(300, "BondDegraded: a link down for this long to enter."),
  bondDownSeconds: seconds(30, "BondDegraded: all links down for this long to keep new VMs away."),
  bondGoodSeconds: seconds(300, "BondDegraded: all links up for this long to leave."),
  clockMaxOffsetSeconds: z
    .number()
    .min(0)
    .max(DAY_SECONDS)
    .default(0.05)
    .describe("ClockUnsynced: largest allowed offset from the reference."),
  requireSyncedClock: z
    .boolean()
    .default(true)
    .describe(
      "ClockUnsynced: whether a time service must keep the clock synchronised. false: for trials only.",
    ),
  clockUnsyncedSeconds: seconds(
    600,
    "ClockUnsynced: unsynced, or too large an offset that does not shrink, for this long to enter.",
  ),
  clockGoodSeconds: seconds(600, "ClockUnsynced: good for this long to leave."),
  thermalMarginCelsius: celsius(
    5,
    "Thermal: entered at this distance to a sensor's critical point, or less.",
  ),
  thermalGoodMarginCelsius: celsius(10, "Thermal: left at this distance to it, or more."),
  thermalSeconds: seconds(60, "Thermal: too hot for this long to enter."),
  thermalGoodSeconds: seconds(600, "Thermal: cool for this long to leave."),
  partLostSeconds: seconds(60, "Fan and Psu: a part lost for this long to enter."),
  partGoodSeconds: seconds(600, "Fan and Psu: good for this long to leave."),
  memoryCorrectedPerDay: count(50, "MemoryCorrected, degraded: more errors of a DIMM within 24 h."),
  memoryCorrectedPerHour: count(1000, "MemoryCorrected, evacuate: more of them within an hour."),
  memoryCorrectedGoodSeconds: seconds(86_400, "MemoryCorrected: below half of that for this long to leave."),
  pcieNonfatalErrors: z
    .number()
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe("PcieErrors: more nonfatal errors of a device than this, within pcieNonfatalSeconds."),
  pcieNonfatalSeconds: seconds(600, "PcieErrors: window in which nonfatal errors are counted."),
  pcieCorrectedPerHour: count(
    100,
    "PcieErrors: more corrected errors of a device an hour, for pcieCorrectedSeconds.",
  ),
  pcieCorrectedSeconds: seconds(7200, "PcieErrors: that rate of corrected errors for this long to enter."),
  pcieCleanSeconds: seconds(3600, "PcieErrors: without an error of a device for this long to leave."),
  kernelFaultSeconds: seconds(3600, "KernelFault: time without an oops, lockup or hung task to leave."),
};
