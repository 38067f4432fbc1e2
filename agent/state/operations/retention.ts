import type { Clock } from "../../kernel/clock.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";

interface Retained {
  /** Removes expired entries, MOST_FORGOTTEN_AT_ONCE at most. Returns whether more of them are left. */
  forgetExpired(): boolean;
}

/** Limits the event loop time of one removal to about 1 ms. */
export const MOST_FORGOTTEN_AT_ONCE = 100;
const EVERY_MS = 10_000;
const PAUSE_MS = 20;

/** Forgets expired entries in small parts, so that no call takes long. */
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
