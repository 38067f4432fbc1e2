import type { Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/log.ts";
import { succeeds } from "../../kernel/thrown.ts";

interface Round {
  /** Resolves after the first run, also a failed one. */
  readonly first: Promise<void>;
  /** Runs until the signal aborts. */
  readonly done: Promise<void>;
  /** Runs again soon instead of at the end of the period; concurrent calls share one run. */
  readonly soon: () => void;
}

/** Requests within this time share one run. */
const GATHER_MS = 200;

/** Periodic work until a signal aborts. Failed runs are logged and do not stop later runs. */
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
        const isWoken = !(await succeeds(this.#clock.sleep(periodMs, wake.signal)));
        if (isWoken) await succeeds(this.#clock.sleep(GATHER_MS, this.#signal));
      }
      isFirst();
    };
    return { first, done: run(), soon: () => wake.abort() };
  }
}
