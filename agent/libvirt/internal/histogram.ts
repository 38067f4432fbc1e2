/** Durations by upper bound: each is counted once, at the least bound that it does not exceed. */
export interface Distribution {
  readonly boundsSeconds: readonly number[];
  /** One more than the bounds: the last counts durations above all bounds. */
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

export class Histogram implements Distribution {
  readonly boundsSeconds: readonly number[];
  readonly counts: number[];
  sumSeconds = 0;

  constructor(boundsSeconds: readonly number[]) {
    this.boundsSeconds = boundsSeconds;
    this.counts = boundsSeconds.map(() => 0).concat(0);
  }

  add(seconds: number): void {
    const bound = this.boundsSeconds.findIndex((each) => seconds <= each);
    const at = bound < 0 ? this.boundsSeconds.length : bound;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sumSeconds += seconds;
  }
}
