import type { Vm, VmView } from "../vm/model/vm.ts";

/** Ten minutes at the default interval. */
export const ROUNDS_KEPT = 60;
/** In the order of their values; both directions are summed, since one line shows them. */
export const channels = ["cpuCores", "residentBytes", "diskBytesPerSecond", "networkBytesPerSecond"] as const;
/** One sampling's readings of one VM, by channel; null: unknown. */
export type Values = readonly (number | null)[];
const NEVER = Number.NEGATIVE_INFINITY;

interface Track {
  readonly key: number;
  /** A ring of ROUNDS_KEPT columns of one value per channel; NaN: unknown. */
  readonly values: Float32Array;
  sampledAtMonotonicMs: number;
  /** The last sampling that included it. */
  seen: number;
}

/**
 * The last samplings of every VM, about 1 kB each, dropped with the VM. All tracks advance together: a VM that was not read
 * has a gap, not the value of another sampling.
 */
export class History {
  readonly #tracks = new Map<string, Track>();
  readonly #byKey = new Map<number, Track>();
  readonly #endedAtMs: number[] = [];
  #rounds = 0;
  #lastKey = 0;

  /** A number for the VM, never reused. */
  keyOf(vmId: string): number {
    return this.#trackOf(vmId).key;
  }

  /** Records the readings of the sampling that ended at `atMs`. */
  record(vms: Pick<VmView, "all">, atMs: number): void {
    this.#rounds += 1;
    this.#endedAtMs.push(atMs);
    if (this.#endedAtMs.length > ROUNDS_KEPT) this.#endedAtMs.shift();
    for (const vm of vms.all()) this.#take(vm, this.#trackOf(vm.id));
    for (const [id, track] of this.#tracks) if (track.seen !== this.#rounds) this.#forget(id, track);
  }

  /** When the recorded samplings ended, oldest first. */
  get endedAtMs(): readonly number[] {
    return this.#endedAtMs;
  }

  /** The last sampling's readings, by key; VMs without any are left out. */
  newest(): Record<number, Values> {
    const newest: Record<number, Values> = {};
    if (this.#rounds === 0) return newest;
    for (const track of this.#tracks.values()) {
      const values = columnOf(track, this.#rounds);
      if (values.some((value) => value !== null)) newest[track.key] = values;
    }
    return newest;
  }

  /** A VM's history: a value per channel for each sampling, oldest first. Undefined: unknown VM. */
  of(key: number): readonly Values[] | undefined {
    const track = this.#byKey.get(key);
    if (track === undefined) return undefined;
    const first = this.#rounds - this.#endedAtMs.length + 1;
    return this.#endedAtMs.map((_, index) => columnOf(track, first + index));
  }

  #trackOf(vmId: string): Track {
    let track = this.#tracks.get(vmId);
    if (track === undefined) {
      this.#lastKey += 1;
      const values = new Float32Array(ROUNDS_KEPT * channels.length).fill(NaN);
      track = { key: this.#lastKey, values, sampledAtMonotonicMs: NEVER, seen: this.#rounds };
      this.#tracks.set(vmId, track);
      this.#byKey.set(track.key, track);
    }
    return track;
  }

  #take({ stats }: Vm, track: Track): void {
    track.seen = this.#rounds;
    const at = (this.#rounds % ROUNDS_KEPT) * channels.length;
    track.values.fill(NaN, at, at + channels.length);
    if (stats === undefined || stats.unresponsive || stats.sampledAtMonotonicMs <= track.sampledAtMonotonicMs)
      return;
    track.sampledAtMonotonicMs = stats.sampledAtMonotonicMs;
    const { rates = {}, rssBytes } = stats;
    track.values[at] = rates.cpuCores ?? NaN;
    track.values[at + 1] = rssBytes ?? NaN;
    track.values[at + 2] = sum(rates.diskReadBytesPerSecond, rates.diskWriteBytesPerSecond);
    track.values[at + 3] = sum(rates.receiveBytesPerSecond, rates.transmitBytesPerSecond);
  }

  #forget(vmId: string, { key }: Track): void {
    this.#tracks.delete(vmId);
    this.#byKey.delete(key);
  }
}

const sum = (a = NaN, b = NaN): number => a + b;

function columnOf({ values }: Track, round: number): Values {
  const at = (round % ROUNDS_KEPT) * channels.length;
  return channels.map((_, channel) => {
    const value = values[at + channel] ?? NaN;
    if (Number.isNaN(value)) return null;
    // Three digits are more than a line of 80 pixels shows.
    return value < 100 ? Math.round(value * 1000) / 1000 : Math.round(value);
  });
}
