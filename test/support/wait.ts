/** The one place where tests wait: for an event, never for a time. */
export interface EventuallyOptions {
  /** The awaited event, for the error: "the guest to run". */
  readonly what?: string;
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  /** An error of `check` that waiting cannot fix is thrown at once. */
  readonly giveUpOn?: new (...args: never[]) => Error;
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Calls `check` until it returns something other than undefined or false, and returns that. Throws at the deadline,
 * with the last error of `check` as the cause.
 */
export async function eventually<T>(
  check: () => T | undefined | false | Promise<T | undefined | false>,
  options: EventuallyOptions = {},
): Promise<T> {
  const { what = "the condition", timeoutMs = 30_000, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    let cause: unknown;
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result;
    } catch (thrown) {
      if (options.giveUpOn !== undefined && thrown instanceof options.giveUpOn) throw thrown;
      cause = thrown;
    }
    if (performance.now() >= deadline) {
      const why = cause instanceof Error ? `; its last error: ${cause.message}` : "";
      throw new Error(`waited ${timeoutMs} ms for ${what}, in vain${why}`, { cause });
    }
    await pause(intervalMs);
  }
}

/** `promise`, or an error once `timeoutMs` has passed. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}, in vain`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
