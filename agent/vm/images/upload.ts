import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import { abortReason, type Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Source } from "./download.ts";

/** The longest wait for the caller's next bytes. Of slow ones see transfer-pace.ts. */
const STALL_MS = 60_000;

/** An upload before its operation reads it. */
export type Upload = (signal: AbortSignal) => Source;

/**
 * The bytes that a caller sends, at the pace of their reader. Their iteration throws `unavailable` UPLOAD_INCOMPLETE, or the
 * signal's reason.
 */
export const uploadOf =
  (sizeBytes: number, chunks: AsyncIterable<Buffer>, clock: Pick<Clock, "sleep">): Upload =>
  (signal) => ({ sizeBytes, bytes: exactly(sizeBytes, chunks, clock, signal), close: () => undefined });

async function* exactly(
  sizeBytes: number,
  chunks: AsyncIterable<Buffer>,
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const iterator = chunks[Symbol.asyncIterator]();
  for (let at = 0; at < sizeBytes;) {
    const next = await within(clock, STALL_MS, iterator.next(), signal).catch((cause: unknown) => {
      throw incomplete(`the caller disconnected after ${at} of ${sizeBytes} bytes`, cause);
    });
    if (signal.aborted) throw abortReason(signal);
    if (next === LATE) throw incomplete(`the caller sent nothing for ${STALL_MS / 1000} s`);
    if (next.done === true) throw incomplete(`the caller ended it after ${at} of ${sizeBytes} bytes`);
    at += next.value.length;
    if (at > sizeBytes) throw incomplete(`the caller sent more than ${sizeBytes} bytes`);
    yield next.value;
  }
}

/** The call of an upload ended before its operation read it. */
export const uploadGone = (): SocleError => incomplete("the caller disconnected before its bytes were read");

const incomplete = (why: string, cause?: unknown): SocleError =>
  new SocleError("unavailable", "UPLOAD_INCOMPLETE", `the upload failed: ${why}; send it again`, {
    cause,
  });
