import type { Vm, VmStats, VmView } from "../../../agent/vm/model/vm.ts";

/** The time at which the fixed inputs are shown. */
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
    sampledAtMonotonicMs: changes.sampledAtMs ?? nowMs - 2000,
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
    guestReportedAtMs: nowMs - 4000,
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

const lastRound = { atMs: nowMs - 2000, atMonotonicMs: nowMs - 2000, durationMs: 25, ok: true };

export function vmView(vms: readonly Vm[], changes: Partial<VmView> = {}): VmView {
  return {
    get: (id) => vms.find((vm) => vm.id === id || vm.name === id),
    all: () => vms,
    complete: true,
    observedAtMs: nowMs - 1000,
    specUnreadable: 0,
    lastSample: lastRound,
    lastReadings: lastRound,
    subscribe: () => neverAnything,
    ...changes,
  };
}

export const neverAnything: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};
