import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import { anywhere, type Placement, type PlacementWish } from "../../state/reservations/placement.ts";
import { capacityOf, type CapacityPolicy, type CellCapacity } from "./capacity.ts";
import { CpuPools } from "./cpu-pools.ts";
import { demandOf, placedFootprint, type Demand, type Footprint, type VmSize } from "./demand.ts";
import type { DeviceCapacity, HostCapacity, HostSnapshot, NumaCell, Truth } from "../host.ts";
import { DemandTotals } from "./demand-totals.ts";
import { findPlace, type CellRoom } from "./placing.ts";
import { StorageLedger, type NewVolume, type StorageLook, type VolumeName } from "./storage-ledger.ts";
import {
  noUse,
  requireWithinQuota,
  useByTenant,
  useOf,
  type TenantQuota,
  type TenantUse,
} from "./tenant-quotas.ts";
import { defined } from "../../kernel/defined.ts";

/** What a VM that is being made, or that is to come, will take. */
export interface ClaimRequest extends VmSize {
  /** The VM's id, or the reservation's. */
  readonly holder: string;
  /** The tenant whose quota it counts against; empty: none. */
  readonly tenant?: string;
  /** Absent: anywhere. */
  readonly wish?: PlacementWish;
  /** That are to be made for it. */
  readonly volumes?: readonly NewVolume[];
}

export interface Claim {
  readonly id: string;
  readonly holder: string;
  readonly placement: Placement;
}

interface Held {
  readonly claim: Claim;
  readonly size: VmSize;
  readonly tenant: string;
  readonly diskBytes: number;
  demand: Demand;
  /** On the monotonic clock. */
  consumedAtMs?: number;
}

interface Allocated {
  readonly footprint: Footprint;
  readonly demand: Demand;
}

/** A device of this host that may be given to VMs. */
export interface HostDevice {
  readonly address: string;
  /** That of one device, or of all of a kind. */
  readonly alias?: string;
  readonly cell?: number;
  readonly iommuGroup: number;
  /** Addresses of all that are in the group, offered or not: whoever has one of them has the group. */
  readonly group: readonly string[];
  readonly healthy: boolean;
}

/** A consumed claim whose VM is still not seen after this long, by a complete listing, was for a VM that is gone. */
const UNSEEN_MS = 60_000;

/**
 * Who has what of this host: the truth about capacity. Everything is synchronous, so a check and its commit are one
 * step. A VM is counted once at every moment: as claimed until it is among the footprints, as allocated from then on.
 */
export class Ledger {
  readonly #policy: CapacityPolicy;
  readonly #scheduling: () => HostSnapshot["scheduling"];
  readonly #quotaOf: (tenant: string) => TenantQuota | undefined;
  readonly #changed: () => void;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #claims = new Map<string, Held>();
  readonly #storage = new StorageLedger();
  #cells: readonly NumaCell[] = [];
  #pools: CpuPools;
  #devices: readonly HostDevice[] = [];
  #footprints: ReadonlyMap<string, Allocated> = new Map<string, Allocated>();
  /** The list that they were told in. */
  #told: readonly Footprint[] | undefined;
  /** Of all footprints. */
  #allocated = new DemandTotals();
  /** Of the VMs: whether they were listed ever, and whether that is how it is now. */
  #sight: "none" | "whole" | "lost" = "none";
  #capacity: Omit<HostCapacity, "generation"> = {
    complete: false,
    incompleteReasons: [notRead],
    cells: [],
    dedicatedCpus: [],
    devices: [],
  };

  /** `scheduling`: the operator's word. `changed` is called after each change of `capacity`. */
  constructor(options: {
    readonly policy: CapacityPolicy;
    readonly scheduling: () => HostSnapshot["scheduling"];
    /** Absent: there are none. */
    readonly quotaOf?: (tenant: string) => TenantQuota | undefined;
    readonly clock: Pick<Clock, "monotonicMs">;
    readonly changed: () => void;
  }) {
    this.#policy = options.policy;
    this.#scheduling = options.scheduling;
    this.#quotaOf = options.quotaOf ?? (() => undefined);
    this.#clock = options.clock;
    this.#changed = options.changed;
    this.#pools = new CpuPools([], this.#policy.dedicatedCpus);
  }

  get capacity(): Omit<HostCapacity, "generation"> {
    return this.#capacity;
  }

  /** Whether any guest has a process here. */
  get guests(): Truth {
    for (const { footprint } of this.#footprints.values()) if (footprint.active) return "true";
    return this.#sight === "whole" ? "false" : "unknown";
  }

  setCells(cells: readonly NumaCell[]): void {
    const areCpusTheSame = cpusOf(cells) === cpusOf(this.#cells);
    this.#cells = cells;
    this.#pools = new CpuPools(cells, this.#policy.dedicatedCpus);
    if (areCpusTheSame) {
      this.#recount();
      return;
    }
    for (const held of this.#claims.values()) held.demand = this.#demandOf(held.claim, held.size);
    const footprints = [...this.#footprints.values()].map(({ footprint }) => footprint);
    this.#footprints = new Map();
    this.#allocated = new DemandTotals();
    this.#count(footprints);
  }

  setDevices(devices: readonly HostDevice[]): void {
    this.#devices = devices;
    this.#recount();
  }

  setStorage(look: StorageLook): void {
    this.#storage.see(look);
  }

  /** Volumes that are gone with their VM. */
  deleted(volumes: readonly VolumeName[]): void {
    this.#storage.deleted(volumes, this.#clock.monotonicMs());
  }

  /**
   * All VMs there are, as last seen. `complete`: one that is not among them is not there. A footprint that is the very
   * object it was the last time is taken for unchanged, and so is the list.
   */
  setFootprints(footprints: readonly Footprint[], complete: boolean): void {
    const before = this.#sight;
    if (complete) this.#sight = "whole";
    else if (this.#sight === "whole") this.#sight = "lost";
    const isNews = footprints !== this.#told || this.#sight !== before;
    this.#told = footprints;
    const claims = this.#claims.size;
    const ids = isNews ? new Set(footprints.map(({ id }) => id)) : this.#footprints;
    const nowMs = this.#clock.monotonicMs();
    for (const [id, { claim, consumedAtMs }] of this.#claims) {
      if (consumedAtMs === undefined) continue;
      const isLost = complete && nowMs - consumedAtMs >= UNSEEN_MS;
      if (isLost || ids.has(claim.holder)) this.#claims.delete(id);
    }
    if (isNews) this.#count(footprints);
    else if (this.#claims.size < claims) this.#recount();
  }

  /** Throws `conflict` HOST_CORDONED on a host that takes no new VMs. */
  requireOpen(): void {
    const { state, reason } = this.#scheduling();
    if (state !== "cordoned") return;
    const why = reason === "" ? "" : ` (${reason})`;
    const message = `this host takes no new VMs${why}; socle uncordon lets them in`;
    throw new SocleError("conflict", "HOST_CORDONED", message);
  }

  /**
   * Takes what the VM needs, and says where, or throws: as `requireOpen`, `exhausted` NO_CAPACITY when it does not fit (`metadata.dimension`
   * says what is short, `free_*` what there is), as requireWithinQuota for its tenant, `conflict` CLAIM_EXISTS when the holder has a claim, `invalid` for a cell
   * or a device that the host does not have, `unavailable` CAPACITY_UNKNOWN before the host, its VMs and the volumes have
   * been read.
   */
  claim(request: ClaimRequest): Claim {
    const { holder, tenant = "", wish = anywhere, volumes = [] } = request;
    const size = sizeOf(request);
    const diskBytes = bytesOf(volumes);
    this.requireOpen();
    this.#requireKnown(wish);
    if (this.#claimOf(holder) !== undefined)
      throw new SocleError("conflict", "CLAIM_EXISTS", `VM ${holder} is being made already`);
    this.#requireWithinQuota(tenant, useOf(size, diskBytes));
    const { devices, cells } = this.#capacity;
    const taken = new Set(this.#demands().flatMap(({ ownCpus, usedCpus }) => [...ownCpus, ...usedCpus]));
    const room = {
      cells: cells.map((cell) => this.#roomOf(cell, taken)),
      devices,
      hasDedicated: this.#pools.hasDedicated,
    };
    const placement = findPlace(room, size, wish);
    this.#storage.claim(holder, volumes);
    return this.#take({ holder, tenant, diskBytes }, size, placement);
  }

  /** What was promised before, by an agent that has died since: it is taken whether there is room or not. */
  reclaim(request: Omit<ClaimRequest, "wish"> & { readonly placement: Placement }): Claim {
    const { holder, tenant = "", volumes = [], placement } = request;
    this.#storage.reclaim(holder, volumes);
    const held = this.#claimOf(holder);
    if (held === undefined)
      return this.#take({ holder, tenant, diskBytes: bytesOf(volumes) }, sizeOf(request), placement);
    delete held.consumedAtMs;
    return held.claim;
  }

  /**
   * The claim goes to another holder, as it is: a reservation's to the VM that it was made for. `volumes`: what that one
   * needs besides, since nothing is reserved in a pool; throws for them as `claim` does.
   */
  transfer(claim: Claim, holder: string, volumes: readonly NewVolume[] = []): Claim {
    const held = this.#claims.get(claim.id);
    if (held === undefined) throw new Error(`there is no claim ${claim.id}`);
    const diskBytes = bytesOf(volumes);
    this.#requireWithinQuota(held.tenant, { ...noUse, diskBytes });
    this.#storage.claim(holder, volumes);
    this.#storage.release(held.claim.holder);
    const moved = { ...claim, holder };
    this.#claims.set(claim.id, { ...held, diskBytes, claim: moved });
    this.#recount();
    return moved;
  }

  /** Gives a claim back: the VM is not made after all. One that is gone already is no error. */
  release(claim: Claim): void {
    this.#storage.release(claim.holder);
    if (this.#claims.delete(claim.id)) this.#recount();
  }

  /**
   * The VM is made, or may be: its footprint takes the claim's place when it is among the footprints. Where it is not
   * for a minute, it was not made.
   */
  consume(claim: Claim): void {
    this.#storage.made(claim.holder, this.#clock.monotonicMs());
    const held = this.#claims.get(claim.id);
    if (held === undefined) return;
    held.consumedAtMs = this.#clock.monotonicMs();
    if (!this.#footprints.has(held.claim.holder)) return;
    this.#claims.delete(claim.id);
    this.#recount();
  }

  #take(
    { holder, tenant, diskBytes }: Pick<Held, "tenant" | "diskBytes"> & { readonly holder: string },
    size: VmSize,
    placement: Placement,
  ): Claim {
    const claim = { id: randomUUID(), holder, placement };
    this.#claims.set(claim.id, { claim, size, tenant, diskBytes, demand: this.#demandOf(claim, size) });
    this.#recount();
    return claim;
  }

  /** Of each tenant that has a VM or a claim. A VM is counted once, as in the capacity. */
  tenantUse(): ReadonlyMap<string, TenantUse> {
    const allocated = [...this.#footprints.values()].map(({ footprint }) => footprint);
    const claimed = this.#claimed().map(({ size, tenant, diskBytes }) => ({ ...size, tenant, diskBytes }));
    return useByTenant([...allocated, ...claimed]);
  }

  #requireWithinQuota(tenant: string, asked: TenantUse): void {
    const quota = tenant === "" ? undefined : this.#quotaOf(tenant);
    if (quota === undefined) return;
    requireWithinQuota(tenant, quota, { used: this.tenantUse().get(tenant) ?? noUse, asked });
  }

  #claimOf(holder: string): Held | undefined {
    for (const held of this.#claims.values()) if (held.claim.holder === holder) return held;
    return undefined;
  }

  #demandOf({ holder, placement }: Claim, size: VmSize): Demand {
    return demandOf(placedFootprint(holder, size, placement), this.#pools);
  }

  #requireKnown({ cell }: PlacementWish): void {
    const unknown = this.#cells.length === 0 ? notRead : this.#sight === "none" ? notListed : undefined;
    if (unknown !== undefined) {
      const message = `${unknown}; try again in a moment`;
      throw new SocleError("unavailable", "CAPACITY_UNKNOWN", message, { details: { retryAfterMs: 1000 } });
    }
    const known = this.#cells.map(({ id }) => id);
    if (cell === undefined || known.includes(cell)) return;
    const message = `this host has no NUMA cell ${cell}; it has ${known.join(", ")}`;
    throw new SocleError("invalid", "NO_SUCH_CELL", message);
  }

  #roomOf({ id, resources }: CellCapacity, taken: ReadonlySet<number>): CellRoom {
    const free = { cpu: 0, cpu_dedicated: 0, memory: 0, memory_2m: 0, memory_1g: 0 };
    for (const { resource, available = 0 } of resources) free[resource] = available;
    const cores = this.#pools.dedicatedCores(id, taken);
    return { id, free, cores, sharedCpus: this.#pools.shared(id) };
  }

  /** Of all VMs, and of the claims of those that are not among them. */
  #demands(): Demand[] {
    return [...this.#footprints.values(), ...this.#claimed()].map(({ demand }) => demand);
  }

  #claimed(): Held[] {
    return [...this.#claims.values()].filter(({ claim }) => !this.#footprints.has(claim.holder));
  }

  #count(footprints: readonly Footprint[]): void {
    const before = this.#footprints;
    const after = new Map<string, Allocated>();
    for (const footprint of footprints) {
      const { id } = footprint;
      const known = before.get(id);
      if (known?.footprint === footprint) {
        after.set(id, known);
        continue;
      }
      const demand = demandOf(footprint, this.#pools);
      after.set(id, { footprint, demand });
      this.#allocated.add(demand);
    }
    for (const [id, known] of before) if (after.get(id) !== known) this.#allocated.remove(known.demand);
    this.#footprints = after;
    this.#recount();
  }

  #recount(): void {
    const claimed = this.#claimed();
    const incompleteReasons = this.#unknown();
    const capacity = {
      complete: incompleteReasons.length === 0,
      incompleteReasons,
      cells: capacityOf(
        this.#cells,
        this.#pools,
        this.#policy,
        this.#sight === "none" ? undefined : this.#allocated,
        new DemandTotals(claimed.map(({ demand }) => demand)),
      ),
      dedicatedCpus: this.#pools.dedicated(),
      devices: this.#deviceCapacities(claimed),
    };
    if (JSON.stringify(capacity) === JSON.stringify(this.#capacity)) return;
    this.#capacity = capacity;
    this.#changed();
  }

  #deviceCapacities(claimed: readonly Held[]): DeviceCapacity[] {
    if (this.#devices.length === 0) return [];
    const holders = new Map<string, Pick<DeviceCapacity, "state" | "holder">>();
    const hold = (state: "allocated" | "claimed", holder: string, { devices }: Demand): void => {
      for (const address of devices) if (!holders.has(address)) holders.set(address, { state, holder });
    };
    for (const [vm, { demand }] of this.#footprints) hold("allocated", vm, demand);
    for (const { claim, demand } of claimed) hold("claimed", claim.holder, demand);
    const free = this.#sight === "none" ? "unknown" : "free";
    return this.#devices.map(({ healthy, group, ...device }) => {
      const held = [device.address, ...group].find((address) => holders.has(address));
      return { ...device, ...(holders.get(held ?? "") ?? { state: healthy ? free : "unhealthy" }) };
    });
  }

  #unknown(): string[] {
    const sight = { none: notListed, lost: seenLast, whole: undefined }[this.#sight];
    return [this.#cells.length === 0 ? notRead : undefined, sight].filter((reason) => reason !== undefined);
  }
}

/** What of the cells a VM's demand depends on. */
const cpusOf = (cells: readonly NumaCell[]): string =>
  JSON.stringify(cells.map(({ id, cpus }) => [id, cpus]));

const notRead = "the host's cells have not been read yet";
const notListed = "libvirt has not listed the VMs yet: what they take is not known";
const seenLast = "libvirt does not answer: what VMs take is as it was seen last";

const sizeOf = ({ vcpus, memoryBytes, emulated }: VmSize): VmSize =>
  defined({ vcpus, memoryBytes, emulated });

const bytesOf = (volumes: readonly NewVolume[]): number =>
  volumes.reduce((bytes, { capacityBytes }) => bytes + capacityBytes, 0);
