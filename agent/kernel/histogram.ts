/** Durations by upper bound: each is counted once, at the least bound that it does not exceed. */
export interface Distribution {
  readonly boundsSeconds: readonly number[];
  /** One more than the bounds: the last counts durations above all bounds. */
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

/** Counts durations by ascending bounds. */
export class Histogram implements Distribution {
  readonly boundsSeconds: readonly number[];
  readonly counts: number[];
  #sumSeconds = 0;

  constructor(boundsSeconds: readonly number[]) {
    this.boundsSeconds = boundsSeconds;
    this.counts = new Array<number>(boundsSeconds.length + 1).fill(0);
  }

  get sumSeconds(): number {
    return this.#sumSeconds;
  }

  add(seconds: number): void {
    let at = 0;
    while (at < this.boundsSeconds.length && seconds > (this.boundsSeconds[at] ?? Infinity)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.#sumSeconds += seconds;
  }
}
