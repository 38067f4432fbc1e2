import { setMaxListeners } from "node:events";
import type { Clock } from "../../kernel/clock.ts";

/** Something that the agent has to have looked at once; who needs it waits for that, but not for long. */
export class FirstLook {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #had = new AbortController();

  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    // Many creations may wait at once; Node would take eleven for a leak.
    setMaxListeners(0, this.#had.signal);
  }

  /** It was looked at. */
  had(): void {
    this.#had.abort();
  }

  /** Resolves once it was looked at, or when that takes too long. */
  async wait(): Promise<void> {
    await this.#clock.sleep(this.#patienceMs, this.#had.signal).catch(() => undefined);
  }
}
