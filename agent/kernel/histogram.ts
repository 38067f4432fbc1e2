/** How long things took: of each bound how many took no longer, each counted once, at the least bound it is within. */
export interface Distribution {
  readonly boundsSeconds: readonly number[];
  /** One more than there are bounds: the last is of those above them all. */
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

/** Counts durations by bounds, which ascend. */
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
