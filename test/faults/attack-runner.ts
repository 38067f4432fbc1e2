import type { CampaignRun } from "./campaign.ts";
import { spread } from "./wire-plan.ts";

/** The outcome of an attack: refused; accepted as harmless text; or let through. */
export type Outcome = "refused" | "inert" | { readonly letThrough: string };

/** One action of an attacker. */
export interface Try {
  readonly what: string;
  readonly attack: () => Promise<Outcome>;
}

export interface Theme {
  readonly name: string;
  /** All tries of the attack, in order. */
  readonly tries: readonly Try[];
  /** Checks after the tries. */
  readonly check?: () => Promise<void>;
}

/** Runs tries and counts their outcomes. */
export class Tally {
  refused = 0;
  inert = 0;
  letThrough = 0;
  readonly byTheme: Record<string, number> = {};
  readonly #run: CampaignRun;

  constructor(run: CampaignRun) {
    this.#run = run;
  }

  /** At most `count` tries, spread over all. */
  async make({ name, tries, check }: Theme, count: number): Promise<void> {
    const run = this.#run;
    const chosen = spread(tries, count);
    run.log(`${name}: ${chosen.length} tries`);
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
    run.log(`${name}: done in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }

  #letThrough(what: string): void {
    this.letThrough += 1;
    this.#run.violation(`LET THROUGH: ${what}`);
  }
}
