import { Counts } from "../counts.ts";

/** A semaphore. One client holds at most half of the permits, so it cannot lock out the others. */
export class Places {
  readonly #most: number;
  readonly #of = new Counts();
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Returns the release function, to be called once; undefined when no permit is free for this client. */
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
