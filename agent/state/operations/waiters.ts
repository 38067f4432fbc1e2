import { abortReason, type Clock } from "../../kernel/clock.ts";

// Node fires a timer of more than 2^31 ms at once.
const MAX_WAIT_MS = 86_400_000;

/** Callers that wait for the end of an operation. */
export class OperationWaiters {
  readonly #clock: Clock;
  readonly #waiters = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ended(id: string): void {
    for (const done of this.#waiters.get(id) ?? []) done();
  }

  /** Resolves when the operation has ended or the time is over; rejects with the signal's reason. */
  async until(id: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal);
    const over = new AbortController();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters);
    const end = (): void => over.abort();
    waiters.add(end);
    try {
      const either = AbortSignal.any([signal, over.signal]);
      await this.#clock.sleep(Math.min(timeoutMs, MAX_WAIT_MS), either).catch(() => undefined);
      signal.throwIfAborted();
    } finally {
      waiters.delete(end);
      if (waiters.size === 0) this.#waiters.delete(id);
    }
  }
}
