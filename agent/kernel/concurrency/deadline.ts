import type { Clock } from "../clock.ts";

export const LATE: unique symbol = Symbol("late");

/**
 * What `work` settles with, or LATE when it takes longer than `timeoutMs`, or the signal aborts first. Late work goes on;
 * how it settles is ignored.
 */
export async function within<T>(
  clock: Pick<Clock, "sleep">,
  timeoutMs: number,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T | typeof LATE> {
  const settled = new AbortController();
  const wait = signal === undefined ? settled.signal : AbortSignal.any([settled.signal, signal]);
  const isLate = (): typeof LATE => LATE;
  const late = clock.sleep(timeoutMs, wait).then(isLate, isLate);
  try {
    return await Promise.race([work, late]);
  } finally {
    settled.abort();
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
