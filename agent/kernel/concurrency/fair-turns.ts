import { FairQueue } from "./fair-queue.ts";

/**
 * Shares the event loop between owners: synchronous work runs at once while this turn of the loop has time left. What is
 * left waits for the next turns, in which owners take turns, so that the burst of one delays its own work first.
 */
export class FairTurns {
  readonly #turnMs: number;
  readonly #nowMs: () => number;
  /** Bounded by whoever calls run(). */
  readonly #waiting = new FairQueue<() => void>();
  readonly #resting = new FairQueue<() => void>();
  #spentMs = 0;
  #isScheduled = false;

  /** `turnMs`: work of one turn of the event loop. `nowMs`: a monotonic clock. */
  constructor(turnMs: number, nowMs: () => number) {
    this.#turnMs = turnMs;
    this.#nowMs = nowMs;
  }

  /** Runs `work`, which must not throw, now or in a later turn. */
  run(owner: string, work: () => void): void {
    if (this.#waiting.length === 0 && this.#spentMs < this.#turnMs) this.#do(work);
    else this.#waiting.push(owner, work);
    this.#schedule();
  }

  /**
   * For work in slices: resolves when its owner may go on: one piece in each turn of the loop, and owners take turns. If all that
   * rest resumed in the same turn, together they would block the loop.
   */
  rest(owner: string): Promise<void> {
    return new Promise((resolve) => {
      this.#resting.push(owner, resolve);
      this.#schedule();
    });
  }

  #do(work: () => void): void {
    const startMs = this.#nowMs();
    work();
    this.#spentMs += this.#nowMs() - startMs;
  }

  #schedule(): void {
    const isIdle = this.#waiting.length + this.#resting.length === 0 && this.#spentMs === 0;
    if (this.#isScheduled || isIdle) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    this.#spentMs = 0;
    while (this.#spentMs < this.#turnMs) {
      const work = this.#waiting.shift();
      if (work === undefined) break;
      this.#do(work);
    }
    this.#resting.shift()?.();
    this.#schedule();
  }
}
