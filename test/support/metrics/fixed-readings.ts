import type { ReaderState, Sampled } from "../../../agent/host/health/readers/reader.ts";
import type { HostReadings, HostValue, ReaderName } from "../../../agent/host/health/readers/table.ts";
import { parseSensors } from "../../../agent/hardware/bmc/bmc-text.ts";
import { nowMs } from "./fixed-vms.ts";

type FixedValues = { readonly [N in ReaderName]?: Sampled<HostValue<N>> };

/** Fixed readings; a reader without one reports that the machine lacks the hardware. */
export function fixedReadings(values: FixedValues): HostReadings {
  const looked = { lookedAtMs: nowMs - 3000, tookMs: 2 };
  const read = Object.keys(values).map((name): ReaderState => ({
    name,
    state: "read",
    reason: "",
    ...looked,
  }));
  const states: ReaderState[] =
    values.throttling === undefined
      ? [...read, { name: "throttling", state: "unsupported", reason: "not here", ...looked }]
      : read;
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
const stall = { avg60Ratio: 0, totalSeconds: 1.5 };

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
    // From an old kernel.
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
  mappedDevices: sampled([{ device: "dm-3", name: "vg0-vm--disks" }]),
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
          powerOnSeconds: 95_328_000,
          powerCycles: 18,
          unsafeShutdowns: 9,
          readBytes: 659_128_944_640_000,
          writtenBytes: 1_695_707_341_312_000,
          reallocatedSectors: 12,
          pendingSectors: 8,
          uncorrectableSectors: 2,
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
  sriov: sampled([{ interfaceName: "ens1f0", total: 64, enabled: 8, assigned: 3 }]),
  eventLoopLag: sampled({ p99Ms: 1.5, maxMs: 42 }),
  ksm: sampled({ savedBytes: 2 ** 30 }),
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
  sensors: sampled({
    temperatures: [
      { chip: "coretemp.0", sensor: "Package id 0", celsius: 61, criticalCelsius: 100, criticalAlarm: false },
    ],
    fans: [{ chip: "nct6798", sensor: "SYS_FAN1", rpm: 5400, isFailed: false }],
    voltages: [{ chip: "nct6798", sensor: "CPU Vcore", volts: 1.016 }],
    currents: [{ chip: "power_meter-ACPI000D:00", sensor: "PSU1 in", amperes: 1.79 }],
    powers: [{ chip: "power_meter-ACPI000D:00", sensor: "power1", watts: 412 }],
    unread: { temperatures: [], fans: [] },
    silent: [],
  }),
  bmc: sampled(
    parseSensors(
      [
        "Inlet Temp,23,degrees C,ok,7.1,System Board,Temperature,,,,55.000,47.000,42.000,0.000,0.000,0.000,0.000,255.000",
        "Fan1 RPM,5400,RPM,ok,29.1,Fan Device,Fan,,,,0.000,0.000,0.000,600.000,1200.000,1800.000,0.000,15300.000",
        "Fan1 Duty,35,percent,ok,29.1,Fan Device,Fan,,,,0.000,0.000,0.000,0.000,0.000,0.000,0.000,100.000",
        "PSU1 Voltage,230,Volts,ok,10.1,Power Supply,Voltage,,,,0.000,0.000,0.000,0.000,0.000,0.000,0.000,255.000",
        "PSU1 Current,0.800,Amps,ok,10.1,Power Supply,Current,,,,0.000,0.000,0.000,0.000,0.000,0.000,0.000,25.500",
        "System Power,220,Watts,ok,7.1,System Board,Other,,,,0.000,0.000,0.000,0.000,0.000,0.000,0.000,510.000",
        "PS1 Status,06h,ok,10.1,Presence detected",
        "PS2 Status,07h,ok,10.2,Presence detected, Failure detected",
      ].join("\n"),
    ),
    60_000,
  ),
  bmcEvents: sampled(
    {
      entries: 117,
      counts: new Map([
        ["info", 3],
        ["warning", 1],
        ["critical", 2],
      ]),
      overflowed: false,
    },
    60_000,
  ),
  bmcPower: sampled(212),
  bmcChassis: sampled(
    {
      isOn: true,
      faults: new Map([
        ["drive", true],
        ["cooling", false],
      ]),
    },
    60_000,
  ),
  bmcFirmware: sampled("7.10", 600_000),
  certificate: sampled({ notBeforeMs: nowMs - 86_400_000, notAfterMs: nowMs + 3 * 86_400_000 }),
  gpus: sampled([
    {
      uuid: "GPU-1a2b",
      model: "NVIDIA L40S",
      pciAddress: "00000000:17:00.0",
      driver: "570.86.10",
      temperatureCelsius: 41,
      powerWatts: 81.5,
      utilizationRatio: 0.07,
      memoryTotalBytes: 48 * 2 ** 30,
      memoryUsedBytes: 2 ** 30,
      uncorrectedErrors: 1,
    },
  ]),
};

/** The readings of a machine with one cell. */
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
  cpu: sampled({
    secondsByMode: { user: 1000.25, idle: 50_000.5 },
    running: 14,
    blocked: 2,
    contextSwitches: 8_211_442,
    interrupts: 199_292,
    forks: 114_219,
  }),
  cpuFrequency: sampled({ lowestHertz: 8e8, averageHertz: 2.45e9, highestHertz: 3.4e9 }, 60_000),
  activity: sampled({
    loadAverage: { 1: 12.41, 5: 9.87, 15: 8.02 },
    threads: 3127,
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
  pressure: sampled(
    new Map([
      ["cpu" as const, { waiting: stall, stalled: stall }],
      ["memory" as const, { waiting: stall, stalled: stall }],
      ["io" as const, { waiting: stall, stalled: stall }],
    ]),
  ),
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
