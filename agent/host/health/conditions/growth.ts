/** Number of pieces of the window, which expire one at a time. */
const PIECES = 48;

interface Counter {
  total: number;
  pieces: { readonly startMs: number; grown: number }[];
}

/** Growth of counters within a sliding window. The value before the first reading counts as old. */
export class Growth {
  readonly #windowMs: number;
  readonly #counters = new Map<string, Counter>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Adds a counter's value and returns its growth within the window. A lower value means a reset to zero. */
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
