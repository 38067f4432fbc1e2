import type { BmcQuestion } from "./answers.ts";
import { parseSel, parseSelInfo, selSeverities, type SelSeverity } from "./bmc-text.ts";

type Ask = (question: BmcQuestion) => Promise<string>;

export interface BmcEvents {
  /** In the log now. */
  readonly entries: number;
  /** That came since the agent started, by severity. */
  readonly counts: ReadonlyMap<SelSeverity, number>;
  /** It was full, and entries were lost; undefined where the BMC does not say. */
  readonly overflowed: boolean | undefined;
}

/** The newest entries are enough to find the last one that was seen, but after a storm. */
const FEW = 16;
/** A whole log would take minutes: of a storm between two looks so many are counted. */
const MOST = 200;

/**
 * The BMC's event log, of which only what is new is read. What was there before the first look is not counted. Its
 * length alone says little: a full log takes a new entry for its oldest one, and it can be cleared and filled again
 * between two looks. So entries are known by what they say, their number and time included.
 */
export class BmcLog {
  readonly #counts = new Map<SelSeverity, number>(selSeverities.map((severity) => [severity, 0]));
  /** The newest that were seen, in their order. */
  #known: readonly string[] = [];
  #last: { readonly entries: number; readonly changed: string | undefined } | undefined;

  async look(ask: Ask): Promise<BmcEvents> {
    const info = parseSelInfo(await ask("log-info"));
    const isSame =
      info.changed !== undefined &&
      info.changed === this.#last?.changed &&
      info.entries === this.#last.entries;
    if (!isSame) await this.#readOn(ask, info.entries);
    this.#last = info;
    return { entries: info.entries, counts: new Map(this.#counts), overflowed: info.overflowed };
  }

  async #readOn(ask: Ask, entries: number): Promise<void> {
    const isFirst = this.#last === undefined;
    const added = Math.max(0, entries - (this.#last?.entries ?? entries));
    for (const wanted of [added + FEW, MOST]) {
      const count = Math.min(wanted, MOST, entries);
      if (count === 0) return;
      const listed = parseSel(await ask(`log ${count}`));
      if (listed.length === 0) throw new Error(`the BMC has ${entries} entries in its log and lists none`);
      const seen = listed.findLastIndex(({ text }) => this.#known.includes(text));
      if (!isFirst && seen < 0 && count < Math.min(MOST, entries)) continue;
      if (!isFirst)
        for (const { severity } of listed.slice(seen + 1))
          this.#counts.set(severity, (this.#counts.get(severity) ?? 0) + 1);
      const texts = listed.map(({ text }) => text);
      this.#known = [...this.#known.filter((text) => !texts.includes(text)), ...texts].slice(-MOST);
      return;
    }
  }
}
