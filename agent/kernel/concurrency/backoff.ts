/**
 * Retry delays: exponential backoff with full jitter (each delay is uniform between 0 and the current
 * ceiling), so that many hosts that lost the same peer do not reconnect at once.
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #tries = 0;

  constructor(options: { baseMs: number; capMs: number; random?: () => number }) {
    this.#baseMs = options.baseMs;
    this.#capMs = options.capMs;
    this.#random = options.random ?? Math.random;
  }

  nextMs(): number {
    const ceiling = Math.min(this.#capMs, this.#baseMs * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 30);
    return this.#random() * ceiling;
  }

  reset(): void {
    this.#tries = 0;
  }
}
