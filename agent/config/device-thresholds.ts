import { DAY_SECONDS, flag, number, seconds, whole } from "./values.ts";

const celsius = (usual: number) => number(0, 50, usual);
const errors = (usual: number) => whole(1, 1_000_000_000, usual);

/** Thresholds to enter and leave the conditions of hardware and clock. */
export const deviceThresholds = {
  diskWearMaxRatio: number(0, 1, 0.9).describe("DiskWear: the share of a disk's life that may be used."),
  raidInSyncSeconds: seconds(300).describe("RaidDegraded: in sync for this long to leave."),
  bondSlaveDownSeconds: seconds(300).describe("BondDegraded: a link down for this long to enter."),
  bondDownSeconds: seconds(30).describe("BondDegraded: all links down for this long to keep new VMs away."),
  bondGoodSeconds: seconds(300).describe("BondDegraded: all links up for this long to leave."),
  clockMaxOffsetSeconds: number(0, DAY_SECONDS, 0.05).describe(
    "ClockUnsynced: largest allowed offset from the reference.",
  ),
  requireSyncedClock: flag(true).describe(
    "ClockUnsynced: whether a time service must keep the clock synchronised. false: for trials only.",
  ),
  clockUnsyncedSeconds: seconds(600).describe(
    "ClockUnsynced: unsynced, or too large an offset that does not shrink, for this long to enter.",
  ),
  clockGoodSeconds: seconds(600).describe("ClockUnsynced: good for this long to leave."),
  thermalMarginCelsius: celsius(5).describe(
    "Thermal: entered at this distance to a sensor's critical point, or less.",
  ),
  thermalGoodMarginCelsius: celsius(10).describe("Thermal: left at this distance to it, or more."),
  thermalSeconds: seconds(60).describe("Thermal: too hot for this long to enter."),
  thermalGoodSeconds: seconds(600).describe("Thermal: cool for this long to leave."),
  partLostSeconds: seconds(60).describe("Fan and Psu: a part lost for this long to enter."),
  partGoodSeconds: seconds(600).describe("Fan and Psu: good for this long to leave."),
  memoryCorrectedPerDay: errors(50).describe("MemoryCorrected, degraded: more errors of a DIMM within 24 h."),
  memoryCorrectedPerHour: errors(1000).describe("MemoryCorrected, evacuate: more of them within an hour."),
  memoryCorrectedGoodSeconds: seconds(86_400).describe(
    "MemoryCorrected: below half of that for this long to leave.",
  ),
  pcieNonfatalErrors: whole(0, 1_000_000_000, 0).describe(
    "PcieErrors: more nonfatal errors of a device than this, within pcieNonfatalSeconds.",
  ),
  pcieNonfatalSeconds: seconds(600).describe("PcieErrors: window in which nonfatal errors are counted."),
  pcieCorrectedPerHour: errors(100).describe(
    "PcieErrors: more corrected errors of a device an hour, for pcieCorrectedSeconds.",
  ),
  pcieCorrectedSeconds: seconds(7200).describe(
    "PcieErrors: that rate of corrected errors for this long to enter.",
  ),
  pcieCleanSeconds: seconds(3600).describe(
    "PcieErrors: without an error of a device for this long to leave.",
  ),
  kernelFaultSeconds: seconds(3600).describe(
    "KernelFault: time without an oops, lockup or hung task to leave.",
  ),
};
