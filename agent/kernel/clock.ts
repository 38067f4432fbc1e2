/** Time as the agent sees it. Injected, so that tests drive it. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. For display and storage, never for durations. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary start. For durations, deadlines and expiry. */
  monotonicMs(): number;
  /** Resolves after `ms` on the monotonic clock; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Longest timer of Node: a longer one fires after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(abortReason(signal));
      };
      let timer: NodeJS.Timeout;
      const wait = (leftMs: number): void => {
        timer = setTimeout(
          () => {
            if (leftMs > LONGEST_TIMER_MS) {
              wait(leftMs - LONGEST_TIMER_MS);
              return;
            }
            signal?.removeEventListener("abort", onAbort);
            resolve();
          },
          Math.min(leftMs, LONGEST_TIMER_MS),
        );
      };
      wait(ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};

/** The reason of an aborted signal, always as an Error. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new DOMException("aborted", "AbortError");
}
