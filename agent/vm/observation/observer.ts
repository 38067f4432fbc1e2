import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import { Slice } from "../../kernel/concurrency/slice.ts";
import type { Domain, DomainEvent, Libvirt, LibvirtEvent } from "../../libvirt/index.ts";
import type { NewEvent } from "../../state/events/event.ts";
import { DomainReader } from "./domain-reader.ts";
import { changesVm, stateByEvent, publishedEvents } from "./domain-events.ts";
import { isActive } from "../hypervisor/domains.ts";
import { EndedRuns } from "./ended-runs.ts";
import { EventBudget } from "./event-budget.ts";
import { KvmWitness, type KvmVerdicts } from "../hypervisor/kvm-witness.ts";
import { Refreshes } from "./refreshes.ts";
import { RereadRota } from "./reread-rota.ts";
import { Sampler, type Sample } from "./sampler.ts";
import { marked, type SampledAt } from "./stats.ts";
import { withEtag } from "./vm-from-domain.ts";
import type { VmTable } from "./vm-table.ts";
import type { Vm, VmStats } from "../model/vm.ts";

interface ObserverOptions {
  readonly libvirt: Pick<Libvirt, "call" | "events" | "changes" | "status">;
  readonly table: VmTable;
  /** Publishes VM events. */
  readonly publish: (event: NewEvent) => void;
  readonly kvm: KvmVerdicts;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sampleIntervalMs: number;
}

const NO_ID = -1;
/** Data older than this many rounds, and one round that hung guests delay, is no longer current. */
const ROUNDS_TO_BLINDNESS = 3;
const LONGEST_ROUND_MS = 15_000;
/** Some VMs are read again without an event, after each round and at least this often. */
const LONGEST_TURN_MS = 10_000;

/**
 * Keeps the VM table current. An event changes a VM's state at once, and a read of that VM follows. One bulk call per
 * interval lists all VMs with their statistics, and finds missed changes. A reply that an event has overtaken is
 * discarded.
 */
export class Observer implements Service {
  readonly name = "observer";
  /** The first round waits for libvirt, which may hang. */
  readonly readyWithinMs = 1000;
  readonly #options: ObserverOptions;
  readonly #witness: KvmWitness;
  readonly #sampler: Sampler;
  readonly #reader: DomainReader;
  readonly #rota: RereadRota;
  readonly #budget: EventBudget;
  readonly #refreshes = new Refreshes((domain) => this.#refresh(domain));
  /** Counts events and reads; the maps hold, by VM, the count at its newest one. */
  #count = 0;
  readonly #touchedAt = new Map<string, number>();
  readonly #takenAt = new Map<string, number>();
  readonly #endedRuns = new EndedRuns();
  #lastGoodMonotonicMs = 0;
  /** Number of connection losses. */
  #losses = 0;
  /** Ends the wait before the next round. A request during a round causes one more round. */
  #rest = new AbortController();

  constructor(options: ObserverOptions) {
    this.#budget = new EventBudget(options.publish, options.clock);
    this.#options = { ...options, publish: this.#budget.publish };
    this.#witness = new KvmWitness(options.kvm, options.clock);
    this.#sampler = new Sampler(options);
    this.#reader = new DomainReader(options);
    this.#rota = new RereadRota(options.clock);
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { libvirt } = this.#options;
    const events = libvirt.events.subscribe(signal, 10_000);
    const changes = libvirt.changes.subscribe(signal);
    const end = (): void => this.#rest.abort();
    signal.addEventListener("abort", end, { once: true });
    const sampling = this.#sample(signal, ready);
    await Promise.all([this.#followEvents(events), this.#followConnection(changes), sampling]);
    signal.removeEventListener("abort", end);
    await this.#refreshes.settled();
  }

  async #followEvents(events: ReturnType<Libvirt["events"]["subscribe"]>): Promise<void> {
    for await (const item of events) {
      if (item.kind === "overflow") this.#lost("events arrived faster than they were processed");
      else this.#onEvent(item.value);
    }
  }

  async #followConnection(changes: ReturnType<Libvirt["changes"]["subscribe"]>): Promise<void> {
    const { table, publish } = this.#options;
    for await (const item of changes) {
      if (item.kind === "item" && item.value.kind === "disconnected") {
        this.#losses += 1;
        this.#endedRuns.forgetAll();
        table.markUnknown();
        publish({ kind: "libvirt_disconnected", reason: item.value.error.reason });
      } else {
        publish({ kind: "libvirt_connected" });
        this.#lost("libvirt was connected anew");
      }
    }
  }

  /** Events may be missing: publishes a resync, and lists again now. */
  #lost(reason: string): void {
    this.#options.publish({ kind: "resync", reason });
    this.#rest.abort();
  }

  #onEvent(event: LibvirtEvent): void {
    if (event.kind === "resync") {
      if (event.family === "hypervisor") this.#lost(event.reason);
      return;
    }
    if (!("domain" in event)) return;
    const { domain } = event;
    if (event.kind === "migration_iteration") this.#sampler.migrations.began(domain);
    const { table, clock } = this.#options;
    if (event.kind === "io_error") table.count(domain.uuid, "ioErrors");
    if (event.kind === "watchdog") table.watchdogExpired(domain.uuid, clock.now());
    if (event.kind !== "lifecycle") this.#publishKind(event);
    if (!changesVm(event)) return;
    this.#note(this.#touchedAt, domain.uuid);
    this.#endedRuns.saw(domain);
    if (event.kind === "lifecycle") this.#onLifecycle(domain, event.event, event.detail);
    // libvirt locks the domain until QEMU has exited: a read would block, and the stopped event begins the same read.
    const isEnding = event.kind === "lifecycle" && event.event === "shutdown";
    if (!isEnding || this.#options.table.get(domain.uuid) === undefined) this.#refreshes.add(domain);
  }

  #onLifecycle(domain: Domain, event: string, detail: string): void {
    const { table, clock } = this.#options;
    const state = stateByEvent[event];
    const vm = table.get(domain.uuid);
    if (event === "started") this.#witness.started(domain.uuid);
    // The event carries neither the cause of a pause nor a new domain's definition: the read that follows finds them.
    if (state === undefined || vm === undefined) return;
    if (state === "running" && this.#endedRuns.has(domain)) return;
    const now = { state, stateReason: detail.toUpperCase(), observedAtMs: clock.now() };
    // The read that follows finds the definition's memory.
    const saved = detail === "saved" ? { savedState: true, savedMemoryBytes: vm.memoryBytes } : {};
    this.#take(withEtag({ ...vm, ...now, ...saved, presence: "present" }));
  }

  #publishKind(event: DomainEvent): void {
    const { kind: libvirtKind, domain, ...facts } = event;
    const kind = publishedEvents[libvirtKind];
    if (kind === undefined) return;
    const details = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)]));
    this.#options.publish({ kind, vmId: domain.uuid, vmName: domain.name, details });
  }

  async #refresh(domain: Domain): Promise<void> {
    const { table, log } = this.#options;
    const [before, taken] = [this.#touchedAt.get(domain.uuid), this.#takenAt.get(domain.uuid)];
    try {
      const vm = await this.#reader.read(domain, table.get(domain.uuid));
      if (this.#touchedAt.get(domain.uuid) !== before || this.#takenAt.get(domain.uuid) !== taken) return;
      this.#note(this.#takenAt, domain.uuid);
      if (vm === undefined) this.#gone(table.get(domain.uuid));
      else this.#take(vm);
    } catch (thrown) {
      // The next round finds it again.
      log.debug({ vm: domain.uuid, err: thrown }, "VM could not be read");
    }
  }

  async #sample(signal: AbortSignal, looked: () => void): Promise<void> {
    const { clock, log, sampleIntervalMs, libvirt, table } = this.#options;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      this.#rest = new AbortController();
      // The list completes first: reading the statistics of many guests takes much longer.
      if (libvirt.status.connected && !table.complete) {
        await this.#list("states", signal).catch((thrown: unknown) =>
          log.debug({ err: thrown }, "first look"),
        );
        looked();
      }
      if (libvirt.status.connected) await this.#round(signal);
      this.#checkSight();
      looked();
      await this.#restUntil(startMs + sampleIntervalMs);
    }
  }

  async #restUntil(endMs: number): Promise<void> {
    const { clock, table } = this.#options;
    const { signal } = this.#rest;
    for (;;) {
      const restMs = Math.max(0, endMs - clock.monotonicMs());
      await clock.sleep(Math.min(restMs, LONGEST_TURN_MS), signal).catch(() => undefined);
      if (restMs <= LONGEST_TURN_MS || signal.aborted) return;
      if (table.complete) this.#readAgain();
    }
  }

  #readAgain(): void {
    for (const { id, name } of this.#rota.next(this.#options.table.all()))
      this.#refreshes.add({ uuid: id, name, id: NO_ID });
  }

  #checkSight(): void {
    const { clock, sampleIntervalMs, table } = this.#options;
    const limitMs = ROUNDS_TO_BLINDNESS * sampleIntervalMs + LONGEST_ROUND_MS;
    if (table.complete && clock.monotonicMs() - this.#lastGoodMonotonicMs > limitMs) table.markUnknown();
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const startMs = clock.monotonicMs();
    try {
      const hasReadings = await this.#list("readings", signal);
      this.#lastGoodMonotonicMs = clock.monotonicMs();
      this.#sampled(startMs, hasReadings);
      if (!hasReadings) log.warn("guest readings are skipped: too many guests hang, or libvirt is slow");
    } catch (thrown) {
      this.#sampled(startMs, false);
      if (!signal.aborted) log.warn({ err: thrown }, "sampling round failed");
    }
  }

  #sampled(startMs: number, ok: boolean): void {
    const { clock, table } = this.#options;
    const atMonotonicMs = clock.monotonicMs();
    this.#budget.settle();
    table.sampled({ atMs: clock.now(), atMonotonicMs, durationMs: atMonotonicMs - startMs, ok });
  }

  /** Lists the VMs with their states or their readings; returns whether there were readings. */
  async #list(what: "states" | "readings", signal: AbortSignal): Promise<boolean> {
    const { table } = this.#options;
    const [countBefore, lossesBefore] = [this.#count, this.#losses];
    const untouched = (id: string): boolean => (this.#touchedAt.get(id) ?? 0) <= countBefore;
    const isNews = (id: string): boolean => untouched(id) && (this.#takenAt.get(id) ?? 0) <= countBefore;
    const { at, samples, hasReadings } = await this.#sampler.sample(what, signal);
    const listed = new Set(samples.map(({ dom }) => dom.uuid));
    const slice = new Slice();
    const unknownSilent: Sample[] = [];
    for (const sample of samples) {
      if (!this.#compare(sample, isNews, at)) unknownSilent.push(sample);
      if (slice.over) await slice.rest();
    }
    // An unknown VM that does not answer is built from its readings.
    if (what === "readings")
      await Promise.all(unknownSilent.map((sample) => this.#addUnresponsive(sample, at)));
    // A VM missing from the list may still exist: libvirt must report each as gone.
    const missing = table.all().filter(({ id }) => !listed.has(id) && untouched(id));
    for (const { id, name } of missing) this.#refreshes.add({ uuid: id, name, id: NO_ID });
    // The list is complete once the new VMs are read in full.
    await this.#refreshes.settled();
    await slice.rest();
    if (this.#losses !== lossesBefore) throw overtaken();
    for (const { id, name } of missing)
      if (table.get(id) !== undefined && untouched(id)) throw contradiction(name);
    for (const { dom } of samples)
      if (table.get(dom.uuid)?.presence !== "present" && untouched(dom.uuid)) return hasReadings;
    table.completed(at.sampledAtMs);
    this.#readAgain();
    this.#witness.sampled(table);
    for (const id of this.#touchedAt.keys())
      if (table.get(id) === undefined && untouched(id)) this.#touchedAt.delete(id);
    for (const id of this.#takenAt.keys()) if (table.get(id) === undefined) this.#takenAt.delete(id);
    return hasReadings;
  }

  /** Compares a VM of the round with the table. False for an unresponsive VM that is not in the table yet. */
  #compare(sample: Sample, isNews: (id: string) => boolean, at: SampledAt): boolean {
    const { table } = this.#options;
    const { sampledAtMs: nowMs } = at;
    const { dom, seen, silent } = sample;
    const vm = table.get(dom.uuid);
    const isNewest = isNews(dom.uuid);
    if (vm === undefined || vm.presence === "unknown") {
      if (silent) return false;
      this.#refreshes.add(dom);
    } else if (isNewest && (vm.state !== seen.state || vm.name !== dom.name)) {
      this.#note(this.#takenAt, dom.uuid);
      this.#take(withEtag({ ...vm, ...seen, observedAtMs: nowMs }));
      if (!silent) this.#refreshes.add(dom);
    } else if (!silent && (vm.stats?.unresponsive === true || isResized(vm, sample))) {
      // Reads what was missing while QEMU did not answer, or a new size (virsh setvcpus), which has no event.
      this.#refreshes.add(dom);
    }
    // Readings older than an event belong to the guest before it.
    if (!isNewest) return true;
    if (!isActive(seen)) table.seen(dom.uuid, nowMs);
    else if (silent) this.#keepStats(dom.uuid, vm, at);
    else if (sample.stats !== undefined) {
      table.putStats(dom.uuid, withMigration(sample.stats, sample), nowMs);
      if (vm?.stats?.unresponsive === true) this.#options.publish({ kind: "vm_responsive", ...about(vm) });
    }
    return true;
  }

  /** Its XML is not available until QEMU answers. */
  async #addUnresponsive({ dom, seen, size }: Sample, at: SampledAt): Promise<void> {
    const facts = { ...seen, observedAtMs: at.sampledAtMs };
    const before = this.#options.table.get(dom.uuid);
    try {
      const vm = await this.#reader.readSilent(dom, size, facts, before);
      if (vm !== undefined) this.#take(vm);
    } catch (thrown) {
      this.#options.log.debug({ vm: dom.uuid, err: thrown }, "VM could not be read");
    }
    if (isActive(facts)) this.#keepStats(dom.uuid, before, at);
  }

  /** Keeps the last readings of a guest that does not answer. */
  #keepStats(id: string, before: Vm | undefined, at: SampledAt): void {
    const { table, publish } = this.#options;
    const stats = marked(before?.stats ?? noReadings(at), { unresponsive: true });
    table.putStats(id, stats, at.sampledAtMs);
    const vm = table.get(id);
    // The first list covers a guest that hung before the agent started.
    const isNews = before === undefined ? table.complete : before.stats?.unresponsive !== true;
    if (vm !== undefined && isNews) publish({ kind: "vm_unresponsive", ...about(vm) });
  }

  /** Replies to requests before this point are older than the VM in the table. */
  #note(at: Map<string, number>, id: string): void {
    this.#count += 1;
    at.set(id, this.#count);
  }

  #take(vm: Vm): void {
    const { table, publish, log } = this.#options;
    const before = table.get(vm.id);
    table.put(vm);
    if (!isActive(vm)) this.#endedRuns.ended(vm.id);
    if (vm.unreadable !== undefined && vm.unreadable !== before?.unreadable)
      log.warn({ vm: vm.id, name: vm.name, why: vm.unreadable }, "VM cannot be read; its size still counts");
    const moved =
      before !== undefined &&
      (before.state !== vm.state || (vm.state === "paused" && before.stateReason !== vm.stateReason));
    if (before === undefined && table.complete) publish({ kind: "vm_defined", ...about(vm) });
    if (moved) publish({ kind: vm.state === "crashed" ? "vm_panicked" : "vm_state_changed", ...about(vm) });
    if (moved && vm.state === "crashed") table.count(vm.id, "panics");
    this.#witness.saw(vm);
  }

  #gone(vm: Vm | undefined): void {
    if (vm === undefined) return;
    this.#options.table.remove(vm.id);
    this.#endedRuns.forget(vm.id);
    this.#options.publish({ kind: "vm_removed", ...about(vm) });
  }
}

/** Whether the table has another size than libvirt reports. */
const isResized = (vm: Vm, { size: { vcpus, memoryBytes } }: Sample): boolean =>
  (vcpus ?? vm.vcpus) !== vm.vcpus || (memoryBytes ?? vm.memoryBytes) !== vm.memoryBytes;

function withMigration(stats: VmStats, { migration }: Sample): VmStats {
  if (migration === undefined) return stats;
  const { processedBytes, remainingBytes } = migration;
  return marked(stats, { migrationProcessedBytes: processedBytes, migrationRemainingBytes: remainingBytes });
}

const noReadings = (at: SampledAt): VmStats => ({
  ...at,
  unresponsive: true,
  vcpus: [],
  nics: [],
  disks: [],
});

const contradiction = (name: string): SocleError =>
  new SocleError(
    "internal",
    "LIBVIRT_LIST_INCOMPLETE",
    `libvirt omitted VM ${name} from its list but does not report it as gone; the list is rejected`,
  );

const overtaken = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_DISCONNECTED",
    "the connection to libvirt was lost before its list was read",
  );

const about = (vm: Vm): { vmId: string; vmName: string; vmState: string; reason: string } => ({
  vmId: vm.id,
  vmName: vm.name,
  vmState: vm.state,
  reason: vm.stateReason,
});
