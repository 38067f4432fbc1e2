import type { PendingCall } from "./call.ts";

/**
 * Calls that wait for a place on a connection. Urgent calls go first and have reserved places, so they proceed however
 * many calls wait.
 */
export class CallQueue {
  readonly #urgent = new Fifo();
  readonly #ordinary = new Fifo();
  readonly #maxQueued: number;
  readonly #places: number;
  readonly #reserved: number;

  /** `places`: the most calls in flight; `reserved`: how many of these are for urgent calls only. */
  constructor(options: { readonly maxQueued: number; readonly places: number; readonly reserved: number }) {
    this.#maxQueued = options.maxQueued;
    this.#places = options.places;
    this.#reserved = Math.min(options.reserved, options.places - 1);
  }

  /** Number of calls that wait, abandoned ones included. */
  get size(): number {
    return this.#urgent.size + this.#ordinary.size;
  }

  /** False if the queue is full. */
  push(call: PendingCall): boolean {
    const queue = call.urgent ? this.#urgent : this.#ordinary;
    if (queue.size >= this.#maxQueued) queue.compact();
    if (queue.size >= this.#maxQueued) return false;
    queue.push(call);
    return true;
  }

  /** The next call that may be sent with this many in flight. */
  next(inFlight: number): PendingCall | undefined {
    if (inFlight >= this.#places) return undefined;
    const urgent = this.#urgent.shift();
    if (urgent !== undefined) return urgent;
    return inFlight < this.#places - this.#reserved ? this.#ordinary.shift() : undefined;
  }

  waiting(): PendingCall[] {
    return [...this.#urgent.waiting(), ...this.#ordinary.waiting()];
  }

  clear(): void {
    this.#urgent.clear();
    this.#ordinary.clear();
  }
}

class Fifo {
  #calls: PendingCall[] = [];
  #head = 0;

  get size(): number {
    return this.#calls.length - this.#head;
  }

  push(call: PendingCall): void {
    this.#calls.push(call);
  }

  /** The first call that is not abandoned. */
  shift(): PendingCall | undefined {
    for (;;) {
      const call = this.#calls[this.#head];
      if (call === undefined) {
        this.clear();
        return undefined;
      }
      this.#head += 1;
      if (this.#head > 1024 && this.#head * 2 > this.#calls.length) this.compact();
      if (!call.settled) return call;
    }
  }

  waiting(): PendingCall[] {
    return this.#calls.slice(this.#head);
  }

  compact(): void {
    this.#calls = this.waiting().filter((call) => !call.settled);
    this.#head = 0;
  }

  clear(): void {
    this.#calls = [];
    this.#head = 0;
  }
}
