import type { CampaignRun } from "./campaign.ts";
import { spread } from "./wire-plan.ts";

/** What became of an attack: refused; taken for the mere words that it is; or it got somewhere. */
export type Outcome = "refused" | "inert" | { readonly letThrough: string };

/** One thing that an attacker does. */
export interface Try {
  readonly what: string;
  readonly attack: () => Promise<Outcome>;
}

export interface Theme {
  readonly name: string;
  /** All of its tries, in the order in which they are made. */
  readonly tries: readonly Try[];
  /** What is to be looked at behind them. */
  readonly check?: () => Promise<void>;
}

/** Makes tries and counts what became of them. */
export class Tally {
  refused = 0;
  inert = 0;
  letThrough = 0;
  readonly byTheme: Record<string, number> = {};
  readonly #run: CampaignRun;

  constructor(run: CampaignRun) {
    this.#run = run;
  }

  /** At most `count` of them, spread over all. */
  async make({ name, tries, check }: Theme, count: number): Promise<void> {
    const run = this.#run;
    const chosen = spread(tries, count);
    run.say(`${name}: ${chosen.length} tries`);
    const startMs = performance.now();
    for (const { what, attack } of chosen) {
      run.tries += 1;
      try {
        const outcome = await attack();
        if (typeof outcome === "string") this[outcome] += 1;
        else this.#letThrough(`${name}: ${what}: ${outcome.letThrough}`);
      } catch (thrown) {
        const why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
        run.violation(`${name}: ${what}: ${why}`);
      }
    }
    await check?.();
    this.byTheme[name] = chosen.length;
    run.say(`${name}: done in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }

  #letThrough(what: string): void {
    this.letThrough += 1;
    this.#run.violation(`LET THROUGH: ${what}`);
  }
}
