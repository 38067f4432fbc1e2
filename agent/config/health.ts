import * as z from "zod";
import { deviceThresholds } from "./device-thresholds.ts";

const seconds = (min: number, max: number, byDefault: number, words: string) =>
  z.number().min(min).max(max).default(byDefault).describe(words);
const count = (min: number, max: number, byDefault: number, words: string) =>
  z.number().int().min(min).max(max).default(byDefault).describe(words);
const ratio = (max: number, byDefault: number, words: string) =>
  z.number().min(0).max(max).default(byDefault).describe(words);
const absolutePath = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");
const day = 86_400;

/** Thresholds to enter and leave health conditions. */
export const healthSchema = z.strictObject({
  paths: z
    .array(absolutePath)
    .default([])
    .describe("Further filesystems to watch; the state directory and the pools are always watched."),
  flips: count(
    2,
    100,
    3,
    "A condition that changes this often within flapSeconds is held until acknowledged.",
  ),
  flapSeconds: seconds(60, day, 1800, "Window in which flips are counted."),
  headroom: z
    .number()
    .min(1)
    .max(10)
    .default(1.5)
    .describe(
      "DiskSpace, MemoryPressure, ClockUnsynced: left at this multiple of the margin at which they are entered.",
    ),
  libvirtProbeSeconds: seconds(1, 300, 10, "How often libvirt is probed."),
  libvirtProbeTimeoutSeconds: seconds(1, 60, 5, "Deadline of the probe."),
  libvirtProbeFailures: count(1, 100, 3, "LibvirtUnresponsive: failed probes in a row."),
  libvirtGoodSeconds: seconds(0, day, 60, "LibvirtUnresponsive: good for this long to leave (and 3 probes)."),
  diskSpaceMinRatio: ratio(0.9, 0.1, "DiskSpace: least free, as a ratio of the filesystem."),
  diskSpaceGoodSeconds: seconds(0, day, 300, "DiskSpace: good for this long to leave."),
  memoryMinMiB: count(
    0,
    Number.MAX_SAFE_INTEGER,
    2048,
    "MemoryPressure: least available memory (or memoryMinRatio of all memory, if larger).",
  ),
  memoryMinRatio: ratio(0.9, 0.03, "MemoryPressure: least available share of memory outside huge pages."),
  memoryStalledRatio: ratio(
    1,
    0.1,
    "MemoryPressure, degraded: share of a minute in which all tasks waited for memory.",
  ),
  memoryStalledBadlyRatio: ratio(1, 0.2, "MemoryPressure, no_schedule: the same share, higher."),
  memorySeconds: seconds(0, day, 60, "MemoryPressure: too little for this long to enter."),
  memoryGoodSeconds: seconds(0, day, 300, "MemoryPressure: enough, with headroom, for this long to leave."),
  eventLoopLagMaxSeconds: seconds(0.1, 60, 1, "AgentImpaired: largest allowed event-loop lag (p99)."),
  eventLoopLagSeconds: seconds(0, day, 60, "AgentImpaired: lag for this long to enter."),
  eventLoopGoodSeconds: seconds(0, day, 120, "AgentImpaired: no lag for this long to leave."),
  vmStartFailures: count(
    1,
    1000,
    3,
    "VmStartFailures: this many VMs that failed to start through no fault of their own; one per tenant and image counts.",
  ),
  vmStartFailureSeconds: seconds(1, day, 600, "VmStartFailures: window in which failures are counted."),
  vmStartGoodSeconds: seconds(1, day, 1800, "VmStartFailures: no further failure for this long to leave."),
  certificateMinLifeRatio: ratio(
    1,
    0.25,
    "CertificateExpiring: least remaining share of the host certificate's lifetime.",
  ),
  poolFailures: count(1, 100, 3, "StoragePool: failed checks of a pool in a row to enter."),
  poolGoodSeconds: seconds(0, day, 120, "StoragePool: good for this long to leave."),
  ...deviceThresholds,
});
