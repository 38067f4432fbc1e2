import { FairQueue } from "./fair-queue.ts";

/**
 * Shares the event loop between owners: synchronous work runs at once while this turn of the loop has time left. The
 * rest waits for later turns, in which owners alternate, so that a burst delays its own owner first.
 */
export class FairTurns {
  readonly #turnMs: number;
  readonly #nowMs: () => number;
  /** Callers of run() bound it. */
  readonly #waiting = new FairQueue<() => void>();
  readonly #resting = new FairQueue<() => void>();
  #spentMs = 0;
  #isScheduled = false;

  /** `turnMs`: time for work in one turn of the event loop. `nowMs`: a monotonic clock. */
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
   * For sliced work: resolves when its owner may continue. One slice runs in each turn of the loop, and owners alternate:
   * if all resumed in the same turn, together they would block the loop.
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
