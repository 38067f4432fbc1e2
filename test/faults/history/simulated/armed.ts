import type { Moment } from "./schedule.ts";

interface Strike {
  at: Moment;
  readonly what: string;
  readonly strike: () => void;
}

/** Faults and acts that wait for a moment of the agent's. */
export class Armed {
  #waiting: Strike[] = [];

  /** Strikes now, or at the moment; of one kind the newest alone is armed. */
  at(at: Moment = "now", what: string, strike: () => void): void {
    if (at === "now") strike();
    else this.#waiting = [...this.#waiting.filter((one) => one.what !== what), { at, what, strike }];
  }

  /** The moment has come: what is armed for it strikes, in the order in which it was armed. */
  strike(at: Moment): void {
    for (const armed of this.#waiting.filter((one) => one.at === at)) {
      const index = this.#waiting.indexOf(armed);
      // A kill disarms what is behind it.
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      armed.strike();
    }
  }

  /** An effect has come: the next record that is written is its operation's end. */
  effect(): void {
    this.strike("effect");
    for (const armed of this.#waiting) if (armed.at === "end") armed.at = "begin";
  }

  /** The agent has ended: what waits for one that goes on stays. */
  agentEnded(): void {
    this.#waiting = this.#waiting.filter(({ at }) => at === "resume");
  }

  disarm(): void {
    this.#waiting = [];
  }
}
