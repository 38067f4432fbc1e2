import type { Sources } from "../../../agent/metrics/sources.ts";
import { hostView } from "./fixed-host.ts";
import { fixedReadings } from "./fixed-readings.ts";
import { nowMs, vm, vmView } from "./fixed-vms.ts";

export { hostSnapshot } from "./fixed-host.ts";
export { fixedReadings, fixedValues } from "./fixed-readings.ts";
export { nowMs, stats, vm, vmView } from "./fixed-vms.ts";

const whole = { id: "0123456789abcdef", createdAtMs: nowMs - 3_600_000, disks: [] };

export function fixedSources(changes: Partial<Sources> = {}): Sources {
  return {
    vms: vmView([vm(1, { backups: { whole, stale: [] } })]),
    isFrozen: () => false,
    incidents: () => ({ panics: 1, ioErrors: 0 }),
    ownStarts: () => ({ autostartFailures: 1, restarts: 2, exhausted: 0 }),
    backups: () => ({ abandoned: 1, bytesRead: 65_536 }),
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
        transfers: new Map([
          ["IMPORT_IMAGE", { running: 2, remainingBytes: 3_000_000, bytesPerSecond: 125_000_000 }],
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
      answers: { bytes: 65_536, abandoned: 2 },
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
    imagesCollected: () => ({ count: 3, bytes: 3 * 2 ** 30 }),
    images: () => [
      { pool: "default", sizeBytes: 400 * 2 ** 20 },
      { pool: "default", sizeBytes: 2 ** 30 },
    ],
    tenants: () => [
      {
        tenant: "acme",
        use: { vms: 2, vcpus: 6, memoryBytes: 3 * 2 ** 30, diskBytes: 40 * 2 ** 30 },
        quota: { vms: 20, vcpus: 64, memoryBytes: 64 * 2 ** 30, diskBytes: 2 ** 41 },
      },
      { tenant: "red", use: { vms: 1, vcpus: 1, memoryBytes: 2 ** 30, diskBytes: 0 } },
    ],
    sampleIntervalMs: 10_000,
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    ...changes,
  };
}
