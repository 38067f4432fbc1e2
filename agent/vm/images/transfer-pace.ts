import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";

/** The time in which a transfer must show its rate: what stands still for less is not slow yet. */
const PERIOD_MS = 600_000;

/**
 * The least pace of transfers: so much in each period. It bounds a whole transfer by its size: at the least rate, and one period
 * more. The time of sender and pool counts together, since both hold the transfer's place.
 */
export class TransferPace {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #leastBytes: number;

  constructor(clock: Pick<Clock, "sleep">, leastBytesPerSecond: number) {
    this.#clock = clock;
    this.#leastBytes = (leastBytesPerSecond * PERIOD_MS) / 1000;
  }

  /**
   * Runs a transfer, which reports all bytes that it has passed on. `end` is called once with `timeout` TRANSFER_TOO_SLOW, and
   * must end the transfer.
   */
  async keep<T>(
    end: (why: SocleError) => void,
    transfer: (passed: (doneBytes: number) => void) => Promise<T>,
  ): Promise<T> {
    const over = new AbortController();
    let doneBytes = 0;
    const watch = async (): Promise<void> => {
      for (let before = 0; ; before = doneBytes) {
        await this.#clock.sleep(PERIOD_MS, over.signal);
        if (doneBytes - before >= this.#leastBytes) continue;
        end(tooSlow(doneBytes - before, this.#leastBytes));
        return;
      }
    };
    void watch().catch(() => undefined);
    try {
      return await transfer((bytes) => (doneBytes = bytes));
    } finally {
      over.abort();
    }
  }
}

const tooSlow = (bytes: number, leastBytes: number): SocleError =>
  new SocleError(
    "timeout",
    "TRANSFER_TOO_SLOW",
    `the transfer passed on ${formatExactBytes(bytes)} in ${PERIOD_MS / 60_000} minutes, and this host ends one below ` +
      `${formatExactBytes(Math.ceil(leastBytes))} (images.leastBytesPerSecond): repeat it from a faster place, or at a quieter time`,
  );
