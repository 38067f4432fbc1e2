import type { Clock } from "../kernel/clock.ts";
import { mayOverrule } from "../trust/index.ts";

interface WaitingStop {
  readonly caller: string;
  readonly cut: AbortController;
  readonly ended: AbortController;
}

/** Stops that wait for their guests, and the forced stops that cut such a wait short. */
export class StopEscalation {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #stops = new Map<string, WaitingStop>();

  constructor(clock: Pick<Clock, "sleep">) {
    this.#clock = clock;
  }

  /** Runs a stop; the signal aborts when it is to wait no longer. */
  async during<T>(vmId: string, caller: string, stop: (cut: AbortSignal) => Promise<T>): Promise<T> {
    const waiting = { caller, cut: new AbortController(), ended: new AbortController() };
    this.#stops.set(vmId, waiting);
    try {
      return await stop(waiting.cut.signal);
    } finally {
      this.#stops.delete(vmId);
      waiting.ended.abort();
    }
  }

  /**
   * A forced stop was begun and queues behind the VM's stop under way, if there is one: that waits for its guest as long
   * as the forced one would. A tenant's caller does not cut the provider's stop short. `isWanted`: the forced stop is
   * running or queued, and was not cancelled.
   */
  forced(vmId: string, caller: string, graceMs: number, isWanted: () => boolean): void {
    const waiting = this.#stops.get(vmId);
    if (waiting === undefined || !mayOverrule(caller, waiting.caller) || !isWanted()) return;
    if (graceMs === 0) waiting.cut.abort();
    else
      void this.#clock.sleep(graceMs, waiting.ended.signal).then(
        () => {
          if (isWanted()) waiting.cut.abort();
        },
        () => undefined,
      );
  }
}
