import type { Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/log.ts";

export interface Round {
  /** The first run has ended, well or not. */
  readonly first: Promise<void>;
  /** Ends with the signal. */
  readonly done: Promise<void>;
  /** Runs again soon instead of at the end of the period; calls that come together make one run. */
  readonly soon: () => void;
}

/** What comes together within this time is one reason to look again. */
const GATHER_MS = 200;

/** Work that is done again and again until a signal aborts. A run that fails is logged, and the next one comes. */
export class Rounds {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #signal: AbortSignal;

  constructor(clock: Clock, log: Logger, signal: AbortSignal) {
    this.#clock = clock;
    this.#log = log;
    this.#signal = signal;
  }

  async once(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      if (!this.#signal.aborted) this.#log.warn({ err: thrown, round: name }, "round failed");
    }
  }

  every(name: string, periodMs: number, work: () => Promise<void>): Round {
    let wake = new AbortController();
    this.#signal.addEventListener("abort", () => wake.abort(), { once: true });
    let isFirst = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      isFirst = resolve;
    });
    const run = async (): Promise<void> => {
      while (!this.#signal.aborted) {
        wake = new AbortController();
        await this.once(name, work);
        isFirst();
        if (!(await this.#slept(periodMs, wake.signal))) await this.#slept(GATHER_MS, this.#signal);
      }
      isFirst();
    };
    return { first, done: run(), soon: () => wake.abort() };
  }

  /** True when all of the time went by. */
  async #slept(ms: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#clock.sleep(ms, signal);
      return true;
    } catch {
      return false;
    }
  }
}
