/**
 * Retry delays: exponential backoff with full jitter (each delay is uniform between 0 and the current ceiling), so that
 * many clients that lost the same daemon do not reconnect at once.
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  #tries = 0;

  constructor({ baseMs, capMs }: { readonly baseMs: number; readonly capMs: number }) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
  }

  nextMs(): number {
    const ceilingMs = Math.min(this.#capMs, this.#baseMs * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 30);
    return Math.random() * ceilingMs;
  }

  reset(): void {
    this.#tries = 0;
  }
}
