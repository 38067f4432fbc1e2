import type { Clock } from "../internal/clock.ts";

/**
 * One timer for any number of deadlines. It wakes at the earliest one and gets the next from `expire`; a deadline that was
 * met in the meantime costs nothing.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #expire: (nowMs: number) => number;
  #wakeAtMs = Infinity;
  #sleeping: AbortController | undefined;

  /** `expire` ends all calls that are due and returns the earliest deadline left, or Infinity. */
  constructor(clock: Clock, expire: (nowMs: number) => number) {
    this.#clock = clock;
    this.#expire = expire;
  }

  add(deadlineMs: number): void {
    if (deadlineMs >= this.#wakeAtMs) return;
    this.close();
    this.#wakeAtMs = deadlineMs;
    const sleeping = new AbortController();
    this.#sleeping = sleeping;
    const wake = (): void => {
      if (sleeping.signal.aborted) return;
      this.#wakeAtMs = Infinity;
      this.add(this.#expire(this.#clock.monotonicMs()));
    };
    this.#clock
      .sleep(Math.max(0, deadlineMs - this.#clock.monotonicMs()), sleeping.signal)
      .then(wake, () => undefined);
  }

  close(): void {
    this.#sleeping?.abort();
    this.#sleeping = undefined;
    this.#wakeAtMs = Infinity;
  }
}
