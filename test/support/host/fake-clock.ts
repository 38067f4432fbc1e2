import { abortReason, type Clock } from "../../../agent/kernel/clock.ts";

/** A clock that the test advances. */
export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  #wallStepMs = 0;

  now(): number {
    return 1_760_000_000_000 + this.#nowMs + this.#wallStepMs;
  }

  /** Sets the wall clock to this offset; no other time changes. */
  setWall(stepMs: number): void {
    this.#wallStepMs = stepMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(abortReason(signal));
      };
      const sleeper = {
        untilMs: this.#nowMs + ms,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** The remaining time of each sleep. */
  get sleepingMs(): readonly number[] {
    return [...this.#sleepers].map(({ untilMs }) => untilMs - this.#nowMs);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > this.#nowMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}
