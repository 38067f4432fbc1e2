/** Time as the agent sees it. Injected, so that tests drive it. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. For display and storage, never for durations. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary start. For durations, deadlines and expiry. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` on the monotonic clock; rejects with the signal's reason when it aborts first. The event loop is
   * polled once before, however late it is: a deadline does not pass over an answer that has arrived.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Longest timer of Node: a longer one fires after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    abortable(signal, (resolve) => {
      let timer: NodeJS.Timeout;
      const wait = (leftMs: number): void => {
        const next =
          leftMs > LONGEST_TIMER_MS ? () => wait(leftMs - LONGEST_TIMER_MS) : () => setImmediate(resolve);
        timer = setTimeout(next, Math.min(leftMs, LONGEST_TIMER_MS));
      };
      wait(ms);
      return () => clearTimeout(timer);
    }),
};

/**
 * As `new Promise`, but it rejects with the signal's reason when that aborts first. Then the function that `begin` returned
 * undoes what it began. An aborted signal begins nothing.
 */
export const abortable = <T = void>(
  signal: AbortSignal | undefined,
  begin: (resolve: (value: T) => void, reject: (reason: Error) => void) => (() => unknown) | undefined,
): Promise<T> =>
  new Promise((resolve, reject) => {
    const isAborted = (): boolean => signal?.aborted === true;
    const begun: { isSettled: boolean; undo?: (() => unknown) | undefined } = { isSettled: false };
    const onAbort = (): void => {
      reject(abortReason(signal));
      begun.undo?.();
    };
    const once =
      <Value>(settle: (value: Value) => void) =>
      (value: Value): void => {
        begun.isSettled = true;
        signal?.removeEventListener("abort", onAbort);
        settle(value);
      };
    if (!isAborted()) begun.undo = begin(once(resolve), once(reject));
    if (begun.isSettled) return;
    if (isAborted()) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });

/** The reason of an aborted signal, always as an Error. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new DOMException("aborted", "AbortError");
}
