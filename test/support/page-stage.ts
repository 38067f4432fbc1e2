import { join } from "node:path";
import type { Condition, HostSnapshot, HostUsage, ResourceCapacity } from "../../agent/host/host.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Topic } from "../../agent/kernel/concurrency/topic.ts";
import { Exposition } from "../../agent/metrics/render.ts";
import { metricsServer } from "../../agent/metrics/server.ts";
import { StatusPage } from "../../agent/page/page.ts";
import type { PageSources } from "../../agent/page/sources.ts";
import type { HostEvent } from "../../agent/state/events/event.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import { VmTable } from "../../agent/vm/observation/vm-table.ts";
import { fixedSources, hostSnapshot, stats, vm as fixedVm } from "./metrics/fixed-sources.ts";

export const pageDirectory = join(import.meta.dirname, "../../agent/page/browser");
const GIB = 2 ** 30;

/** An invented host behind the page as the agent serves it: the real table, page and server. */
export class PageStage {
  readonly table = new VmTable();
  readonly hostChanges = new Topic<void>();
  readonly operationChanges = new Topic<Operation>();
  readonly newEvents = new Topic<HostEvent>();
  readonly events: HostEvent[] = [];
  operations: Operation[] = [];
  /** Of open backups, by the VM's id. */
  readonly leases = new Map<string, number>();
  snapshot: HostSnapshot = hostOf({ cells: 1, cpus: 8 });
  usage: HostUsage = { readAtMs: 0, cells: [] };
  libvirt = true;
  /** The page's URL. */
  url = "";
  nowMs = Date.now();
  #stop = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();

  static async start(listen = "127.0.0.1:0"): Promise<PageStage> {
    const stage = new PageStage();
    await stage.serve(listen);
    return stage;
  }

  async serve(listen: string): Promise<void> {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const page = new StatusPage({ directory: pageDirectory, sources: this.#sources(), clock: systemClock });
    const exposition = new Exposition({
      collectors: [],
      disabled: [],
      sources: fixedSources(),
      clock: systemClock,
      log: silentLog,
    });
    const port = await new Promise<number>((resolve, reject) => {
      const running = page.run(signal, () => undefined);
      const serving = metricsServer({
        listen,
        exposition,
        page,
        readiness: () => [],
        log: silentLog,
        onListening: (address) => resolve(address.port),
      }).run(signal, () => undefined);
      serving.catch(reject);
      this.#ended = Promise.all([running, serving]);
    });
    this.url = `http://127.0.0.1:${port}/`;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  publish(event: Omit<HostEvent, "sequence" | "agentEpoch" | "timeMs">, ageMs = 0): void {
    const published = {
      sequence: this.events.length + 1,
      agentEpoch: 1,
      timeMs: Date.now() - ageMs,
      ...event,
    };
    this.events.push(published);
    this.newEvents.publish(published);
  }

  /** A sampling round with these readings of every running VM: `turn` varies the readings. */
  round(atMs = Date.now(), turn = 0): void {
    for (const [index, vm] of this.table.all().entries()) {
      if (vm.state !== "running" || vm.presence !== "present" || vm.stats?.unresponsive === true) continue;
      const busy = (1 + Math.sin(index * 1.7 + turn / (3 + (index % 5)))) / 2;
      const before = vm.stats?.cpuSeconds ?? 0;
      const was = vm.stats;
      const [disk, nic] = [was?.disks[0], was?.nics[0]];
      const base = stats(index);
      this.table.putStats(vm.id, {
        ...base,
        sampledAtMs: atMs,
        sampledAtMonotonicMs: atMs,
        cpuSeconds: before + busy * vm.vcpus * 10,
        rssBytes: vm.memoryBytes * (0.3 + 0.6 * ((index % 7) / 7) + 0.05 * busy),
        disks: [
          {
            device: "vda",
            readBytes: (disk?.readBytes ?? 0) + busy ** 4 * 4e8,
            writeBytes: (disk?.writeBytes ?? 0) + busy * 5e6,
          },
        ],
        nics: [
          {
            device: "vnet0",
            receiveBytes: (nic?.receiveBytes ?? 0) + busy ** 2 * 1e8,
            transmitBytes: (nic?.transmitBytes ?? 0) + busy * 3e7,
          },
        ],
      });
    }
    this.table.completed(atMs);
    this.table.sampled({ atMs, atMonotonicMs: performance.now(), durationMs: 20, ok: true });
  }

  /** This many rounds until now, each received by the page. */
  async rounds(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) {
      this.round(Date.now() - (count - 1 - turn) * 10_000, turn);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #sources(): PageSources {
    const { table, newEvents, events, hostChanges, operationChanges } = this;
    return {
      vms: table,
      host: {
        snapshot: () => this.snapshot,
        subscribe: (signal) => hostChanges.subscribe(signal),
        usage: () => this.usage,
      },
      operations: {
        failure: undefined,
        list: ({ onlyRunning = false, limit }) =>
          this.operations.filter(({ state }) => !onlyRunning || state === "running").slice(0, limit),
        watch: (signal) => operationChanges.subscribe(signal),
      },
      backups: {
        leaseUntilMs: (vmId) => this.leases.get(vmId),
        scratchUsedBytes: () => 1536,
      },
      events: {
        recent: (limit) => events.slice(-limit),
        async *subscribe(_from, signal) {
          for await (const item of newEvents.subscribe(signal)) if (item.kind === "item") yield item.value;
        },
      },
      links: () => ({ libvirt: this.libvirt, scheduler: true }),
      sampleIntervalMs: 10_000,
      nowMs: () => Date.now(),
    };
  }
}

export const vmOf = (
  index: number,
  changes: Parameters<typeof fixedVm>[1] = {},
): ReturnType<typeof fixedVm> => {
  const { stats: _, ...vm } = fixedVm(index, {
    observedAtMs: Date.now(),
    createdAtMs: Date.now() - 86_400_000,
    ...changes,
  });
  return vm;
};

const resource = (name: ResourceCapacity["resource"], of: Partial<ResourceCapacity>): ResourceCapacity => {
  const row = {
    resource: name,
    total: 0,
    reserved: 0,
    allocated: 0,
    claimed: 0,
    unhealthy: 0,
    overcommitRatio: 1,
    min: 1,
    max: 1,
    step: 1,
    ...of,
  };
  const { total, reserved, unhealthy, overcommitRatio, allocated, claimed } = row;
  return {
    ...row,
    available: Math.floor((total - reserved - unhealthy) * overcommitRatio) - allocated - claimed,
  };
};

/** A healthy host with this many cells and CPUs per cell. */
export function hostOf(of: { cells: number; cpus: number; name?: string; used?: number }): HostSnapshot {
  const { cells, cpus, name = "node-17", used = 0 } = of;
  const ids = Array.from({ length: cells }, (_, id) => id);
  const memoryBytes = cpus * 8 * GIB;
  const hugeBytes = Math.floor(memoryBytes / 4);
  return {
    ...hostSnapshot,
    identity: {
      ...hostSnapshot.identity,
      hostname: name,
      vendor: "Supermicro",
      model: "AS-2124US-TNRP",
      agentStartedAtMs: Date.now() - 3_700_000,
      bootedAtMs: Date.now() - 12 * 86_400_000,
    },
    scheduling: { state: "active", reason: "" },
    inventory: {
      ...hostSnapshot.inventory,
      cells: ids.map((id) => ({
        id,
        cpus: Array.from({ length: cpus }, (_, index) => id * cpus + index),
        memoryBytes,
        siblings: Array.from({ length: cpus / 2 }, (_, core) => [
          id * cpus + core,
          id * cpus + core + cpus / 2,
        ]),
        pages: [{ sizeBytes: 2 ** 21, total: hugeBytes / 2 ** 21 }],
        distances: ids.map((other) => (other === id ? 10 : 21)),
      })),
      devices: [
        device("0000:3b:00.0", "network", 0, { driver: "ice", virtualFunctions: { max: 64, enabled: 8 } }),
        device("0000:c1:00.0", "gpu", cells - 1, { driver: "vfio-pci" }),
        device("0000:02:00.0", "storage", 0, { driver: "nvme" }),
        device("0000:3b:01.0", "network", 0, { parent: "0000:3b:00.0" }),
      ],
      storagePools: [
        pool("default", { capacityBytes: 1.8e12, allocatedBytes: 0.9e12, availableBytes: 0.7e12 }),
        pool("nvme-fast", { capacityBytes: 7.6e12, allocatedBytes: 2.2e12, availableBytes: 5.3e12 }),
      ],
      networks: [{ name: "default", bridge: "virbr0", active: true, presence: "present", observedAtMs: 0 }],
    },
    capacity: {
      complete: true,
      incompleteReasons: [],
      generation: 12,
      dedicatedCpus: [],
      devices: [],
      cells: ids.map((id) => ({
        id,
        resources: [
          resource("cpu", {
            total: cpus,
            reserved: 1,
            overcommitRatio: 4,
            allocated: Math.round(cpus * 3 * used),
            claimed: used > 0 ? 4 : 0,
          }),
          resource("memory", {
            total: memoryBytes - hugeBytes,
            reserved: 2 * GIB,
            allocated: Math.round((memoryBytes - hugeBytes) * 0.7 * used),
            claimed: used > 0 ? 4 * GIB : 0,
          }),
          resource("memory_2m", { total: hugeBytes, allocated: used > 0 ? hugeBytes / 2 : 0 }),
        ],
      })),
    },
    health: {
      state: "none",
      alive: "true",
      blockingConditions: [],
      schedulable: "true",
      safeToFence: used > 0 ? "false" : "true",
      conditions: [
        "LibvirtUnresponsive",
        "KvmUnavailable",
        "DiskSpace",
        "MemoryPressure",
        "AgentImpaired",
      ].map(well),
    },
  };
}

export const well = (type: string): Condition => ({
  type,
  status: "false",
  effect: "none",
  reason: "Healthy",
  evidence: "as it should be",
  sinceMs: Date.now() - 3_600_000,
  lastProbeMs: Date.now(),
  latched: false,
  acknowledged: false,
  untilReboot: false,
  subjects: [],
});

const pool = (name: string, sizes: object): HostSnapshot["inventory"]["storagePools"][number] => ({
  name,
  type: "dir",
  active: true,
  presence: "present",
  observedAtMs: Date.now(),
  ...sizes,
});

type Device = HostSnapshot["inventory"]["devices"][number];
const device = (address: string, kind: Device["kind"], cell: number, of: Partial<Device>): Device => ({
  address,
  kind,
  cell,
  classCode: 0,
  vendorId: 0,
  productId: 0,
  vendor: "Intel Corporation",
  product: "something fast",
  ...of,
});
