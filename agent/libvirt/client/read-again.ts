import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";

/** How long a read waits for a libvirt that was lost: a restart of its daemon takes a few seconds. */
const WITHIN_MS = 10_000;

const away: ReadonlySet<string> = new Set([
  "LIBVIRT_DISCONNECTED",
  "LIBVIRT_SOCKET_MISSING",
  "LIBVIRT_UNRESPONSIVE",
]);

export interface ReadAgainOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** False: there will be no further connection. */
  readonly mayRepeat: () => boolean;
}

/**
 * Reads, and reads again while libvirt is away, within the read's time and 10 s. For commands: what they read before their
 * first effect does not fail them then. Throws what the last read threw.
 */
export async function readAgain<R>(
  read: (leftMs: number) => Promise<R>,
  { clock, timeoutMs, signal, mayRepeat }: ReadAgainOptions,
): Promise<R> {
  const startedMs = clock.monotonicMs();
  for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, 1000)) {
    try {
      return await read(timeoutMs - (clock.monotonicMs() - startedMs));
    } catch (thrown) {
      const isAway = thrown instanceof SocleError && away.has(thrown.reason);
      const nextMs = clock.monotonicMs() - startedMs + pauseMs;
      if (!isAway || nextMs >= Math.min(timeoutMs, WITHIN_MS) || !mayRepeat()) throw thrown;
      await clock.sleep(pauseMs, signal);
    }
  }
}
