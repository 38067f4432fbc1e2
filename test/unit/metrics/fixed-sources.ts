import type { HostSnapshot, HostView } from "../../../agent/host/host.ts";
import type { ReaderState, Sampled } from "../../../agent/host/readers/reader.ts";
import type { HostReadings, HostValue, ReaderName } from "../../../agent/host/readers/table.ts";
import type { Sources } from "../../../agent/metrics/sources.ts";
import type { Vm, VmStats, VmView } from "../../../agent/vm/vm.ts";

/** The moment that the fixed inputs are looked at. */
export const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export function vm(index: number, changes: Partial<Vm> = {}): Vm {
  return {
    id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    name: `vm-${index}`,
    presence: "present",
    observedAtMs: nowMs - 1000,
    state: "running",
    stateReason: "BOOTED",
    managed: true,
    accelerator: "kvm",
    vcpus: 2,
    memoryBytes: 2 ** 30,
    cells: [],
    tenant: "blue",
    labels: {},
    placementEpoch: 0,
    disks: [],
    nics: [],
    etag: "1",
    stats: stats(index),
    ...changes,
  };
}

export function stats(index: number, changes: Partial<VmStats> = {}): VmStats {
  return {
    sampledAtMs: nowMs - 2000,
    sampledAtMonotonicMs: nowMs - 2000,
    unresponsive: false,
    cpuSeconds: index + 12.5,
    cpuUserSeconds: 2.25,
    cpuSystemSeconds: 1.125,
    vcpus: [
      { index: 0, seconds: 6.5, waitSeconds: 0.5, delaySeconds: 0.25 },
      { index: 1, seconds: 6, waitSeconds: 0 },
    ],
    balloonBytes: 2 ** 30,
    balloonMaximumBytes: 2 ** 30,
    rssBytes: 250_000_000 + index,
    guestSaidAtMs: nowMs - 4000,
    guestAvailableBytes: 1_000_000_000,
    guestUsableBytes: 800_000_000,
    guestUnusedBytes: 700_000_000,
    guestDiskCachesBytes: 50_000_000,
    guestSwapInBytes: 0,
    guestSwapOutBytes: 0,
    guestMajorFaults: 12,
    guestMinorFaults: 3456,
    nics: [
      {
        device: "vnet0",
        receiveBytes: 1000,
        receivePackets: 10,
        receiveErrors: 0,
        receiveDrops: 1,
        transmitBytes: 2000,
        transmitPackets: 20,
        transmitErrors: 0,
        transmitDrops: 0,
      },
    ],
    disks: [
      {
        device: "vda",
        readOps: 100,
        readBytes: 409600,
        readSeconds: 0.5,
        writeOps: 10,
        writeBytes: 40960,
        writeSeconds: 0.25,
        flushOps: 3,
        flushSeconds: 0.125,
        capacityBytes: 2 ** 31,
        allocatedBytes: 2 ** 20,
        physicalBytes: 2 ** 21,
      },
    ],
    migrationProcessedBytes: 300_000,
    migrationRemainingBytes: 700_000,
    ...changes,
  };
}

export function vmView(vms: readonly Vm[], changes: Partial<VmView> = {}): VmView {
  return {
    get: (id) => vms.find((vm) => vm.id === id || vm.name === id),
    all: () => vms,
    complete: true,
    observedAtMs: nowMs - 1000,
    lastSample: { atMs: nowMs - 2000, atMonotonicMs: nowMs - 2000, durationMs: 25, ok: true },
    subscribe: () => neverAnything,
    ...changes,
  };
}

const neverAnything: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};

export const hostSnapshot: HostSnapshot = {
  identity: {
    id: "11111111-2222-4333-8444-555555555555",
    hostname: 'node-1.example "a\\b"',
    agentVersion: "1.2.3",
    vendor: "Acme",
    model: "Box",
    serial: "secret",
    os: "Debian GNU/Linux 13 (trixie)",
    kernel: "6.12.0",
    libvirtVersion: "11.3.0",
    hypervisorVersion: "10.0.2",
    bootId: "b",
    bootedAtMs: nowMs - 86_400_000,
    agentStartedAtMs: nowMs - 3_600_000,
    labels: {},
  },
  inventory: {
    complete: true,
    incompleteReasons: [],
    cells: [],
    storagePools: [
      {
        name: "default",
        type: "dir",
        active: true,
        presence: "present",
        observedAtMs: nowMs - 19_000,
        capacityBytes: 100e9,
        allocatedBytes: 40e9,
        availableBytes: 60e9,
        provisionedBytes: 150e9,
      },
      {
        name: "gone",
        type: "netfs",
        active: true,
        presence: "unknown",
        observedAtMs: nowMs - 60_000,
        capacityBytes: 0,
        allocatedBytes: 0,
        availableBytes: 0,
        provisionedBytes: 0,
      },
    ],
    networks: [],
    devices: [
      { address: "0000:3b:00.2", classCode: 0x020000, vendorId: 0x15b3, productId: 0x101e, kind: "network" },
      { address: "0000:81:00.0", classCode: 0x030200, vendorId: 0x10de, productId: 0x20b0, kind: "gpu" },
      { address: "0000:82:00.0", classCode: 0x030200, vendorId: 0x10de, productId: 0x20b0, kind: "gpu" },
    ],
    traits: [],
  },
  inventoryReadAtMs: nowMs - 20_000,
  capacity: {
    complete: true,
    incompleteReasons: [],
    dedicatedCpus: [],
    devices: [
      { address: "0000:3b:00.2", iommuGroup: 97, state: "free" },
      {
        address: "0000:81:00.0",
        alias: "a100",
        cell: 0,
        iommuGroup: 120,
        state: "allocated",
        holder: "vm-1",
      },
      { address: "0000:82:00.0", alias: "a100", cell: 0, iommuGroup: 121, state: "unhealthy" },
    ],
    generation: 7,
    cells: [
      {
        id: 0,
        resources: [
          {
            resource: "cpu",
            total: 8,
            reserved: 1,
            allocated: 4,
            claimed: 2,
            unhealthy: 1,
            overcommitRatio: 4,
            available: 22,
            min: 1,
            max: 8,
            step: 1,
          },
          {
            resource: "memory",
            total: 16 * 2 ** 30,
            reserved: 2 ** 30,
            allocated: 16 * 2 ** 30,
            claimed: 0,
            unhealthy: 0,
            overcommitRatio: 1,
            available: -(2 ** 30),
            min: 2 ** 20,
            max: 2 ** 34,
            step: 2 ** 20,
          },
        ],
      },
    ],
  },
  health: {
    state: "no_schedule",
    conditions: [
      {
        type: "LibvirtUnresponsive",
        status: "true",
        effect: "no_schedule",
        reason: "ProbeFailed",
        evidence: "3 probes failed",
        sinceMs: nowMs - 30_000,
        lastProbeMs: nowMs - 5000,
        latched: false,
        acknowledged: false,
        untilReboot: false,
        subjects: [],
      },
      {
        type: "DiskSpace",
        status: "unknown",
        effect: "none",
        reason: "NotProbed",
        evidence: "",
        sinceMs: nowMs - 60_000,
        lastProbeMs: 0,
        latched: false,
        acknowledged: false,
        untilReboot: false,
        subjects: [],
      },
    ],
    alive: "true",
    schedulable: "false",
    safeToFence: "unknown",
  },
  scheduling: { state: "cordoned", reason: "repair" },
};

const hostView: HostView = { snapshot: () => hostSnapshot, subscribe: () => neverAnything };

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
const deviceValues: FixedValues = {
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

export function fixedSources(changes: Partial<Sources> = {}): Sources {
  return {
    vms: vmView([vm(1)]),
    incidents: () => ({ panics: 1, ioErrors: 0 }),
    host: hostView,
    readings: fixedReadings({}),
    libvirt: () => ({
      connected: true,
      reconnects: 1,
      calls: {
        byOutcome: {
          ok: 100,
          refused: 2,
          timeout: 1,
          outcome_unknown: 0,
          unavailable: 0,
          cancelled: 0,
          exhausted: 0,
        },
        pending: 0,
        durations: { boundsSeconds: [0.005, 1], counts: [97, 5, 1], sumSeconds: 3.5 },
      },
    }),
    scheduler: () => ({ connected: true, connects: 2, lastAckAtMs: nowMs - 500 }),
    agent: () => ({
      version: "1.2.3",
      startedAtMs: nowMs - 3_600_000,
      epoch: 4,
      generation: 70,
      eventSequence: 1234,
      operations: {
        running: 1,
        retained: 13,
        byKind: new Map([
          [
            "CREATE_VM",
            {
              byEnd: { succeeded: 11, failed: 1, cancelled: 0 },
              durations: { boundsSeconds: [0.25, 1], counts: [10, 2, 0], sumSeconds: 2.75 },
            },
          ],
        ]),
      },
    }),
    load: () => ({
      calls: [
        { kind: "read", open: 0, refused: 0 },
        { kind: "mutation", open: 2, refused: 31 },
      ],
      connections: [
        { listener: "unix", open: 2, refused: 0 },
        { listener: "tcp", open: 129, refused: 7 },
      ],
      work: { taken: 8, waiting: 192 },
      brokenGlass: 1,
      journalPendingBytes: 0,
    }),
    audit: () => ({
      sequence: 4711,
      bytes: 2_400_000,
      writable: true,
      refused: 2,
      sinks: [
        { name: "journal", connected: true, lagEntries: 0, lagSeconds: 0, lost: 0 },
        { name: "syslog", connected: false, lagEntries: 120, lagSeconds: 95.5, lost: 0 },
      ],
    }),
    sampleIntervalMs: 10_000,
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    ...changes,
  };
}
