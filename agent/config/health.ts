import * as z from "../kernel/zod.ts";
import { deviceThresholds } from "./device-thresholds.ts";
import { absolutePath, DAY_SECONDS, number, seconds, whole } from "./values.ts";

/** Thresholds to enter and leave health conditions. */
export const healthSchema = z.strictObject({
  paths: z
    .array(absolutePath)
    .default([])
    .describe("Further filesystems to watch; the state directory and the pools are always watched."),
  flips: whole(2, 100, 3).describe(
    "A condition that changes this often within flapSeconds is held until acknowledged.",
  ),
  flapSeconds: number(60, DAY_SECONDS, 1800).describe("Window in which flips are counted."),
  headroom: number(1, 10, 1.5).describe(
    "DiskSpace, MemoryPressure, ClockUnsynced: left at this multiple of the margin at which they are entered.",
  ),
  libvirtProbeSeconds: number(1, 300, 10).describe("How often libvirt is probed."),
  libvirtProbeTimeoutSeconds: number(1, 60, 5).describe("Deadline of the probe."),
  libvirtProbeFailures: whole(1, 100, 3).describe("LibvirtUnresponsive: failed probes in a row."),
  libvirtGoodSeconds: seconds(60).describe(
    "LibvirtUnresponsive: good for this long to leave (and 3 probes).",
  ),
  diskSpaceMinRatio: number(0, 0.9, 0.1).describe("DiskSpace: least free, as a ratio of the filesystem."),
  diskSpaceGoodSeconds: seconds(300).describe("DiskSpace: good for this long to leave."),
  memoryMinMiB: whole(0, Number.MAX_SAFE_INTEGER, 2048).describe(
    "MemoryPressure: least available memory (or memoryMinRatio of all memory, if larger).",
  ),
  memoryMinRatio: number(0, 0.9, 0.03).describe(
    "MemoryPressure: least available share of memory outside huge pages.",
  ),
  memoryStalledRatio: number(0, 1, 0.1).describe(
    "MemoryPressure, degraded: share of a minute in which all tasks waited for memory.",
  ),
  memoryStalledBadlyRatio: number(0, 1, 0.2).describe("MemoryPressure, no_schedule: the same share, higher."),
  memorySeconds: seconds(60).describe("MemoryPressure: too little for this long to enter."),
  memoryGoodSeconds: seconds(300).describe("MemoryPressure: enough, with headroom, for this long to leave."),
  eventLoopLagMaxSeconds: number(0.1, 60, 1).describe("AgentImpaired: largest allowed event-loop lag (p99)."),
  eventLoopLagSeconds: seconds(60).describe("AgentImpaired: lag for this long to enter."),
  eventLoopGoodSeconds: seconds(120).describe("AgentImpaired: no lag for this long to leave."),
  vmStartFailures: whole(1, 1000, 3).describe(
    "VmStartFailures: this many VMs that failed to start through no fault of their own; one per tenant and image counts.",
  ),
  vmStartFailureSeconds: number(1, DAY_SECONDS, 600).describe(
    "VmStartFailures: window in which failures are counted.",
  ),
  vmStartGoodSeconds: number(1, DAY_SECONDS, 1800).describe(
    "VmStartFailures: no further failure for this long to leave.",
  ),
  certificateMinLifeRatio: number(0, 1, 0.25).describe(
    "CertificateExpiring: least remaining share of the host certificate's lifetime.",
  ),
  poolFailures: whole(1, 100, 3).describe("StoragePool: failed checks of a pool in a row to enter."),
  poolGoodSeconds: seconds(120).describe("StoragePool: good for this long to leave."),
  ...deviceThresholds,
});
