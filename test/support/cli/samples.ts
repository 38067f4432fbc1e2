import type { Event } from "../../../agent/gen/socle/v1/Event.ts";
import type { Host } from "../../../agent/gen/socle/v1/Host.ts";
import type { Operation } from "../../../agent/gen/socle/v1/Operation.ts";
import type { Vm } from "../../../agent/gen/socle/v1/Vm.ts";

/** The time at which the samples are shown. */
export const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);

/** A time this long ago, in the agent's format. */
export const ago = (seconds: number): { seconds: number; nanos: number } => ({
  seconds: nowMs / 1000 - seconds,
  nanos: 0,
});

export const host = (changes: Partial<Host> = {}): Host => ({
  identity: {
    hostId: "11111111-2222-4333-8444-555555555555",
    hostname: "node-1",
    agentVersion: "1.2.3",
    vendor: "Acme",
    model: "Box",
    os: "Debian GNU/Linux 13",
    kernel: "6.12.0",
    libvirtVersion: "11.3.0",
    hypervisorVersion: "10.0.2",
    bootedAt: ago(90_000),
    agentStartedAt: ago(7200),
  },
  position: { bootId: "b", agentEpoch: 3, generation: 7, eventSequence: 12 },
  inventory: { complete: true },
  capacity: {
    generation: 1,
    cells: [
      {
        cell: 0,
        resources: [
          capacity("cpu", {
            total: 8,
            reserved: 1,
            allocated: 14,
            claimed: 7,
            overcommitRatio: 4,
            available: 7,
          }),
          capacity("memory", {
            total: 16 * 2 ** 30,
            reserved: 2 ** 30,
            allocated: 16 * 2 ** 30,
            overcommitRatio: 1,
            available: -(2 ** 30),
          }),
          capacity("memory_2m", { total: 0 }),
        ],
      },
    ],
  },
  health: {
    state: "EFFECT_NO_SCHEDULE",
    conditions: [
      {
        type: "LibvirtUnresponsive",
        status: "TRUTH_TRUE",
        effect: "EFFECT_NO_SCHEDULE",
        reason: "ProbeFailed",
        evidence: "3 probes failed\u001b[31m",
        since: ago(120),
      },
      { type: "DiskSpace", status: "TRUTH_FALSE", effect: "EFFECT_NONE", reason: "Enough", since: ago(3600) },
    ],
    alive: "TRUTH_TRUE",
    schedulable: "TRUTH_FALSE",
    safeToFence: "TRUTH_UNKNOWN",
    blockingConditions: [],
  },
  vms: { managed: 2, unmanaged: 1, running: 2, unresponsive: 1, complete: true },
  schedulingState: "LIFECYCLE_STATE_CORDONED",
  schedulingReason: "disk is swapped",
  ...changes,
});

const capacity = (resource: string, values: object): object => ({ resource, ...values });

export const vmId = "00000000-0000-4000-8000-000000000001";

export const vm = (changes: Partial<Vm> = {}): Vm => ({
  vmId,
  name: "web-1",
  state: "VM_STATE_RUNNING",
  stateReason: "BOOTED",
  managed: true,
  observation: { presence: "PRESENCE_PRESENT", observedAt: ago(2) },
  vcpus: 2,
  memoryBytes: 1.5 * 2 ** 30,
  accelerator: "ACCELERATOR_KVM",
  tenant: "blue",
  labels: { tier: "front" },
  createdAt: ago(86_400),
  placementEpoch: 1,
  etag: "e1",
  stats: { sampledAt: ago(4), cpuSeconds: 83, memoryRssBytes: 300 * 2 ** 20 },
  spec: {
    name: "web-1",
    vmId,
    disks: [
      {
        name: "root",
        newVolume: { pool: "default", capacityBytes: 10 * 2 ** 30, baseVolume: "debian.qcow2" },
      },
      { name: "data", volume: { pool: "default", volume: "data.raw" }, readOnly: true },
    ],
    nics: [{ name: "nic0", network: "default", mac: "52:54:00:00:00:01" }],
  },
  ...changes,
});

export const operation = (changes: Partial<Operation> = {}): Operation => ({
  operationId: "op-1",
  requestId: "r-1",
  kind: "START_VM",
  vmId,
  caller: "unix:0",
  state: "STATE_SUCCEEDED",
  done: true,
  progress: 1,
  steps: [
    {
      name: "start",
      startedAt: { seconds: 1000, nanos: 0 },
      endedAt: { seconds: 1001, nanos: 5e8 },
      outcome: "done",
    },
  ],
  createdAt: { seconds: 1000, nanos: 0 },
  endedAt: { seconds: 1002, nanos: 0 },
  ...changes,
});

export const event = (sequence: number, changes: Partial<Event> = {}): Event => ({
  sequence,
  agentEpoch: 3,
  time: { seconds: 1_767_323_045, nanos: 678e6 },
  kind: "EVENT_KIND_VM_STATE_CHANGED",
  vmId,
  vmName: "web-1",
  vmState: "VM_STATE_RUNNING",
  reason: "BOOTED",
  ...changes,
});
