import type { Clock } from "../clock.ts";

const maxKinds = 256;
const intervalMs = 1000;

/** Passes one item of a kind in each second, and counts the others. */
export class Throttle {
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** In the order in which they passed. */
  readonly #kinds = new Map<string, { readonly atMs: number; held: number }>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** How many of this kind were suppressed since the last one passed; undefined: this one is suppressed. */
  pass(kind: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#kinds.get(kind);
    if (last !== undefined && nowMs - last.atMs < intervalMs) {
      last.held += 1;
      return undefined;
    }
    this.#kinds.delete(kind);
    this.#kinds.set(kind, { atMs: nowMs, held: 0 });
    const [oldest] = this.#kinds.keys();
    if (this.#kinds.size > maxKinds && oldest !== undefined) this.#kinds.delete(oldest);
    return last?.held ?? 0;
  }
}
