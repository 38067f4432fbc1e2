import type { Vm, VmView } from "../vm/model/vm.ts";

/** Ten minutes at the default interval. */
export const ROUNDS_KEPT = 60;
/** In the order of their values; a pair each way is added up, since one line is drawn of both. */
export const channels = ["cpuCores", "residentBytes", "diskBytesPerSecond", "networkBytesPerSecond"] as const;
/** What one round told of one VM, by channel; null: not known. */
export type Values = readonly (number | null)[];
const NEVER = Number.NEGATIVE_INFINITY;

interface Track {
  readonly key: number;
  /** A ring of ROUNDS_KEPT columns of one value a channel; NaN: not known. */
  readonly values: Float32Array;
  sampledAtMonotonicMs: number;
  /** The round it was last seen in. */
  seen: number;
}

/**
 * The last rounds of every VM's readings, about 1 kB each, and gone with the VM. All tracks turn together: a VM that
 * was not read in a round has a gap there, not the value of another round.
 */
export class History {
  readonly #tracks = new Map<string, Track>();
  readonly #byKey = new Map<number, Track>();
  readonly #endedAtMs: number[] = [];
  #rounds = 0;
  #lastKey = 0;

  /** A number of a VM's own, never used again. */
  keyOf(vmId: string): number {
    return this.#trackOf(vmId).key;
  }

  /** Takes what the round that ended at `atMs` read. */
  record(vms: Pick<VmView, "all">, atMs: number): void {
    this.#rounds += 1;
    this.#endedAtMs.push(atMs);
    if (this.#endedAtMs.length > ROUNDS_KEPT) this.#endedAtMs.shift();
    for (const vm of vms.all()) this.#take(vm, this.#trackOf(vm.id));
    for (const [id, track] of this.#tracks) if (track.seen !== this.#rounds) this.#forget(id, track);
  }

  /** When the rounds held ended, the oldest first. */
  get endedAtMs(): readonly number[] {
    return this.#endedAtMs;
  }

  /** What the last round told, by key; VMs of which it told nothing are left out. */
  newest(): Record<number, Values> {
    const newest: Record<number, Values> = {};
    if (this.#rounds === 0) return newest;
    for (const track of this.#tracks.values()) {
      const values = columnOf(track, this.#rounds);
      if (values.some((value) => value !== null)) newest[track.key] = values;
    }
    return newest;
  }

  /** All that is held of a VM: a value a channel for each round, the oldest first. Undefined: there is no such VM. */
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
