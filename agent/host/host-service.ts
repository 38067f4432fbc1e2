import type { Config } from "../config/schema.ts";
import type { KvmState } from "../hardware/cpu/kvm.ts";
import { FilesystemProbe } from "../hardware/storage/filesystem.ts";
import type { Reading } from "../hardware/reading.ts";
import { systemRoots, type Roots } from "../hardware/roots.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { Topic } from "../kernel/concurrency/topic.ts";
import type { Libvirt } from "../libvirt/index.ts";
import { INVENTORY_PERIOD_SECONDS } from "./health/conditions/hypervisor.ts";
import { hostConditions } from "./health/conditions/table.ts";
import { parseCpuSet } from "../libvirt/xml/index.ts";
import { devicesForGuests, devicesWithheld } from "./inventory/devices.ts";
import { FirstLook } from "./inventory/first-look.ts";
import { Health } from "./health/health.ts";
import { HealthReports } from "./health/health-reports.ts";
import { HealthMemory, type HealthStore } from "./health/health-memory.ts";
import type { Condition, HostCapacity, HostSnapshot, HostUsage, HostView } from "./host.ts";
import { Identity } from "./identity/identity.ts";
import { InventoryRound } from "./inventory/inventory-round.ts";
import {
  assembleInventory,
  directoriesOf,
  emptyInventory,
  changeKey,
  provesTraits,
} from "./inventory/inventory.ts";
import { Ledger } from "./capacity/ledger.ts";
import { LibvirtFacts } from "./inventory/libvirt-facts.ts";
import { Listings } from "./inventory/listings.ts";
import { probeLibvirt } from "./health/libvirt-probe.ts";
import type { OwnCertificate } from "./health/readers/certificate.ts";
import type { WatchedJournal } from "./health/readers/journals.ts";
import { Readers } from "./health/readers/readers.ts";
import { hostReaders, type HostReadings } from "./health/readers/table.ts";
import { judgePools } from "./health/pool-verdicts.ts";
import { judgeVolumes } from "./health/volume-verdicts.ts";
import { Rounds } from "./health/rounds.ts";
import type { TenantQuota, TenantShare } from "./capacity/tenant-quotas.ts";
import type { Moment } from "./health/trigger.ts";
import { Usage } from "./health/usage.ts";
import { MORE_TO_READ } from "./inventory/volume-sizes.ts";
import { defined } from "../kernel/defined.ts";

type Scheduling = HostSnapshot["scheduling"];

/** State that outlives the agent: host id and scheduling state. Setting resolves when it is durable. */
export interface LastingFacts extends HealthStore {
  readonly hostId: string | undefined;
  setHostId(hostId: string): Promise<void>;
  readonly scheduling: Scheduling;
  setScheduling(scheduling: Scheduling): Promise<void>;
}

export interface HostServiceOptions {
  readonly config: Config;
  readonly libvirt: Pick<Libvirt, "call" | "status" | "changes" | "events">;
  readonly record: LastingFacts;
  readonly clock: Clock;
  readonly log: Logger;
  readonly agentVersion: string;
  /** Runs inventory-probe: `probeCommand(path)` of hardware/system/identity.ts. */
  readonly identityCommand: readonly [string, ...string[]];
  /** Called after every change of a condition, for the event log; as HealthOptions.onChange. Must not throw. */
  readonly onConditionChange: (condition: Condition, isFirst: boolean) => void;
  /** The scheduling state changed, and is durable. Must not throw. */
  readonly onSchedulingChange?: (scheduling: Scheduling) => void;
  /** Quota of each tenant; absent: no quotas. */
  readonly quotaOf?: (tenant: string) => TenantQuota;
  /** This host's certificate; absent: none. */
  readonly certificate?: () => Reading<OwnCertificate>;
  readonly roots?: Roots;
  readonly filesystems?: FilesystemProbe;
  /** Journals that record changes of this host and its VMs. */
  readonly journals?: readonly WatchedJournal[];
}

const noCertificate = { kind: "unsupported", reason: "there is no trust domain" } as const;

const HEALTH_PERIOD_MS = 10_000;
const INVENTORY_PERIOD_MS = INVENTORY_PERIOD_SECONDS * 1000;
const STATFS_TIMEOUT_MS = 5000;
/** Longest wait of a new disk for the first reading of the pools after the agent's start. */
const STORAGE_READ_WITHIN_MS = 5000;
/** Deadline of libvirt's part of a round; the first round delays the agent's start. */
const LOOK_TIMEOUT_MS = 10_000;
const FIRST_LOOK_TIMEOUT_MS = 1000;
const MIB = 1024 ** 2;

/** Identity, inventory, capacity and health of this machine, read in the background and answered from memory. */
export class HostService implements Service, HostView {
  readonly name = "host";
  /** Receives health reports from other parts of the agent. */
  readonly reports: HealthReports;
  /** Claims and allocations of this host's capacity. */
  readonly ledger: Ledger;
  readonly listings = new Listings();
  readonly #options: HostServiceOptions;
  readonly #clock: Clock;
  readonly #identity: Identity;
  readonly #facts: LibvirtFacts;
  readonly #round: InventoryRound;
  readonly #health: Health;
  readonly #readers: Readers<ReturnType<typeof hostReaders>>;
  readonly #memory: HealthMemory;
  readonly #usage: Usage;
  readonly #changes = new Topic<void>();
  #inventory = emptyInventory;
  #areTraitsKnown = false;
  readonly #storageLook: FirstLook;
  #inventoryReadAtMs: number | undefined;
  #capacity: HostCapacity;
  #probedMs: number | undefined;
  #hasLastProbeFailed = false;
  #refreshSoon: () => void = () => undefined;

  constructor(options: HostServiceOptions) {
    const { config, libvirt, clock, roots = systemRoots, journals = [] } = options;
    this.#options = options;
    this.#clock = clock;
    this.#storageLook = new FirstLook(clock, STORAGE_READ_WITHIN_MS);
    this.#identity = new Identity(roots, {
      agentVersion: options.agentVersion,
      agentStartedAtMs: clock.now(),
      labels: config.host.labels,
    });
    this.#facts = new LibvirtFacts(libvirt);
    const filesystems = options.filesystems ?? new FilesystemProbe({ timeoutMs: STATFS_TIMEOUT_MS });
    const { accelerator } = config.vm;
    this.#round = new InventoryRound({ roots, facts: this.#facts, filesystems, accelerator });
    const log = options.log.child({ component: "host" });
    this.#health = new Health({
      rules: hostConditions({ config, offersKvm: () => this.#round.offersKvm }),
      flapping: { flips: config.health.flips, withinMs: config.health.flapSeconds * 1000 },
      at: this.#now(),
      onChange: (condition, isFirst) => {
        log.info({ condition }, "condition changed");
        options.onConditionChange(condition, isFirst);
        // Traits depend on conditions (KVM), and capacity depends on failing devices.
        if (["KvmUnavailable", "PcieErrors"].includes(condition.type)) this.#refreshSoon();
        this.#changes.publish();
      },
      onLatch: () => this.#memory.keep(),
    });
    const now = (): Moment => this.#now();
    this.#memory = new HealthMemory({ health: this.#health, store: options.record, now, log });
    this.reports = new HealthReports({ health: this.#health, config: config.health, now });
    const vmPaths = (): readonly string[] => directoriesOf(this.#inventory.storagePools);
    const ownPaths = [config.state.directory, ...config.health.paths];
    const watchedPaths = (): readonly string[] => [...ownPaths, ...vmPaths()];
    const { certificate = () => noCertificate } = options;
    const own = { journals, certificate, memory: this.#memory };
    const readers = hostReaders({ roots, config, clock, filesystems, ...own, watchedPaths, vmPaths });
    this.#readers = new Readers(readers, {
      clock,
      onRead: (name) => {
        this.#health.judge(name, this.#readers, this.#now());
        if (name === "cpu") this.#usage.look();
      },
    });
    this.#usage = new Usage(this.#readers);
    const policy = {
      reservedCpus: config.host.reservedCpus,
      reservedMemoryBytes: config.host.reservedMemoryMiB * MIB,
      cpuOvercommitRatio: config.host.cpuOvercommitRatio,
      memoryOvercommitRatio: config.host.memoryOvercommitRatio,
      dedicatedCpus: parseCpuSet(config.host.dedicatedCpus),
    };
    this.ledger = new Ledger(
      defined({
        policy,
        scheduling: () => options.record.scheduling,
        quotaOf: options.quotaOf,
        clock,
        changed: () => this.#nextGeneration(),
      }),
    );
    this.#capacity = { generation: 0, ...this.ledger.capacity };
  }

  /** Ready after the first reading of the machine, which may lack libvirt's part. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { log, config } = this.#options;
    const rounds = new Rounds(this.#clock, log.child({ component: "host" }), signal);
    await rounds.once("system", () => this.#identity.readSystem());
    this.#memory.recall(this.#identity.value.bootId);
    const { interface: by, address } = config.bmc;
    this.#health.seen.reachBmcBy([by, address ?? ""].join(" ").trim());
    let timeoutMs = FIRST_LOOK_TIMEOUT_MS;
    const refresh = (): Promise<void> => this.#refresh(signal, timeoutMs);
    const inventory = rounds.every("inventory", INVENTORY_PERIOD_MS, refresh);
    this.#refreshSoon = inventory.soon;
    await inventory.first;
    timeoutMs = LOOK_TIMEOUT_MS;
    if (!this.#inventory.complete) inventory.soon();
    await rounds.once("host id", () => this.#decideId());
    ready();
    const probeMs = config.health.libvirtProbeSeconds * 1000;
    const libvirtProbe = rounds.every("libvirt probe", probeMs, () => this.#probeLibvirt(signal));
    await Promise.all([
      inventory.done,
      rounds.once("identity", () => this.#probeIdentity(signal)),
      this.#followConnection(signal, libvirtProbe.soon),
      this.#followEvents(signal),
      libvirtProbe.done,
      rounds.every("health", HEALTH_PERIOD_MS, () => this.#ageHealth()).done,
      this.#readers.run(signal),
    ]);
  }

  /** The newest readings of the machine. */
  get readings(): HostReadings {
    return this.#readers;
  }

  usage(): HostUsage {
    return this.#usage.now();
  }

  /** Tenants with VMs or reservations here. */
  tenants(): readonly TenantShare[] {
    const { quotaOf } = this.#options;
    return [...this.ledger.tenantUse()].map(([tenant, use]) => ({ tenant, use, quota: quotaOf?.(tenant) }));
  }

  /** Each part is the same object until it changes. */
  snapshot(): HostSnapshot {
    const { scheduling } = this.#options.record;
    return defined({
      identity: this.#identity.value,
      inventory: this.#inventory,
      inventoryReadAtMs: this.#inventoryReadAtMs,
      capacity: this.#capacity,
      health: this.#health.answer({
        probing: this.#isProbing(),
        cordoned: scheduling.state === "cordoned",
        guests: this.ledger.guests,
      }),
      scheduling,
    });
  }

  subscribe(signal: AbortSignal): AsyncIterable<{ readonly kind: "item" | "overflow" }> {
    return this.#changes.subscribe(signal, 16);
  }

  /** Resolves after the first reading of all pools, or after a few seconds. */
  async storageRead(): Promise<void> {
    await this.#storageLook.wait();
  }

  /** Whether guests can run on KVM here; `broken`: present, but guests failed on it. */
  kvm(): KvmState {
    const failing = this.#failingKvm();
    if (failing !== undefined) return { kind: "broken", evidence: failing.evidence };
    return this.#inventory.traits.includes("kvm") ? { kind: "usable" } : { kind: "absent" };
  }

  /** Undefined if its sources could not be read. */
  trait(name: string): boolean | undefined {
    return this.#inventory.traits.includes(name) || (this.#areTraitsKnown ? false : undefined);
  }

  /** Durable when it resolves. */
  async setScheduling(state: Scheduling["state"], reason: string): Promise<void> {
    const { record, onSchedulingChange } = this.#options;
    const { scheduling: before } = record;
    await record.setScheduling({ state, reason });
    this.#changes.publish();
    if (before.state !== state || before.reason !== reason) onSchedulingChange?.({ state, reason });
  }

  /** Acknowledges a latched condition. As HealthMemory.acknowledge. */
  async acknowledge(condition: string, requestId: string): Promise<void> {
    await this.#memory.acknowledge(condition, requestId);
  }

  async #decideId(): Promise<void> {
    const { config, record, log } = this.#options;
    const { hostId: before } = record;
    const hostId = await this.#identity.decideId(config.host.id, before, this.#round.hostUuid);
    if (hostId === before) return;
    if (before !== undefined) {
      const message =
        "the configured host.id differs from this host's stored id: schedulers take it for another host";
      log.warn({ component: "host", before, hostId }, message);
    }
    await record.setHostId(hostId);
  }

  async #refresh(signal: AbortSignal, timeoutMs: number): Promise<void> {
    const [readAtMs, startedAtMs] = [this.#clock.now(), this.#clock.monotonicMs()];
    const sources = await this.#round.read(signal, timeoutMs);
    this.#identity.setVersions(this.#facts.versions);
    this.#health.observe("StoragePool", "pool", judgePools(sources.pools, sources.spaces), this.#now());
    this.#health.observe("VolumeSuspicious", "header", judgeVolumes(sources.volumes), this.#now());
    const before = this.#inventory;
    const after = assembleInventory(
      {
        ...sources,
        kvmFails: this.#failingKvm() !== undefined,
        thinRatio: this.#options.config.host.storageOvercommitRatio,
        reasons: this.#identity.reasons,
      },
      before,
      this.#clock.now(),
    );
    this.#inventory = after;
    this.listings.see(sources, after, this.#clock.now());
    this.#areTraitsKnown = provesTraits(sources);
    this.#inventoryReadAtMs = readAtMs;
    const { generation } = this.#capacity;
    this.ledger.setCells(after.cells);
    const failing = this.#health.subjectsOn("PcieErrors", "fatal");
    const { deviceAliases } = this.#options.config.host;
    const withheld = devicesWithheld(after.devices, deviceAliases);
    this.ledger.setDevices(devicesForGuests(after.devices, failing, deviceAliases), withheld);
    // Without a list, the state of all pools is unknown.
    if (sources.pools.kind === "read") {
      const known = new Map(after.storagePools.map((pool) => [pool.name, pool]));
      const pools = new Map(sources.pools.value.map(({ name }) => [name, known.get(name)]));
      this.ledger.setStorage({ pools, volumes: sources.volumes, startedAtMs });
    }
    // New disks wait for this reading.
    const { volumes } = sources;
    if ([...volumes.values()].some((pool) => pool.kind === "failed" && pool.code === MORE_TO_READ))
      this.#refreshSoon();
    else if (sources.pools.kind === "read") this.#storageLook.had();
    if (generation === this.#capacity.generation && changeKey(before) !== changeKey(after))
      this.#nextGeneration();
  }

  async #followConnection(signal: AbortSignal, probeSoon: () => void): Promise<void> {
    for await (const change of this.#options.libvirt.changes.subscribe(signal, 16)) {
      if (change.kind === "overflow" || change.value.kind === "connected") {
        this.#round.forgetCapabilities();
        probeSoon();
      }
      this.#refreshSoon();
    }
  }

  /** Watches for added and removed pools and networks. Missed events (an overflow, a resync) also trigger a round. */
  async #followEvents(signal: AbortSignal): Promise<void> {
    const telling = new Set(["storage_pool", "network", "resync"]);
    for await (const event of this.#options.libvirt.events.subscribe(signal)) {
      if (event.kind === "overflow" || telling.has(event.value.kind)) this.#refreshSoon();
    }
  }

  async #probeIdentity(signal: AbortSignal): Promise<void> {
    await this.#identity.probeMachine(this.#options.identityCommand, signal);
    this.#changes.publish();
    this.#refreshSoon();
  }

  async #probeLibvirt(signal: AbortSignal): Promise<void> {
    const timeoutMs = this.#options.config.health.libvirtProbeTimeoutSeconds * 1000;
    const verdict = await probeLibvirt(this.#facts, this.#clock, { signal, timeoutMs });
    this.#health.observe("LibvirtUnresponsive", "probe", verdict, this.#now());
    this.#probedMs = this.#clock.monotonicMs();
    const isAnswering = verdict.kind === "good";
    // The last inventory may lack libvirt's part: read it again before the period ends.
    if (isAnswering && this.#hasLastProbeFailed) this.#refreshSoon();
    this.#hasLastProbeFailed = !isAnswering;
  }

  /** Updates state that changes with time only. */
  async #ageHealth(): Promise<void> {
    this.reports.age();
    this.#health.age(this.#now());
    await this.#memory.retry();
  }

  #failingKvm(): Condition | undefined {
    return this.#health.conditions.find(({ type, status }) => type === "KvmUnavailable" && status === "true");
  }

  /** libvirt was probed recently, with any result: the agent's own rounds continue. */
  #isProbing(): boolean {
    const { libvirtProbeSeconds, libvirtProbeTimeoutSeconds } = this.#options.config.health;
    const limitMs = 3 * (libvirtProbeSeconds + libvirtProbeTimeoutSeconds) * 1000;
    return this.#probedMs !== undefined && this.#clock.monotonicMs() - this.#probedMs < limitMs;
  }

  #nextGeneration(): void {
    this.#capacity = { ...this.ledger.capacity, generation: this.#capacity.generation + 1 };
    this.#changes.publish();
  }

  #now(): Moment {
    return { wallMs: this.#clock.now(), monotonicMs: this.#clock.monotonicMs() };
  }
}
