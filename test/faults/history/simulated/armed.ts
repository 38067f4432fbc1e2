import type { Moment } from "./schedule.ts";

interface Strike {
  at: Moment;
  readonly what: string;
  readonly strike: () => void;
}

/** Faults and acts that wait for a moment in the agent's run. */
export class Armed {
  #waiting: Strike[] = [];

  /** Acts now, or at the moment; only the newest of each kind is armed. */
  at(at: Moment = "now", what: string, strike: () => void): void {
    if (at === "now") strike();
    else this.#waiting = [...this.#waiting.filter((one) => one.what !== what), { at, what, strike }];
  }

  /** Runs the faults that are armed for this moment, in order. */
  strike(at: Moment): void {
    for (const armed of this.#waiting.filter((one) => one.at === at)) {
      const index = this.#waiting.indexOf(armed);
      // A kill disarms the later ones.
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      armed.strike();
    }
  }

  /** After an effect, the next written record is its operation's end. */
  effect(): void {
    this.strike("effect");
    for (const armed of this.#waiting) if (armed.at === "end") armed.at = "begin";
  }

  /** The agent has ended; faults for a resumed operation stay armed. */
  agentEnded(): void {
    this.#waiting = this.#waiting.filter(({ at }) => at === "resume");
  }

  disarm(): void {
    this.#waiting = [];
  }
}
