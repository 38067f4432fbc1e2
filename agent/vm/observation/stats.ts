import type { ParameterLists } from "../../libvirt/index.ts";
import {
  diskReadings,
  nicReadings,
  vcpuReadings,
  vmReadings,
  type Readings,
  type ReadingTable,
} from "../model/readings.ts";
import type { Places, Shape } from "./stat-fields.ts";
import type { DiskStats, NicStats, VcpuStats, VmStats } from "../model/vm.ts";

export type SampledAt = Pick<VmStats, "sampledAtMs" | "sampledAtMonotonicMs">;

/** Marks that the agent adds to the readings of one sampling. */
type StatMarks = Partial<
  Pick<VmStats, "unresponsive" | "migrationProcessedBytes" | "migrationRemainingBytes" | "rates">
> & { readonly isGrown?: boolean };

/** The same readings with other marks. */
export const marked = (stats: VmStats, marks: StatMarks): VmStats =>
  stats instanceof SampledStats ? stats.with(marks) : { ...stats, ...marks };

/** A slice of the round's numbers: those of one domain. */
class Values {
  readonly #numbers: Float64Array;
  readonly #start: number;

  constructor(numbers: Float64Array, start: number) {
    this.#numbers = numbers;
    this.#start = start;
  }

  /** Undefined if it was not reported. */
  at(place: number | undefined): number | undefined {
    if (place === undefined) return undefined;
    const value = this.#numbers[this.#start + place];
    return value === undefined || Number.isNaN(value) ? undefined : value;
  }
}

const LEAST_VALUES = 1024;

/**
 * The readings of one round, in a few numeric arrays. As objects, the readings of a thousand domains would be some
 * sixty thousand, which the garbage collector carries until the next round.
 */
export class RoundValues {
  #numbers: Float64Array;
  #used = 0;
  #total = 0;

  /** `expected`: the number of values in the last round. */
  constructor(expected: number) {
    this.#numbers = new Float64Array(expected);
  }

  get total(): number {
    return this.#total;
  }

  /** Keeps the numeric values. */
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

/** A class with a getter for each reading of the table, which converts the reported number on access. */
function readingsOf<Table extends ReadingTable>(
  table: Table,
): new (places: Places, values: Values) => Readings<Table> {
  class RowReadings {
    readonly #places: Places;
    readonly #values: Values;

    constructor(places: Places, values: Values) {
      this.#places = places;
      this.#values = values;
    }

    static {
      for (const [index, [member, { times, per }]] of Object.entries(table).entries()) {
        Object.defineProperty(this.prototype, member, {
          get(this: RowReadings) {
            const value = this.#values.at(this.#places[index]);
            return value === undefined ? undefined : (value * times) / per;
          },
        });
      }
    }
  }
  return RowReadings as new (places: Places, values: Values) => RowReadings & Readings<Table>;
}

const VcpuReadings = readingsOf(vcpuReadings);
const NicReadings = readingsOf(nicReadings);
const DiskReadings = readingsOf(diskReadings);

/** What virConnectGetAllDomainStats returned for one domain. */
export class SampledStats extends readingsOf(vmReadings) implements VmStats {
  readonly sampledAtMs: number;
  readonly sampledAtMonotonicMs: number;
  readonly unresponsive: boolean;
  readonly migrationProcessedBytes: number | undefined;
  readonly migrationRemainingBytes: number | undefined;
  readonly rates: VmStats["rates"];
  readonly #isGrown: boolean;
  readonly #shape: Shape;
  readonly #values: Values;

  constructor(shape: Shape, values: Values, at: SampledAt, marks: StatMarks = {}) {
    super(shape.vm, values);
    this.sampledAtMs = at.sampledAtMs;
    this.sampledAtMonotonicMs = at.sampledAtMonotonicMs;
    this.unresponsive = marks.unresponsive ?? false;
    this.#isGrown = marks.isGrown ?? false;
    this.migrationProcessedBytes = marks.migrationProcessedBytes;
    this.migrationRemainingBytes = marks.migrationRemainingBytes;
    this.rates = marks.rates;
    this.#shape = shape;
    this.#values = values;
  }

  with(marks: StatMarks): SampledStats {
    const { unresponsive, migrationProcessedBytes, migrationRemainingBytes, rates } = this;
    const before = {
      unresponsive,
      isGrown: this.#isGrown,
      migrationProcessedBytes,
      migrationRemainingBytes,
      rates,
    };
    return new SampledStats(this.#shape, this.#values, this, { ...before, ...marks });
  }

  get balloonBytes(): number | undefined {
    return this.#isGrown ? undefined : this.countedBalloonBytes;
  }

  get vcpus(): readonly VcpuStats[] {
    return this.#shape.vcpus.map(({ index, at }) =>
      Object.assign(new VcpuReadings(at, this.#values), { index }),
    );
  }

  get nics(): readonly NicStats[] {
    return this.#shape.nics.map(({ device, at }) =>
      Object.assign(new NicReadings(at, this.#values), { device }),
    );
  }

  get disks(): readonly DiskStats[] {
    return this.#shape.disks.map(({ device, at }) =>
      Object.assign(new DiskReadings(at, this.#values), { device }),
    );
  }
}
