import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";

export interface OutboxBounds {
  /** Unread bytes of one caller's answers; beyond it the caller's calls are refused. */
  readonly bytesOfOne: number;
  /** Unread bytes of all answers; beyond it the oldest are abandoned. */
  readonly bytes: number;
  /** A caller's time to read an answer, in milliseconds. */
  readonly takeWithinMs: number;
}

export const outboxBounds: OutboxBounds = {
  bytesOfOne: 8 * 2 ** 20,
  bytes: 64 * 2 ** 20,
  takeWithinMs: 60_000,
};

/** Of a caller's bytes: below it, messages may be made ahead of their reader. */
const AMPLE_SHARE = 1 / 8;

interface Answer {
  readonly caller: string;
  readonly bytes: number;
  readonly atMs: number;
  readonly abandon: () => void;
}

/** Answers that were written and not read yet: memory that callers hold. */
export class Outbox {
  readonly #bounds: OutboxBounds;
  readonly #clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** Oldest first. */
  readonly #answers = new Set<Answer>();
  readonly #bytesOf = new Map<string, number>();
  readonly #over = new AbortController();
  #bytes = 0;
  #abandoned = 0;
  #isTimed = false;

  constructor(bounds: OutboxBounds, clock: Pick<Clock, "monotonicMs" | "sleep">) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** For metrics: bytes held now, and answers abandoned since the start. */
  get counts(): { readonly answers: number; readonly bytes: number; readonly abandoned: number } {
    return { answers: this.#answers.size, bytes: this.#bytes, abandoned: this.#abandoned };
  }

  /** Throws `exhausted` REPLIES_NOT_READ while the caller has too many unread answers. */
  requireRoom(caller: string): void {
    const held = this.#bytesOf.get(caller) ?? 0;
    if (held < this.#bounds.bytesOfOne) return;
    const message = `${held} bytes of answers to this caller are unread; read them, then retry`;
    throw new SocleError("exhausted", "REPLIES_NOT_READ", message, { details: { retryAfterMs: 1000 } });
  }

  /** Whether most of the caller's bytes are free. */
  hasAmpleRoom(caller: string): boolean {
    return (this.#bytesOf.get(caller) ?? 0) <= this.#bounds.bytesOfOne * AMPLE_SHARE;
  }

  /**
   * Counts an answer until the returned function is called, which may be repeated. `abandon` is called when it is held for
   * too long, or is the oldest when the bound is exceeded: it must end the call.
   */
  hold(caller: string, bytes: number, abandon: () => void): () => void {
    const answer: Answer = { caller, bytes, atMs: this.#clock.monotonicMs(), abandon };
    this.#answers.add(answer);
    this.#bytes += bytes;
    this.#bytesOf.set(caller, (this.#bytesOf.get(caller) ?? 0) + bytes);
    for (const oldest of this.#answers) {
      if (this.#bytes <= this.#bounds.bytes || oldest === answer) break;
      this.#abandon(oldest);
    }
    this.#time();
    return () => this.#release(answer);
  }

  /** Stops its timer. */
  close(): void {
    this.#over.abort();
  }

  #release(answer: Answer): void {
    if (!this.#answers.delete(answer)) return;
    const { caller, bytes } = answer;
    this.#bytes -= bytes;
    const left = (this.#bytesOf.get(caller) ?? 0) - bytes;
    if (left > 0) this.#bytesOf.set(caller, left);
    else this.#bytesOf.delete(caller);
  }

  #abandon(answer: Answer): void {
    this.#release(answer);
    this.#abandoned += 1;
    answer.abandon();
  }

  /** One timer for all: every answer has the same deadline. */
  #time(): void {
    const [oldest] = this.#answers;
    if (oldest === undefined || this.#isTimed || this.#over.signal.aborted) return;
    this.#isTimed = true;
    const leftMs = oldest.atMs + this.#bounds.takeWithinMs - this.#clock.monotonicMs();
    this.#clock.sleep(Math.max(0, leftMs), this.#over.signal).then(
      () => {
        this.#isTimed = false;
        const before = this.#clock.monotonicMs() - this.#bounds.takeWithinMs;
        for (const answer of this.#answers) {
          if (answer.atMs > before) break;
          this.#abandon(answer);
        }
        this.#time();
      },
      () => undefined,
    );
  }
}
