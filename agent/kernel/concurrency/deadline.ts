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
  const endWait = (): void => settled.abort(workSettled);
  // Not AbortSignal.any: a signal that lives long keeps something of each signal made from it.
  if (signal?.aborted) endWait();
  signal?.addEventListener("abort", endWait, { once: true });
  const isLate = (): typeof LATE => LATE;
  const late = clock.sleep(timeoutMs, settled.signal).then(isLate, isLate);
  try {
    return await Promise.race([work, late]);
  } finally {
    signal?.removeEventListener("abort", endWait);
    endWait();
  }
}

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
