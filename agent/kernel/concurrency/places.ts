import { Counts } from "../counts.ts";

/** So many at once in all, and half of them of one who asks: so nobody keeps out all others. */
export class Places {
  readonly #most: number;
  readonly #of = new Counts();
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** What gives the place back, to be called once; undefined: there is none for him. */
  take(who: string): (() => void) | undefined {
    if (this.#taken >= this.#most || this.#of.of(who) >= this.#most / 2) return undefined;
    this.#taken += 1;
    this.#of.add(who);
    return () => {
      this.#taken -= 1;
      this.#of.remove(who);
    };
  }
}
