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

/** When a health condition is entered and left. */
export const healthSchema = z.strictObject({
  paths: z
    .array(absolutePath)
    .default([])
    .describe("Further filesystems to watch; the state directory and the pools are always watched."),
  flips: count(2, 100, 3, "A condition that changes so often within flapSeconds is held until acknowledged."),
  flapSeconds: seconds(60, day, 1800, "Within how long flips are counted."),
  headroom: z
    .number()
    .min(1)
    .max(10)
    .default(1.5)
    .describe(
      "DiskSpace, MemoryPressure, ClockUnsynced: left at so many times the room they are entered at.",
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
    "MemoryPressure: least available memory (or memoryMinRatio of all, the larger).",
  ),
  memoryMinRatio: ratio(0.9, 0.03, "MemoryPressure: least available of what is not in huge pages."),
  memoryStalledRatio: ratio(
    1,
    0.1,
    "MemoryPressure, degraded: all tasks waited for memory this part of a minute.",
  ),
  memoryStalledBadlyRatio: ratio(1, 0.2, "MemoryPressure, no_schedule: the same, worse."),
  memorySeconds: seconds(0, day, 60, "MemoryPressure: too little for this long to enter."),
  memoryGoodSeconds: seconds(0, day, 300, "MemoryPressure: enough, with headroom, for this long to leave."),
  eventLoopLagMaxSeconds: seconds(0.1, 60, 1, "AgentImpaired: most that the event loop may lag (p99)."),
  eventLoopLagSeconds: seconds(0, day, 60, "AgentImpaired: lag for this long to enter."),
  eventLoopGoodSeconds: seconds(0, day, 120, "AgentImpaired: no lag for this long to leave."),
  vmStartFailures: count(
    1,
    1000,
    3,
    "VmStartFailures: so many VMs that could not be started, by no fault of their own; of each tenant, and of each image, one counts.",
  ),
  vmStartFailureSeconds: seconds(1, day, 600, "VmStartFailures: within this long."),
  vmStartGoodSeconds: seconds(1, day, 1800, "VmStartFailures: without another for this long to leave."),
  certificateMinLifeRatio: ratio(
    1,
    0.25,
    "CertificateExpiring: least of its life that the host's certificate should have left.",
  ),
  poolFailures: count(1, 100, 3, "StoragePool: so many looks in a row that find a pool out of order."),
  poolGoodSeconds: seconds(0, day, 120, "StoragePool: good for this long to leave."),
  ...deviceThresholds,
});
