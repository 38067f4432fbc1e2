/** Time, injected so that tests control it. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. For display, never for durations. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary start. For durations and deadlines. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` on the monotonic clock; rejects with the signal's reason when it aborts first. The event loop is
   * polled once before, however late it is: a deadline does not pass over a reply that has arrived.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Longest timer of Node: a longer one fires after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  async sleep(ms, signal) {
    for (let leftMs = ms; ; leftMs -= LONGEST_TIMER_MS) {
      await timer(Math.min(leftMs, LONGEST_TIMER_MS), signal);
      if (leftMs <= LONGEST_TIMER_MS) return;
    }
  },
};

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timeout);
      reject(abortReason(signal));
    };
    const end = (): void => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    };
    const timeout = setTimeout(() => setImmediate(end), ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** The reason of an aborted signal, always as an Error. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new DOMException("aborted", "AbortError");
}
