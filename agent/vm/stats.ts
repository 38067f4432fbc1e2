import type { ParameterLists } from "../libvirt/index.ts";
import type { DiskPlaces, NicPlaces, Shape, VcpuPlaces } from "./stat-fields.ts";
import type { DiskStats, NicStats, VcpuStats, VmStats } from "./vm.ts";

export type SampledAt = Pick<VmStats, "sampledAtMs" | "sampledAtMonotonicMs">;

/** What the agent adds to the readings of one sampling. */
export type StatMarks = Partial<
  Pick<VmStats, "unresponsive" | "migrationProcessedBytes" | "migrationRemainingBytes" | "rates">
>;

/** The same readings with other marks. */
export function marked(stats: VmStats, marks: StatMarks): VmStats {
  return stats instanceof SampledStats ? stats.with(marks) : { ...stats, ...marks };
}

/** Numbers that follow one another, and where those of one domain begin. */
class Values {
  readonly #numbers: Float64Array;
  readonly #start: number;

  constructor(numbers: Float64Array, start: number) {
    this.#numbers = numbers;
    this.#start = start;
  }

  /** Undefined where it was not told. */
  count(place: number | undefined): number | undefined {
    if (place === undefined) return undefined;
    const value = this.#numbers[this.#start + place];
    return value === undefined || Number.isNaN(value) ? undefined : value;
  }

  times(place: number | undefined, factor: number): number | undefined {
    const value = this.count(place);
    return value === undefined ? undefined : value * factor;
  }

  /** libvirt's nanoseconds. */
  seconds(place: number | undefined): number | undefined {
    const value = this.count(place);
    // Divided, not multiplied by 1e-9: the nearest double, so that 1.94 s does not read 1.9400000000000002.
    return value === undefined ? undefined : value / 1e9;
  }
}

/**
 * The readings of one round, all in a few arrays of numbers: as objects those of a thousand domains would be some sixty
 * thousand things, which the collector of garbage carries along until the next round.
 */
export class RoundValues {
  #numbers: Float64Array;
  #used = 0;
  #total = 0;

  /** `expected`: how many there were the last time. */
  constructor(expected: number) {
    this.#numbers = new Float64Array(expected);
  }

  get total(): number {
    return this.#total;
  }

  /** Keeps those that are numbers. */
  take(values: ParameterLists["values"]): Values {
    const count = values.length;
    if (this.#used + count > this.#numbers.length) {
      this.#numbers = new Float64Array(Math.max(count, LEAST_VALUES));
      this.#used = 0;
    }
    const start = this.#used;
    for (let place = 0; place < count; place += 1) {
      const value = values[place];
      this.#numbers[start + place] = typeof value === "number" ? value : NaN;
    }
    this.#used += count;
    this.#total += count;
    return new Values(this.#numbers, start);
  }
}

const LEAST_VALUES = 1024;
const KIB = 1024;

/**
 * What virConnectGetAllDomainStats told of one domain (units: libvirt-domain.h, VIR_DOMAIN_STATS_*: times in nanoseconds,
 * balloon values in KiB), made of the numbers it told whenever it is asked for.
 */
export class SampledStats implements VmStats {
  readonly sampledAtMs: number;
  readonly sampledAtMonotonicMs: number;
  readonly unresponsive: boolean;
  readonly migrationProcessedBytes: number | undefined;
  readonly migrationRemainingBytes: number | undefined;
  readonly rates: VmStats["rates"];
  readonly #shape: Shape;
  readonly #values: Values;

  constructor(shape: Shape, values: Values, at: SampledAt, marks: StatMarks = {}) {
    this.sampledAtMs = at.sampledAtMs;
    this.sampledAtMonotonicMs = at.sampledAtMonotonicMs;
    this.unresponsive = marks.unresponsive ?? false;
    this.migrationProcessedBytes = marks.migrationProcessedBytes;
    this.migrationRemainingBytes = marks.migrationRemainingBytes;
    this.rates = marks.rates;
    this.#shape = shape;
    this.#values = values;
  }

  with(marks: StatMarks): SampledStats {
    const { unresponsive, migrationProcessedBytes, migrationRemainingBytes, rates } = this;
    const before = { unresponsive, migrationProcessedBytes, migrationRemainingBytes, rates };
    return new SampledStats(this.#shape, this.#values, this, { ...before, ...marks });
  }

  get cpuSeconds(): number | undefined {
    return this.#values.seconds(this.#shape.vm.cpuSeconds);
  }

  get cpuUserSeconds(): number | undefined {
    return this.#values.seconds(this.#shape.vm.cpuUserSeconds);
  }

  get cpuSystemSeconds(): number | undefined {
    return this.#values.seconds(this.#shape.vm.cpuSystemSeconds);
  }

  get balloonBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.balloonBytes, KIB);
  }

  get balloonMaximumBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.balloonMaximumBytes, KIB);
  }

  get rssBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.rssBytes, KIB);
  }

  get guestSaidAtMs(): number | undefined {
    return this.#values.times(this.#shape.vm.guestSaidAtMs, 1000);
  }

  get guestAvailableBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.guestAvailableBytes, KIB);
  }

  get guestUsableBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.guestUsableBytes, KIB);
  }

  get guestUnusedBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.guestUnusedBytes, KIB);
  }

  get guestDiskCachesBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.guestDiskCachesBytes, KIB);
  }

  get guestSwapInBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.guestSwapInBytes, KIB);
  }

  get guestSwapOutBytes(): number | undefined {
    return this.#values.times(this.#shape.vm.guestSwapOutBytes, KIB);
  }

  get guestMajorFaults(): number | undefined {
    return this.#values.count(this.#shape.vm.guestMajorFaults);
  }

  get guestMinorFaults(): number | undefined {
    return this.#values.count(this.#shape.vm.guestMinorFaults);
  }

  get vcpus(): readonly VcpuStats[] {
    return this.#shape.vcpus.map(({ index, at }) => new SampledVcpu(index, at, this.#values));
  }

  get nics(): readonly NicStats[] {
    return this.#shape.nics.map(({ device, at }) => new SampledNic(device, at, this.#values));
  }

  get disks(): readonly DiskStats[] {
    return this.#shape.disks.map(({ device, at }) => new SampledDisk(device, at, this.#values));
  }
}

class SampledVcpu implements VcpuStats {
  readonly index: number;
  readonly #at: VcpuPlaces;
  readonly #values: Values;

  constructor(index: number, at: VcpuPlaces, values: Values) {
    this.index = index;
    this.#at = at;
    this.#values = values;
  }

  get seconds(): number | undefined {
    return this.#values.seconds(this.#at.seconds);
  }

  get waitSeconds(): number | undefined {
    return this.#values.seconds(this.#at.waitSeconds);
  }

  get delaySeconds(): number | undefined {
    return this.#values.seconds(this.#at.delaySeconds);
  }
}

class SampledNic implements NicStats {
  readonly device: string;
  readonly #at: NicPlaces;
  readonly #values: Values;

  constructor(device: string, at: NicPlaces, values: Values) {
    this.device = device;
    this.#at = at;
    this.#values = values;
  }

  get receiveBytes(): number | undefined {
    return this.#values.count(this.#at.receiveBytes);
  }

  get receivePackets(): number | undefined {
    return this.#values.count(this.#at.receivePackets);
  }

  get receiveErrors(): number | undefined {
    return this.#values.count(this.#at.receiveErrors);
  }

  get receiveDrops(): number | undefined {
    return this.#values.count(this.#at.receiveDrops);
  }

  get transmitBytes(): number | undefined {
    return this.#values.count(this.#at.transmitBytes);
  }

  get transmitPackets(): number | undefined {
    return this.#values.count(this.#at.transmitPackets);
  }

  get transmitErrors(): number | undefined {
    return this.#values.count(this.#at.transmitErrors);
  }

  get transmitDrops(): number | undefined {
    return this.#values.count(this.#at.transmitDrops);
  }
}

class SampledDisk implements DiskStats {
  readonly device: string;
  readonly #at: DiskPlaces;
  readonly #values: Values;

  constructor(device: string, at: DiskPlaces, values: Values) {
    this.device = device;
    this.#at = at;
    this.#values = values;
  }

  get readOps(): number | undefined {
    return this.#values.count(this.#at.readOps);
  }

  get readBytes(): number | undefined {
    return this.#values.count(this.#at.readBytes);
  }

  get readSeconds(): number | undefined {
    return this.#values.seconds(this.#at.readSeconds);
  }

  get writeOps(): number | undefined {
    return this.#values.count(this.#at.writeOps);
  }

  get writeBytes(): number | undefined {
    return this.#values.count(this.#at.writeBytes);
  }

  get writeSeconds(): number | undefined {
    return this.#values.seconds(this.#at.writeSeconds);
  }

  get flushOps(): number | undefined {
    return this.#values.count(this.#at.flushOps);
  }

  get flushSeconds(): number | undefined {
    return this.#values.seconds(this.#at.flushSeconds);
  }

  get capacityBytes(): number | undefined {
    return this.#values.count(this.#at.capacityBytes);
  }

  get allocatedBytes(): number | undefined {
    return this.#values.count(this.#at.allocatedBytes);
  }

  get physicalBytes(): number | undefined {
    return this.#values.count(this.#at.physicalBytes);
  }
}
