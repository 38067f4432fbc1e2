import type { HostEvent } from "./event.ts";

/** The newest events in order of sequence. Numbers may be missing; dropped and lost events are "expired". */
export class EventRing {
  readonly #capacity: number;
  #events: HostEvent[] = [];
  #head = 0;
  #expiredThrough = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#events.length - this.#head;
  }

  /** No event with this sequence or a lower one is held. */
  get expiredThrough(): number {
    return this.#expiredThrough;
  }

  get oldest(): HostEvent | undefined {
    return this.#events[this.#head];
  }

  get newest(): HostEvent | undefined {
    return this.size === 0 ? undefined : this.#events.at(-1);
  }

  push(event: HostEvent): void {
    this.#events.push(event);
    if (this.size <= this.#capacity) return;
    this.#expiredThrough = this.oldest?.sequence ?? 0;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Releases everything up to this sequence. */
  expire(through: number): void {
    this.#events = this.after(through, Infinity, Infinity);
    this.#head = 0;
    this.#expiredThrough = Math.max(this.#expiredThrough, through);
  }

  /** Events behind `sequence` up to `through`, at most `limit`. */
  after(sequence: number, through: number, limit: number): HostEvent[] {
    const found: HostEvent[] = [];
    for (let index = this.#firstAfter(sequence); found.length < limit; index += 1) {
      const event = this.#events[index];
      if (event === undefined || event.sequence > through) break;
      found.push(event);
    }
    return found;
  }

  #firstAfter(sequence: number): number {
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.sequence ?? Infinity) <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
