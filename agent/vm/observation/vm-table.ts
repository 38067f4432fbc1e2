import { abortable } from "../../kernel/clock.ts";
import type { QueueItem } from "../../kernel/concurrency/bounded-queue.ts";
import { Topic } from "../../kernel/concurrency/topic.ts";
import {
  isSameVm,
  type NicLease,
  type SampledVms,
  type Vm,
  type VmChange,
  type VmIncidents,
  type VmStats,
  type VmView,
} from "../model/vm.ts";
import { isActive } from "../hypervisor/domains.ts";
import { ratesBetween } from "./rates.ts";
import { marked } from "./stats.ts";
import { hasNoSpec } from "../model/unreadable.ts";
import { unseen } from "./vm-from-domain.ts";

/** Per VM: a guest may take many. */
const MOST_LEASES = 64;

const leaseKey = ({ network, mac }: Pick<NicLease, "network" | "mac">): string => `${network}/${mac}`;

const noIncidents: VmIncidents = { panics: 0, ioErrors: 0 };

/**
 * The table of VMs, as last seen in libvirt. Only the observer writes it; reads return at once. A VM leaves the table
 * only when a complete listing lacks it, or libvirt reports it as gone.
 */
export class VmTable implements SampledVms {
  readonly #vms = new Map<string, Vm>();
  readonly #idByName = new Map<string, string>();
  /** Kept in memory only: readers handle a counter that restarts at zero, but not one that returns to an older value. */
  readonly #incidents = new Map<string, VmIncidents>();
  /** Valid leases, by `leaseKey`. */
  #leases: ReadonlyMap<string, readonly NicLease[]> = new Map();
  readonly #changes = new Topic<VmChange>();
  readonly #rounds = new Topic<void>();
  readonly #waiters = new Set<() => void>();
  /** All ids in order, and the VMs in that order; rebuilt on access. */
  #ids: readonly string[] | undefined;
  #sorted: readonly Vm[] | undefined;
  #complete = false;
  #observedAtMs = 0;
  #lastSample: VmView["lastSample"];
  #lastReadings: VmView["lastReadings"];

  get complete(): boolean {
    return this.#complete;
  }

  get observedAtMs(): number {
    return this.#observedAtMs;
  }

  get specUnreadable(): number {
    return this.all().reduce((sum, vm) => (hasNoSpec(vm) ? sum + 1 : sum), 0);
  }

  get lastSample(): VmView["lastSample"] {
    return this.#lastSample;
  }

  get lastReadings(): VmView["lastReadings"] {
    return this.#lastReadings;
  }

  get(idOrName: string): Vm | undefined {
    return this.#vms.get(idOrName) ?? this.#vms.get(this.#idByName.get(idOrName) ?? "");
  }

  all(): readonly Vm[] {
    this.#ids ??= [...this.#vms.keys()].sort();
    this.#sorted ??= this.#ids.flatMap((id) => this.#vms.get(id) ?? []);
    return this.#sorted;
  }

  /** Incident counters of a VM since it is in the table. */
  incidents(id: string): VmIncidents {
    return this.#incidents.get(id) ?? noIncidents;
  }

  /** Counts an incident of a VM in the table. */
  count(id: string, incident: keyof VmIncidents): void {
    if (!this.#vms.has(id)) return;
    const before = this.incidents(id);
    this.#incidents.set(id, { ...before, [incident]: before[incident] + 1 });
  }

  subscribe(signal: AbortSignal): AsyncIterable<QueueItem<VmChange>> {
    return this.#changes.subscribe(signal, 4096);
  }

  rounds(signal: AbortSignal): AsyncIterable<QueueItem<void>> {
    return this.#rounds.subscribe(signal, 4);
  }

  /** Stores a VM as libvirt just reported it. Publishes a change only if more than readings changed. */
  put(vm: Vm): void {
    const before = this.#vms.get(vm.id);
    if (before !== undefined && before.name !== vm.name) this.#forgetName(before);
    // Readings survive a change of state, but not the end of the guest.
    const stats = isActive(vm) ? (vm.stats ?? before?.stats) : undefined;
    const now = { ...vm, stats, leases: this.#leasesOf(vm, before?.leases), watchdog: before?.watchdog };
    this.#vms.set(vm.id, now);
    this.#idByName.set(vm.name, vm.id);
    this.#sorted = undefined;
    if (before === undefined) {
      this.#ids = undefined;
      this.#publish({ kind: "added", vm });
    } else if (!isSameVm(before, now)) this.#publish({ kind: "changed", vm });
  }

  watchdogExpired(id: string, atMs: number): void {
    const before = this.#vms.get(id);
    if (before === undefined) return;
    const expirations = (before.watchdog?.expirations ?? 0) + 1;
    const vm = { ...before, watchdog: { expirations, lastAtMs: atMs } };
    this.#vms.set(id, vm);
    this.#sorted = undefined;
    this.#publish({ kind: "changed", vm });
  }

  /** Takes the valid leases of all networks. Publishes a change of each VM whose addresses changed. */
  putLeases(leases: readonly NicLease[]): void {
    const byNic = new Map<string, NicLease[]>();
    for (const lease of leases) {
      const key = leaseKey(lease);
      const known = byNic.get(key);
      if (known === undefined) byNic.set(key, [lease]);
      else known.push(lease);
    }
    this.#leases = byNic;
    for (const vm of this.#vms.values()) {
      if (vm.presence !== "present") continue;
      const now = { ...vm, leases: this.#leasesOf(vm, vm.leases) };
      if (isSameVm(vm, now)) continue;
      this.#vms.set(vm.id, now);
      this.#sorted = undefined;
      this.#publish({ kind: "changed", vm: now });
    }
  }

  /** Stores readings of `stats.sampledAtMs`. They are older than the VM itself if the guest does not answer. */
  putStats(id: string, stats: VmStats, observedAtMs = stats.sampledAtMs): void {
    const vm = this.#vms.get(id);
    if (vm === undefined || !isActive(vm)) return;
    const rated = marked(stats, { rates: ratesBetween(vm.stats, stats), isGrown: vm.isGrown === true });
    this.#vms.set(id, { ...vm, stats: rated, observedAtMs });
    this.#sorted = undefined;
  }

  /** libvirt reported the VM, without a change. */
  seen(id: string, observedAtMs: number): void {
    const vm = this.#vms.get(id);
    if (vm?.presence !== "present") return;
    this.#vms.set(id, { ...vm, observedAtMs });
    this.#sorted = undefined;
  }

  /** libvirt reported the VM as gone. */
  remove(id: string): void {
    const vm = this.#vms.get(id);
    if (vm === undefined) return;
    this.#vms.delete(id);
    this.#ids = undefined;
    this.#incidents.delete(id);
    this.#forgetName(vm);
    this.#sorted = undefined;
    this.#publish({ kind: "removed", vm });
  }

  /** A listing over a healthy connection is complete: VMs that are not in the table are absent. */
  completed(atMs: number): void {
    this.#observedAtMs = atMs;
    if (this.#complete) return;
    this.#complete = true;
    this.#publish({ kind: "resync" });
  }

  sampled(sample: NonNullable<VmView["lastSample"]>): void {
    this.#lastSample = sample;
    if (sample.ok) this.#lastReadings = sample;
    this.#rounds.publish();
  }

  /** Marks all VMs `unknown`, as last seen, after the connection is lost: none counts as absent. */
  markUnknown(): void {
    if (!this.#complete && [...this.#vms.values()].every((vm) => vm.presence === "unknown")) return;
    this.#complete = false;
    for (const [id, vm] of this.#vms) this.#vms.set(id, unseen(vm));
    this.#sorted = undefined;
    this.#publish({ kind: "resync" });
  }

  /**
   * Resolves with the VM once it matches (undefined: it is gone); rejects with the signal's reason. Checks at once,
   * then after every change, without polling.
   */
  async until(id: string, is: (vm: Vm | undefined) => boolean, signal: AbortSignal): Promise<Vm | undefined> {
    while (!is(this.#vms.get(id))) await this.#nextChange(signal);
    return this.#vms.get(id);
  }

  /** Resolves once the table is complete; rejects with the signal's reason. */
  async untilComplete(signal: AbortSignal): Promise<void> {
    while (!this.#complete) await this.#nextChange(signal);
  }

  /** `before`: returned if they are the same. */
  #leasesOf(vm: Vm, before: Vm["leases"]): Vm["leases"] {
    if (!isActive(vm) || this.#leases.size === 0) return undefined;
    const found = vm.nics.flatMap(({ network, mac }) =>
      network === undefined ? [] : (this.#leases.get(leaseKey({ network, mac })) ?? []),
    );
    if (found.length === 0) return undefined;
    const ordered = found.toSorted((a, b) => (a.address < b.address ? -1 : 1)).slice(0, MOST_LEASES);
    return JSON.stringify(ordered) === JSON.stringify(before) ? before : ordered;
  }

  /** Keeps a name that another VM has now. */
  #forgetName({ id, name }: Vm): void {
    if (this.#idByName.get(name) === id) this.#idByName.delete(name);
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    return abortable(signal, (wake) => {
      this.#waiters.add(wake);
      return () => this.#waiters.delete(wake);
    });
  }

  #publish(change: VmChange): void {
    this.#changes.publish(change);
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}
