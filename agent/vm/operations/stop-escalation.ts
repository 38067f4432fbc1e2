import type { Clock } from "../../kernel/clock.ts";
import { mayOverrule } from "../../trust/index.ts";

interface WaitingStop {
  readonly caller: string;
  /** Whether the forced stops that cut it short are still wanted. */
  readonly forced: (() => boolean)[];
  readonly cut: AbortController;
  readonly ended: AbortController;
}

/** The effect of forced stops on a stop that waits. */
export interface Cut {
  /** Aborts when the stop must not wait any longer. */
  readonly signal: AbortSignal;
  /** A forced stop has cut the wait short, and was not cancelled since. */
  readonly isWanted: () => boolean;
}

/** Stops and suspensions that wait for their guests, and the forced stops that cut such a wait short. */
export class StopEscalation {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #stops = new Map<string, WaitingStop>();

  constructor(clock: Pick<Clock, "sleep">) {
    this.#clock = clock;
  }

  async during<T>(vmId: string, caller: string, stop: (cut: Cut) => Promise<T>): Promise<T> {
    const forced: WaitingStop["forced"] = [];
    const waiting = { caller, forced, cut: new AbortController(), ended: new AbortController() };
    this.#stops.set(vmId, waiting);
    try {
      return await stop({
        signal: waiting.cut.signal,
        isWanted: () => forced.some((isWanted) => isWanted()),
      });
    } finally {
      this.#stops.delete(vmId);
      waiting.ended.abort();
    }
  }

  /**
   * Called when a forced stop begins. It queues behind the VM's current stop, which then waits for its guest no longer
   * than the forced one would. A tenant's caller does not cut the provider's stop short. `isWanted`: the forced stop is
   * running or queued, and was not cancelled.
   */
  forced(vmId: string, caller: string, graceMs: number, isWanted: () => boolean): void {
    const waiting = this.#stops.get(vmId);
    if (waiting === undefined || !mayOverrule(caller, waiting.caller)) return;
    const cut = (): void => {
      if (!isWanted()) return;
      waiting.forced.push(isWanted);
      waiting.cut.abort();
    };
    if (graceMs === 0) cut();
    else void this.#clock.sleep(graceMs, waiting.ended.signal).then(cut, () => undefined);
  }
}
