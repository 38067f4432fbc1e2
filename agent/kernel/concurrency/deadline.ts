import type { Clock } from "../clock.ts";

export const LATE: unique symbol = Symbol("late");

/** Made once: an abort without a reason makes an exception with a stack. */
const workSettled = new Error("the work settled before its deadline");

/**
 * Settles as `work` does, or with LATE after `timeoutMs` or when the signal aborts first. Late work continues;
 * its outcome is ignored.
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
    settled.abort(workSettled);
  }
}

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
