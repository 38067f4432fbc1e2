import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import { anywhere, type VolumeRef } from "../../contract/spec.ts";
import { capacityOf, type CapacityPolicy } from "./capacity.ts";
import { CpuPools, cpusOf } from "./cpu-pools.ts";
import type {
  ClaimRequest,
  DeviceRequest,
  Footprint,
  Growth,
  NewVolume,
  VmSize,
} from "../../state/reservations/footprint.ts";
import { demandOf, placedFootprint, type Demand } from "./demand.ts";
import type { HostCapacity, HostSnapshot, NumaCell, Truth } from "../host.ts";
import { deviceCapacities, type HostDevice, type HostDevices } from "./device-capacity.ts";
import { DemandTotals } from "./demand-totals.ts";
import { bytesOf, sizeOf } from "./sizes.ts";
import { findPlace, placeDevice, roomOf, type DeviceRoom } from "./placing.ts";
import { growthOf, Growths, requireRoom, useOfGrowth } from "./growths.ts";
import { requireKnown, requireOpen, unknownOf, type Sight } from "./sight.ts";
import { StorageLedger, type StorageLook } from "./storage-ledger.ts";
import {
  noUse,
  requireWithinQuota,
  useByTenant,
  useOf,
  type TenantQuota,
  type TenantUsage,
} from "./tenant-quotas.ts";

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

interface LedgerOptions {
  readonly policy: CapacityPolicy;
  /** Set by the operator. */
  readonly scheduling: () => HostSnapshot["scheduling"];
  /** Absent: no quotas. */
  readonly quotaOf?: (tenant: string) => TenantQuota | undefined;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Called after each change of `capacity`. */
  readonly changed: () => void;
}

/** A consumed claim expires after this time if complete listings do not include its VM. */
const UNSEEN_MS = 60_000;

/**
 * The authoritative record of this host's capacity. All methods are synchronous, so that a check and its commit are one
 * step. A VM is counted once at every moment: as claimed until it is among the footprints, then as allocated.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #claims = new Map<string, Held>();
  readonly storage = new StorageLedger();
  readonly #growths = new Growths();
  #cells: readonly NumaCell[] = [];
  #pools: CpuPools;
  #devices: HostDevices = { offered: [], withheld: [] };
  #footprints: ReadonlyMap<string, Allocated> = new Map<string, Allocated>();
  /** The list of the last setFootprints(). */
  #listed: readonly Footprint[] | undefined;
  /** Sum of all footprints. */
  #allocated = new DemandTotals();
  #sight: Sight = "none";
  #capacity: Omit<HostCapacity, "generation"> = {
    complete: false,
    incompleteReasons: unknownOf([], "whole"),
    cells: [],
    dedicatedCpus: [],
    devices: [],
  };
  #capacityText = JSON.stringify(this.#capacity);

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#pools = new CpuPools([], options.policy.dedicatedCpus);
  }

  get capacity(): Omit<HostCapacity, "generation"> {
    return this.#capacity;
  }

  /** Whether any guest runs here. */
  get guests(): Truth {
    for (const { footprint } of this.#footprints.values()) if (footprint.active) return "true";
    return this.#sight === "whole" ? "false" : "unknown";
  }

  setCells(cells: readonly NumaCell[]): void {
    const areCpusTheSame = cpusOf(cells) === cpusOf(this.#cells);
    this.#cells = cells;
    this.#pools = new CpuPools(cells, this.#options.policy.dedicatedCpus);
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

  setDevices(offered: readonly HostDevice[], withheld: HostDevices["withheld"] = []): void {
    this.#devices = { offered, withheld };
    this.#recount();
  }

  setStorage(look: StorageLook): void {
    this.storage.see(look);
  }

  /** Volumes deleted with their VM. */
  deleted(volumes: readonly VolumeRef[]): void {
    this.storage.deleted(volumes, this.#options.clock.monotonicMs());
  }

  /**
   * All VMs as last seen. `complete`: a VM that is not listed does not exist. An identical footprint or list object counts
   * as unchanged.
   */
  setFootprints(footprints: readonly Footprint[], complete: boolean): void {
    const before = this.#sight;
    if (complete) this.#sight = "whole";
    else if (this.#sight === "whole") this.#sight = "lost";
    const isNews = footprints !== this.#listed || this.#sight !== before;
    this.#listed = footprints;
    const claims = this.#claims.size;
    const ids = isNews ? new Set(footprints.map(({ id }) => id)) : this.#footprints;
    const nowMs = this.#options.clock.monotonicMs();
    for (const [id, { claim, consumedAtMs }] of this.#claims) {
      if (consumedAtMs === undefined) continue;
      const isLost = complete && nowMs - consumedAtMs >= UNSEEN_MS;
      if (isLost || ids.has(claim.holder)) this.#claims.delete(id);
    }
    if (isNews) this.#count(footprints);
    const isGrown = this.#growths.seen(this.#footprintOf, nowMs);
    if (isGrown || (!isNews && this.#claims.size < claims)) this.#recount();
  }

  /** Throws `conflict` HOST_CORDONED on a cordoned host. */
  requireOpen(): void {
    requireOpen(this.#options.scheduling());
  }

  /**
   * Claims and places the VM's resources. Throws as `requireOpen` and, for its tenant, `requireWithinQuota`; `exhausted`
   * NO_CAPACITY (`metadata.dimension` is short, `free_*` is available), `conflict` CLAIM_EXISTS for a second claim of the
   * holder, `invalid` for a cell or device that the host lacks, `conflict` for a device that no VM can have, `unavailable`
   * CAPACITY_UNKNOWN before the host, its VMs and volumes have been read.
   */
  claim(request: ClaimRequest): Claim {
    const { holder, tenant = "", placementRequest = anywhere, volumes = [] } = request;
    const size = sizeOf(request);
    const diskBytes = bytesOf(volumes);
    this.requireOpen();
    requireKnown(this.#cells, this.#sight, placementRequest);
    if (this.#claimOf(holder) !== undefined)
      throw new SocleError("conflict", "CLAIM_EXISTS", `VM ${holder} is already being created`);
    this.#requireWithinQuota(tenant, useOf(size, diskBytes));
    const { cells } = this.#capacity;
    const taken = new Set(this.#demands().flatMap(({ ownCpus, usedCpus }) => [...ownCpus, ...usedCpus]));
    const room = {
      cells: cells.map((cell) => roomOf(cell, this.#pools, taken)),
      ...this.#deviceRoom(),
      hasDedicated: this.#pools.hasDedicated,
    };
    const placement = findPlace(room, size, placementRequest);
    this.storage.claim(holder, volumes);
    return this.#take({ holder, tenant, diskBytes }, size, placement);
  }

  /** Claims again what an earlier agent promised, even without room. */
  reclaim(request: Omit<ClaimRequest, "placementRequest"> & { readonly placement: Placement }): Claim {
    const { holder, tenant = "", volumes = [], placement } = request;
    this.storage.reclaim(holder, volumes);
    const held = this.#claimOf(holder);
    if (held === undefined)
      return this.#take({ holder, tenant, diskBytes: bytesOf(volumes) }, sizeOf(request), placement);
    delete held.consumedAtMs;
    return held.claim;
  }

  /**
   * Transfers the claim unchanged to another holder: from a reservation to its VM. `volumes`: the VM's volumes, since
   * reservations do not cover storage; throws for them as `claim` does.
   */
  transfer(claim: Claim, holder: string, volumes: readonly NewVolume[] = []): Claim {
    const held = this.#claims.get(claim.id);
    if (held === undefined) throw new Error(`claim ${claim.id} does not exist`);
    const diskBytes = bytesOf(volumes);
    this.#requireWithinQuota(held.tenant, { ...noUse, diskBytes });
    this.storage.claim(holder, volumes);
    this.storage.release(held.claim.holder);
    const moved = { ...claim, holder };
    this.#claims.set(claim.id, { ...held, diskBytes, claim: moved });
    this.#recount();
    return moved;
  }

  /** Releases a claim whose VM is not created. A claim that no longer exists is no error. */
  release(claim: Claim): void {
    this.storage.release(claim.holder);
    if (this.#claims.delete(claim.id)) this.#recount();
  }

  /**
   * The VM was, or may have been, created: its footprint replaces the claim once listed. If it is not listed within a
   * minute, it was not created.
   */
  consume(claim: Claim): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.storage.made(claim.holder, nowMs);
    const held = this.#claims.get(claim.id);
    if (held === undefined) return;
    held.consumedAtMs = nowMs;
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

  /** The address of a device that is free to an existing VM, for `grow` in the same step. Throws as `claim` does for devices. */
  placeDevice({ vmId, ...request }: DeviceRequest): string {
    requireKnown(this.#cells, this.#sight, anywhere);
    return placeDevice(this.#deviceRoom(vmId), request);
  }

  /**
   * Claims capacity for a change of an existing VM, until `made` or `released` is called. Throws as `claim` does for capacity,
   * storage and quotas. A cordoned host lets its VMs grow.
   */
  grow(growth: Growth): { readonly made: () => void; readonly released: () => void } {
    const { tenant, volumes, size } = growth;
    const use = useOfGrowth(growth, this.#footprintOf);
    const owned = this.storage.ownedGrowth(volumes);
    this.#requireWithinQuota(tenant, { ...use, diskBytes: use.diskBytes + (owned.get(tenant) ?? 0) });
    // A VM of the provider may have a volume of a tenant, which counts in that tenant's quota.
    for (const [owner, diskBytes] of owned)
      if (owner !== tenant) this.#requireWithinQuota(owner, { ...noUse, diskBytes });
    if (size !== undefined) {
      requireKnown(this.#cells, this.#sight, anywhere);
      const now = this.#footprintOf(size.id);
      if (now !== undefined) requireRoom(growthOf(now, size, this.#pools), this.#capacity.cells);
      for (const device of size.devices ?? [])
        this.placeDevice({ vmId: size.id, device, placementRequest: anywhere, cells: [] });
    }
    this.storage.requireRoom(volumes);
    return this.regrow(growth);
  }

  /** As `grow`, for what an earlier agent promised, even without room. */
  regrow(growth: Growth): ReturnType<Ledger["grow"]> {
    const holder = randomUUID();
    this.storage.reclaim(holder, growth.volumes);
    this.#growths.take(holder, growth);
    this.#recount();
    return {
      made: () => {
        const nowMs = this.#options.clock.monotonicMs();
        this.storage.made(holder, nowMs, growth.volumes);
        this.#growths.made(holder, nowMs, this.#footprintOf);
        this.#recount();
      },
      released: () => {
        for (const held of [this.storage, this.#growths]) held.release(holder);
        this.#recount();
      },
    };
  }

  /** Claims a volume of an image that is being made for its tenant, beside the image's others. Throws as `grow`. */
  claimImage(id: string, tenant: string, volume: NewVolume): void {
    this.#requireWithinQuota(tenant, { ...noUse, diskBytes: volume.capacityBytes });
    this.storage.claimImage(id, tenant, volume);
  }

  /** Use of each tenant with a VM, a claim, an image or a volume. A VM is counted once, as in the capacity. */
  tenantUse(): ReadonlyMap<string, TenantUsage> {
    const allocated = [...this.#footprints.values()].map(({ footprint }) => footprint);
    const claimed = this.#claimed().map(({ size, tenant, diskBytes }) => ({ ...size, tenant, diskBytes }));
    const growths = this.#growths.uses(this.#footprintOf);
    const stored = [...this.storage.images(), ...this.storage.tenantVolumes()];
    return useByTenant([...allocated, ...claimed, ...growths, ...stored]);
  }

  #requireWithinQuota(tenant: string, requested: TenantUsage): void {
    const quota = tenant === "" ? undefined : this.#options.quotaOf?.(tenant);
    if (quota === undefined) return;
    requireWithinQuota(tenant, quota, { used: this.tenantUse().get(tenant) ?? noUse, requested });
  }

  readonly #footprintOf = (id: string): Footprint | undefined => this.#footprints.get(id)?.footprint;

  #claimOf(holder: string): Held | undefined {
    for (const held of this.#claims.values()) if (held.claim.holder === holder) return held;
    return undefined;
  }

  #demandOf({ holder, placement }: Claim, size: VmSize): Demand {
    return demandOf(placedFootprint(holder, size, placement), this.#pools);
  }

  /** Demands of all VMs, and of claims whose VM is not listed. */
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

  /** `to`: the VM that asks for a device. */
  #deviceRoom(to?: string): DeviceRoom {
    const claimed = this.#claimed().map(({ claim, demand }) => ({ holder: claim.holder, demand }));
    const devices = deviceCapacities(this.#devices.offered, {
      allocated: [...this.#footprints].map(([holder, { demand }]) => ({ holder, demand })),
      claimed: [...claimed, ...this.#growths.demands(this.#footprintOf, this.#pools)],
      isComplete: this.#sight !== "none",
      to,
    });
    return { devices, withheld: this.#devices.withheld };
  }

  #recount(): void {
    const incompleteReasons = unknownOf(this.#cells, this.#sight);
    const capacity = {
      complete: incompleteReasons.length === 0,
      incompleteReasons,
      cells: capacityOf(
        this.#cells,
        this.#pools,
        this.#options.policy,
        this.#sight === "none" ? undefined : this.#allocated,
        new DemandTotals([
          ...this.#claimed().map(({ demand }) => demand),
          ...this.#growths.demands(this.#footprintOf, this.#pools).map(({ demand }) => demand),
        ]),
      ),
      dedicatedCpus: this.#pools.dedicated(),
      devices: this.#deviceRoom().devices,
    };
    const text = JSON.stringify(capacity);
    if (text === this.#capacityText) return;
    this.#capacityText = text;
    this.#capacity = capacity;
    this.#options.changed();
  }
}
