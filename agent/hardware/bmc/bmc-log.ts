import type { BmcQuestion } from "../privileged/answers.ts";
import { parseSel, parseSelInfo, selSeverities, type SelSeverity } from "./bmc-text.ts";
import type { LogMark } from "../log-mark.ts";

type Ask = (question: BmcQuestion) => Promise<string>;

export interface BmcEvents {
  /** In the log now. */
  readonly entries: number;
  /** That came since an agent first looked, by severity. */
  readonly counts: ReadonlyMap<SelSeverity, number>;
  /** It was full, and entries were lost; undefined where the BMC does not say. */
  readonly overflowed: boolean | undefined;
}

/** The newest entries are enough to find the last one that was seen, but after a storm. */
const FEW = 16;
/** A whole log would take minutes: of a storm between two looks so many are counted. */
const MOST = 200;

/** Its newest entries, and what was counted up to them. */
export interface BmcLogSeen {
  readonly entries: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * The BMC's event log, of which only what is new is read. What was there before the first look ever is not counted; what
 * came while no agent ran is. Its length alone says little: a full log takes a new entry for its oldest one, and it can
 * be cleared and filled again between two looks. So entries are known by what they say, their number and time included.
 */
export class BmcLog {
  readonly #memory: LogMark<BmcLogSeen> | undefined;
  /** The newest that were seen, in their order; undefined before the first look ever. */
  #known: readonly string[] | undefined;
  #counts = new Map<SelSeverity, number>();
  #last: { readonly entries: number; readonly changed: string | undefined } | undefined;

  constructor(memory?: LogMark<BmcLogSeen>) {
    this.#memory = memory;
  }

  async look(ask: Ask): Promise<BmcEvents> {
    if (this.#last === undefined) this.#recall();
    const info = parseSelInfo(await ask("log-info"));
    const isSame =
      info.changed !== undefined &&
      info.changed === this.#last?.changed &&
      info.entries === this.#last.entries;
    if (!isSame) await this.#readOn(ask, info.entries);
    this.#last = info;
    return { entries: info.entries, counts: new Map(this.#counts), overflowed: info.overflowed };
  }

  #recall(): void {
    const before = this.#memory?.seen();
    this.#known = before?.entries;
    this.#counts = new Map(selSeverities.map((severity) => [severity, before?.counts[severity] ?? 0]));
  }

  async #readOn(ask: Ask, entries: number): Promise<void> {
    const known = this.#known;
    const added = Math.max(0, entries - (this.#last?.entries ?? entries));
    for (const wanted of [added + FEW, MOST]) {
      const count = Math.min(wanted, MOST, entries);
      const listed = count === 0 ? [] : parseSel(await ask(`log ${count}`));
      if (listed.length === 0 && count > 0)
        throw new Error(`the BMC has ${entries} entries in its log and lists none`);
      const texts = listed.map(({ text }) => text);
      const seen = texts.findLastIndex((text) => known?.includes(text) === true);
      if (known !== undefined && seen < 0 && count < Math.min(MOST, entries)) continue;
      if (known !== undefined)
        for (const { severity } of listed.slice(seen + 1))
          this.#counts.set(severity, (this.#counts.get(severity) ?? 0) + 1);
      this.#known = [...(known ?? []).filter((text) => !texts.includes(text)), ...texts].slice(-MOST);
      this.#keep(known);
      return;
    }
  }

  #keep(before: readonly string[] | undefined): void {
    const newest = this.#known?.slice(-FEW) ?? [];
    if (before !== undefined && before.at(-1) === newest.at(-1)) return;
    this.#memory?.keep({ entries: newest, counts: Object.fromEntries(this.#counts) });
  }
}
