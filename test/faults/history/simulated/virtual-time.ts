import { toError } from "../../../../agent/kernel/thrown.ts";
import type { ModelClock } from "../model/call-plan.ts";

/** The owner of a timer: the world's timers outlive an agent, an agent's own do not. */
export type Owner = number | "world";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Owner;
  readonly run: () => void;
  isOver: boolean;
}

const realImmediate = setImmediate;
/** A round of the event loop costs more than the work of most turns, so many turns share one. */
const TURNS_PER_ROUND = 64;

/** Virtual time, which passes only from one timer to the next: fast, and the same for the same seed. */
export class VirtualTime {
  #nowMs = 0;
  #orders = 0;
  /** Sorted; the next timer is last. */
  readonly #timers: Timer[] = [];
  /** The owner of timers that are set through Node's functions now. */
  owner: Owner = "world";
  /** The wall clock at the start, plus all later steps. */
  wallMs = Date.UTC(2026, 0, 1);

  get nowMs(): number {
    return this.#nowMs;
  }

  wallNowMs(): number {
    return Math.floor(this.wallMs + this.#nowMs);
  }

  set(afterMs: number, run: () => void, owner: Owner = this.owner): Timer {
    this.#orders += 1;
    const wait = Number.isFinite(afterMs) ? Math.max(0, afterMs) : 0;
    const timer = { atMs: this.#nowMs + wait, order: this.#orders, owner, run, isOver: false };
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#timers[middle];
      if (other !== undefined && other.atMs > timer.atMs) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return timer;
  }

  clear(timer: Timer | undefined): void {
    if (timer !== undefined) timer.isOver = true;
  }

  /** Drops all timers of this owner. */
  drop(owner: Owner): void {
    for (const timer of this.#timers) if (timer.owner === owner) timer.isOver = true;
  }

  /** Runs timers until `done`, each with all its consequences before the next. Throws if no timer is left. */
  run(done: () => boolean, limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      let turns = 0;
      const beginRound = (): void => {
        for (; turns < TURNS_PER_ROUND; turns += 1) realImmediate(turn);
      };
      // Before each turn, Node has run all promises that can continue.
      const turn = (): void => {
        turns -= 1;
        if (isOver) return;
        try {
          isOver = done();
          if (isOver) resolve();
          else this.#runNext(limitMs);
        } catch (thrown) {
          isOver = true;
          reject(toError(thrown));
        }
        if (turns === 0 && !isOver) beginRound();
      };
      beginRound();
    });
  }

  #runNext(limitMs: number): void {
    let timer = this.#timers.pop();
    while (timer?.isOver === true) timer = this.#timers.pop();
    if (timer === undefined) throw new Error("the simulation stalls: no timer is left");
    this.#nowMs = timer.atMs;
    if (this.#nowMs > limitMs) throw new Error(`the simulation does not end within ${limitMs} ms`);
    timer.isOver = true;
    timer.run();
  }

  /** For code outside the agent: the model of libvirt, callers, faults. */
  get worldClock(): ModelClock {
    return {
      now: () => this.wallNowMs(),
      monotonicMs: () => this.#nowMs,
      deadline: (ms, late) => {
        const timer = this.set(ms, late, "world");
        return () => this.clear(timer);
      },
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const abort = (): void => {
            this.clear(timer);
            reject(signal?.reason as Error);
          };
          const timer = this.set(
            ms,
            () => {
              signal?.removeEventListener("abort", abort);
              resolve();
            },
            "world",
          );
          if (signal?.aborted === true) abort();
          else signal?.addEventListener("abort", abort, { once: true });
        }),
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.set(ms, resolve, "world");
    });
  }
}
