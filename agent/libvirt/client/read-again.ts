import type { Clock } from "../internal/clock.ts";
import { LibvirtError } from "../internal/errors.ts";

/** `withinMs`: how long a read is retried after libvirt is lost, since a restart of its daemon takes a few seconds. */
export const RETRY = { firstPauseMs: 100, longestPauseMs: 1000, withinMs: 10_000 } as const;

const away: ReadonlySet<string> = new Set([
  "LIBVIRT_DISCONNECTED",
  "LIBVIRT_SOCKET_MISSING",
  "LIBVIRT_UNRESPONSIVE",
]);

export interface ReadAgainOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** False: the client is closed. */
  readonly mayRepeat: () => boolean;
}

/**
 * Retries a read while libvirt is away, within its deadline and 10 s, so that a restart of libvirtd does not fail commands
 * before their first effect. Throws the error of the last attempt.
 */
export async function readAgain<R>(
  read: (leftMs: number) => Promise<R>,
  { clock, timeoutMs, signal, mayRepeat }: ReadAgainOptions,
): Promise<R> {
  const startedMs = clock.monotonicMs();
  for (let pauseMs: number = RETRY.firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, RETRY.longestPauseMs)) {
    try {
      return await read(timeoutMs - (clock.monotonicMs() - startedMs));
    } catch (thrown) {
      const isAway = thrown instanceof LibvirtError && away.has(thrown.reason);
      const nextMs = clock.monotonicMs() - startedMs + pauseMs;
      if (!isAway || nextMs >= Math.min(timeoutMs, RETRY.withinMs) || !mayRepeat()) throw thrown;
      await clock.sleep(pauseMs, signal);
    }
  }
}
