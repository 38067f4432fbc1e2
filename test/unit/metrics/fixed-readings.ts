import type { ReaderState, Sampled } from "../../../agent/host/readers/reader.ts";
import type { HostReadings, HostValue, ReaderName } from "../../../agent/host/readers/table.ts";
import { nowMs } from "./fixed-vms.ts";

type FixedValues = { readonly [N in ReaderName]?: Sampled<HostValue<N>> };

/** Readings that stand still; a reader without one found that the machine does not have it. */
export function fixedReadings(values: FixedValues): HostReadings {
  const states = Object.keys(values).map((name): ReaderState => ({
    name,
    state: "read",
    reason: "",
    lookedAtMs: nowMs - 3000,
    tookMs: 2,
  }));
  return {
    newest: (name) => values[name],
    last: (name) => {
      const sampled = values[name];
      if (sampled !== undefined) return { kind: "read", value: sampled.value };
      return { kind: "unsupported", reason: "not here" };
    },
    states: () => states,
  };
}

const sampled = <T>(value: T, intervalMs = 10_000): Sampled<T> => ({
  value,
  readAtMs: nowMs - 3000,
  ageMs: 3000,
  intervalMs,
});
const bytesByName = new Map([
  ["MemTotal", 16 * 2 ** 30],
  ["MemAvailable", 10 * 2 ** 30],
  ["SomethingNew", 1],
]);
const traffic = { bytes: 1e12, packets: 1e9, errors: 1, drops: 2 };
const stall = { avg10Ratio: 0, avg60Ratio: 0, avg300Ratio: 0, totalSeconds: 1.5 };

const failingDisk = {
  name: "nvme1",
  model: "SSD 4T",
  serial: "S1",
  firmware: "2.0",
  state: "live",
  asleep: false,
};
const requests = { ops: 1000, merged: 40, bytes: 4_096_000, seconds: 1.25 };

const deviceValues: FixedValues = {
  diskIo: sampled([
    {
      device: "nvme0n1",
      read: requests,
      write: { ...requests, ops: 3000 },
      inProgress: 2,
      busySeconds: 1.75,
      weightedSeconds: 2.5,
      discard: { ...requests, ops: 7 },
      flush: { ops: 12, seconds: 0.125 },
    },
    // By an old kernel.
    {
      device: "sda",
      read: requests,
      write: requests,
      inProgress: 0,
      busySeconds: 1.75,
      weightedSeconds: 2.5,
    },
  ]),
  disks: sampled([failingDisk]),
  diskHealth: sampled([
    {
      disk: failingDisk,
      health: {
        kind: "read",
        value: {
          wearRatio: 1.02,
          spareRatio: 0.04,
          spareThresholdRatio: 0.1,
          mediaErrors: 118,
          temperatureCelsius: 44,
          warnings: new Map([
            ["spare", true],
            ["read_only", false],
          ]),
        },
      },
    },
    { disk: { ...failingDisk, name: "sda" }, health: { kind: "failed", reason: "it does not answer" } },
  ]),
  raid: sampled([
    { name: "md0", level: "raid1", state: "recovering", disks: 2, degradedDisks: 1 },
    { name: "md1", level: "raid0", state: "active", disks: 4 },
  ]),
  mounts: sampled([
    {
      mountPoint: "/var/lib/libvirt/images",
      type: "xfs",
      source: "/dev/md0",
      readOnly: true,
      holdsVms: true,
    },
  ]),
  bonds: sampled([
    {
      name: "bond0",
      mode: "802.3ad",
      slaves: [
        { name: "ens1f0", up: true },
        { name: "ens1f1", up: false },
      ],
    },
  ]),
  sriov: sampled([
    { interfaceName: "ens1f0", pciAddress: "0000:3b:00.0", total: 64, enabled: 8, assigned: 3 },
  ]),
  eventLoopLag: sampled({ p99Ms: 1.5, maxMs: 42 }),
  ksm: sampled({ running: true, savedBytes: 2 ** 30 }),
  clock: sampled({ source: "chrony", synced: true, offsetSeconds: -0.000_25 }),
  watchdogs: sampled([
    {
      name: "watchdog0",
      identity: "iTCO_wdt",
      active: true,
      timeoutSeconds: 30,
      timeLeftSeconds: 21,
      causedLastBoot: false,
    },
    { name: "watchdog1", identity: "IPMI" },
  ]),
  firmware: sampled([{ component: "bios", version: "2.7" }]),
  bmcPower: sampled(212),
  certificate: sampled({ notBeforeMs: nowMs - 86_400_000, notAfterMs: nowMs + 3 * 86_400_000 }),
  gpus: sampled([
    {
      uuid: "GPU-1a2b",
      model: "NVIDIA L40S",
      pciAddress: "00000000:17:00.0",
      driver: "570.86.10",
      temperatureCelsius: 41,
      utilizationRatio: 0.07,
      memoryTotalBytes: 48 * 2 ** 30,
      memoryUsedBytes: 2 ** 30,
    },
  ]),
};

/** What the readers of a machine with one cell give. */
export const fixedValues: FixedValues = {
  memory: sampled({ totalBytes: 16 * 2 ** 30, availableBytes: 10 * 2 ** 30, hugetlbBytes: 0, bytesByName }),
  cells: sampled([
    {
      id: 0,
      cpus: { kind: "read", value: [0, 1] },
      memory: { kind: "read", value: { totalBytes: 16 * 2 ** 30, freeBytes: 2 ** 30, bytesByName } },
      distances: { kind: "read", value: [10] },
      hugepages: {
        kind: "read",
        value: [
          { sizeBytes: 2 ** 21, total: 512, free: 12 },
          { sizeBytes: 2 ** 30, total: 4, free: 0 },
        ],
      },
    },
    {
      id: 1,
      cpus: { kind: "read", value: [] },
      memory: { kind: "failed", reason: "the file could not be read" },
      distances: { kind: "read", value: [20] },
      hugepages: { kind: "unsupported", reason: "none" },
    },
  ]),
  cpu: sampled({ secondsByMode: { user: 1000.25, idle: 50_000.5 } }),
  cpuFrequency: sampled({ lowestHertz: 8e8, averageHertz: 2.45e9, highestHertz: 3.4e9 }, 60_000),
  activity: sampled({
    loadAverage: { 1: 12.41, 5: 9.87, 15: 8.02 },
    threads: 3127,
    running: 14,
    blocked: 2,
    contextSwitches: 8_211_442,
    interrupts: 199_292,
    forks: 114_219,
    openFiles: 5728,
    maxOpenFiles: 2 ** 63,
    majorFaults: 9844,
    swapInBytes: 49_152,
    swapOutBytes: 1_392_640,
    oomKills: 2,
  }),
  networkStack: sampled({
    softnet: { dropped: 26, squeezed: 17 },
    tcp: { inUse: 47, orphaned: 1, timeWait: 12 },
    conntrack: { entries: 18_231, limit: 262_144 },
  }),
  pressure: sampled(new Map([["memory" as const, { waiting: stall, stalled: stall }]])),
  interfaces: sampled([
    { name: "eth0", receive: traffic, transmit: traffic, up: true, speedBytesPerSecond: 1.25e9 },
    { name: "lo", receive: traffic, transmit: traffic },
  ]),
  filesystems: sampled(
    new Map([
      [
        "/var/lib/socle",
        {
          kind: "read",
          value: { sizeBytes: 1e12, usedBytes: 4e11, availableBytes: 6e11, availableRatio: 0.6 },
        },
      ],
      ["/srv/nfs", { kind: "failed", reason: "it does not answer" }],
    ]),
    60_000,
  ),
  ...deviceValues,
};
