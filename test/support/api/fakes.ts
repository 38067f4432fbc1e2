import type { ConsoleStream } from "../../../agent/api/services/dependencies.ts";
import type { HostSnapshot, HostUsage } from "../../../agent/host/host.ts";
import { StorageLedger } from "../../../agent/host/capacity/storage-ledger.ts";
import { Listings } from "../../../agent/host/inventory/listings.ts";
import type { TenantShare } from "../../../agent/host/capacity/tenant-quotas.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { withEtag } from "../../../agent/vm/observation/vm-from-domain.ts";
import type { Vm } from "../../../agent/vm/model/vm.ts";

export const vm = (id: string, changes: Partial<Vm> = {}): Vm =>
  withEtag({
    id,
    name: `name-${id}`,
    presence: "present",
    observedAtMs: 1_700_000_000_123,
    state: "running",
    stateReason: "BOOTED",
    managed: true,
    vcpus: 1,
    memoryBytes: 2 ** 30,
    cells: [],
    tenant: "",
    labels: {},
    placementEpoch: 0,
    disks: [],
    nics: [],
    ...changes,
  });

export const hostSnapshot: HostSnapshot = {
  identity: {
    id: "11111111-2222-4333-8444-555555555555",
    hostname: "host-a",
    agentVersion: "1.2.3",
    vendor: "",
    model: "",
    serial: "",
    os: "Debian",
    kernel: "6.12",
    bootId: "boot-1",
    agentStartedAtMs: 1_700_000_000_000,
    labels: { rack: "r1" },
  },
  inventory: {
    complete: true,
    incompleteReasons: [],
    cells: [{ id: 0, cpus: [0, 1], memoryBytes: 2 ** 34, pages: [], distances: [10] }],
    storagePools: [],
    networks: [{ name: "default", bridge: "virbr0", active: true, presence: "unknown", observedAtMs: 1_000 }],
    devices: [],
    traits: ["kvm"],
  },
  capacity: {
    complete: true,
    incompleteReasons: [],
    generation: 1,
    dedicatedCpus: [],
    devices: [],
    cells: [
      {
        id: 0,
        resources: [
          {
            resource: "cpu",
            total: 2,
            reserved: 0,
            allocated: 0,
            claimed: 0,
            unhealthy: 0,
            overcommitRatio: 4,
            available: 8,
            min: 1,
            max: 8,
            step: 1,
          },
          {
            resource: "memory",
            total: 2 ** 34,
            reserved: 2 ** 30,
            allocated: 0,
            claimed: 0,
            unhealthy: 0,
            overcommitRatio: 1,
            available: 15 * 2 ** 30,
            min: 2 ** 20,
            max: 15 * 2 ** 30,
            step: 2 ** 20,
          },
        ],
      },
    ],
  },
  health: {
    state: "none",
    conditions: [],
    alive: "true",
    schedulable: "true",
    safeToFence: "false",
    blockingConditions: [],
  },
  scheduling: { state: "active", reason: "" },
};

/** A host that a test changes. */
export class FakeHost {
  readonly #changes = new Topic<void>();
  readonly listings = new Listings();
  readonly ledger = { storage: new StorageLedger() };
  now: HostSnapshot = hostSnapshot;

  snapshot(): HostSnapshot {
    return this.now;
  }

  subscribe(signal: AbortSignal) {
    return this.#changes.subscribe(signal);
  }

  change(next: Partial<HostSnapshot>): void {
    this.now = { ...this.now, ...next };
    this.#changes.publish();
  }

  usage(): HostUsage {
    return {
      readAtMs: 1000,
      cpuBusyRatio: 0.25,
      memoryTotalBytes: 8e9,
      memoryAvailableBytes: 2e9,
      cells: [],
    };
  }

  tenants(): readonly TenantShare[] {
    const use = { vms: 2, vcpus: 4, memoryBytes: 2 ** 30, diskBytes: 2 ** 31 };
    return [
      { tenant: "red", use: { ...use, vms: 1 } },
      { tenant: "acme", use, quota: { vms: 5, vcpus: null, memoryBytes: 2 ** 32, diskBytes: null } },
    ];
  }

  setScheduling(state: "active" | "cordoned", reason: string): Promise<void> {
    this.change({ scheduling: { state, reason } });
    return Promise.resolve();
  }

  acknowledge(condition: string): Promise<void> {
    const { health } = this.now;
    const conditions = health.conditions.filter(({ type }) => type !== condition);
    this.change({ health: { ...health, conditions } });
    return Promise.resolve();
  }
}

/** A console whose guest echoes; `type` and `end` are the guest's side. */
export class FakeConsole implements ConsoleStream {
  readonly typed: string[] = [];
  aborted = false;
  #output: string[] = [];
  #ended = false;
  #wake: () => void = () => undefined;

  print(text: string): void {
    this.#output.push(text);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  write(input: Uint8Array): Promise<void> {
    this.typed.push(Buffer.from(input).toString());
    return Promise.resolve();
  }

  abort(): Promise<void> {
    this.aborted = true;
    this.#wake();
    return Promise.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const text = this.#output.shift();
      if (text !== undefined) yield Buffer.from(text);
      else if (this.aborted) throw new Error("the stream was aborted");
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
