import { setMaxListeners } from "node:events";
import type { Clock } from "../../kernel/clock.ts";

/** A gate for the first reading of something: callers wait for it, up to a limit. */
export class FirstLook {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #had = new AbortController();

  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    // Many creations may wait at once; Node warns of a leak from eleven listeners on.
    setMaxListeners(0, this.#had.signal);
  }

  /** The first reading is done. */
  had(): void {
    this.#had.abort();
  }

  /** Resolves after the first reading, or at the limit. */
  async wait(): Promise<void> {
    await this.#clock.sleep(this.#patienceMs, this.#had.signal).catch(() => undefined);
  }
}
