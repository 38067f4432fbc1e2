/** The window is kept in so many pieces: what leaves it does so a piece at a time. */
const PIECES = 48;

interface Counter {
  total: number;
  pieces: { readonly startMs: number; grown: number }[];
}

/** How much counters grew within a time that moves on with the clock. What they had counted before is not known of. */
export class Growth {
  readonly #windowMs: number;
  readonly #counters = new Map<string, Counter>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Takes a counter's value and gives its growth within the window. A counter that went back began again from zero. */
  add(name: string, total: number, monotonicMs: number): number {
    const counter: Counter = this.#counters.get(name) ?? { total, pieces: [] };
    const grown = total >= counter.total ? total - counter.total : total;
    counter.total = total;
    counter.pieces = counter.pieces.filter(({ startMs }) => monotonicMs - startMs < this.#windowMs);
    if (grown > 0) {
      const last = counter.pieces.at(-1);
      if (last !== undefined && monotonicMs - last.startMs < this.#windowMs / PIECES) last.grown += grown;
      else counter.pieces.push({ startMs: monotonicMs, grown });
    }
    this.#counters.set(name, counter);
    return counter.pieces.reduce((sum, piece) => sum + piece.grown, 0);
  }
}
