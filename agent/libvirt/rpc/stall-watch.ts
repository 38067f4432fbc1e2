import type { Clock } from "../internal/clock.ts";

/**
 * Detects that a wait made no progress for `timeoutMs`. One timer serves any number of waits, and a wait that ends in time
 * costs one read of the clock.
 */
export class StallWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onStall: () => void;
  readonly #closed = new AbortController();
  #waits = 0;
  #movedAtMs = 0;
  #isSleeping = false;

  /** Infinity: never. */
  constructor(clock: Clock, timeoutMs: number, onStall: () => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onStall = onStall;
  }

  begin(): void {
    if (this.#timeoutMs === Infinity) return;
    this.#movedAtMs = this.#clock.monotonicMs();
    this.#waits += 1;
    if (!this.#isSleeping) this.#sleep(this.#timeoutMs);
  }

  end(): void {
    if (this.#timeoutMs === Infinity) return;
    this.#movedAtMs = this.#clock.monotonicMs();
    this.#waits -= 1;
  }

  close(): void {
    this.#closed.abort();
  }

  #sleep(ms: number): void {
    this.#isSleeping = true;
    this.#clock.sleep(ms, this.#closed.signal).then(
      () => {
        this.#isSleeping = false;
        const leftMs = this.#movedAtMs + this.#timeoutMs - this.#clock.monotonicMs();
        if (this.#waits === 0) return;
        if (leftMs > 0) this.#sleep(leftMs);
        else this.#onStall();
      },
      () => undefined,
    );
  }
}
