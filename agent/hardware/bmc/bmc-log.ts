import type { BmcQuestion } from "../privileged/answers.ts";
import { parseSel, parseSelInfo, selSeverities, type SelSeverity } from "./bmc-text.ts";
import type { LogMark } from "../log-mark.ts";

type Ask = (question: BmcQuestion) => Promise<string>;

export interface BmcEvents {
  /** Entries in the log now. */
  readonly entries: number;
  /** Entries added since an agent's first read, by severity. */
  readonly counts: ReadonlyMap<SelSeverity, number>;
  /** The log was full and lost entries; undefined if the BMC does not report it. */
  readonly overflowed: boolean | undefined;
}

/** Read first: these newest entries include the last known one, except after a burst. */
const FEW = 16;
/** Most entries counted between two reads: reading a whole log would take minutes. */
const MOST = 200;

/** The newest entries read, and the counts up to them. */
export interface BmcLogSeen {
  readonly entries: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * Reads new entries of the BMC's event log. Entries from before the very first read are not counted; entries added while
 * no agent ran are. The length is no reliable mark: a full log replaces its oldest entry, and it can be cleared and
 * refilled between two reads. So entries are compared by their text, with number and time.
 */
export class BmcLog {
  readonly #memory: LogMark<BmcLogSeen> | undefined;
  /** The newest known entries, in order; undefined before the very first read. */
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
        throw new Error(`the BMC reports ${entries} log entries but lists none`);
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
