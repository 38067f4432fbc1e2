import type { Clock } from "../../kernel/clock.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";

export interface Retained {
  /** Removes what has passed its retention, MOST_FORGOTTEN_AT_ONCE at most. Returns whether more of it is left. */
  forgetExpired(): boolean;
}

/** Bounds what one removal costs the event loop: about 1 ms. */
export const MOST_FORGOTTEN_AT_ONCE = 100;
const EVERY_MS = 10_000;
const PAUSE_MS = 20;

/** Forgets what has passed its retention, in small parts, so that no call pays for a day of it. */
export class Retention implements Service {
  readonly name = "retention";
  readonly #clock: Clock;
  readonly #retained: readonly Retained[];

  constructor(clock: Clock, retained: readonly Retained[]) {
    this.#clock = clock;
    this.#retained = retained;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    ready();
    while (!signal.aborted) {
      const left = this.#retained.map((each) => each.forgetExpired());
      await this.#clock.sleep(left.includes(true) ? PAUSE_MS : EVERY_MS, signal).catch(() => undefined);
    }
  }
}
