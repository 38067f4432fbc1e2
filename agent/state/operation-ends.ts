import { isUncertain, toSocleError } from "../kernel/errors.ts";
import type { Journal } from "./journal.ts";
import { errorOf, type End, type Operation } from "./operation.ts";
import type { OperationsOptions } from "./operation-requests.ts";
import { endRecord, withEnd, type Entry } from "./operation-table.ts";

/** `decided`: the work is over with this end, whatever the journal says. `asked`: it may still be refused. */
export type Standing = "decided" | "asked";

type Options = Pick<OperationsOptions, "clock" | "boot" | "beforeShown">;

interface Listener {
  readonly show: (entry: Entry) => void;
  readonly ended: (entry: Entry) => void;
}

/** How operations end: on the disk first, then shown, with `beforeShown` between. */
export class OperationEnds {
  readonly #options: Options;
  readonly #journal: Journal;
  readonly #changed: Listener;
  /** Ends that are decided and could not be written, or shown, yet. */
  readonly #decided = new Map<string, End>();

  constructor(options: Options, journal: Journal, changed: Listener) {
    this.#options = options;
    this.#journal = journal;
    this.#changed = changed;
  }

  /** What an earlier start decided and did not show. */
  found(operations: Iterable<Operation>): void {
    for (const { id, decided } of operations) if (decided !== undefined) this.#decided.set(id, decided);
  }

  /** The end of an operation whose work is over and which has none yet. */
  decided(id: string): End | undefined {
    return this.#decided.get(id);
  }

  /**
   * Makes an end durable, then shows it; `outcome_unknown` is one too. Throws the journal's errors and those of `beforeShown`:
   * then the operation is `outcome_unknown`, or as before where an end that was asked for is refused.
   */
  async write(entry: Entry, end: End, standing: Standing): Promise<void> {
    const before = entry.recorded;
    const { id } = before;
    const isEnd = end.state !== "outcome_unknown";
    const ended = withEnd(before, isEnd ? { ...this.#now(), ...end } : end);
    const first = isEnd ? this.#options.beforeShown?.(ended) : undefined;
    let { decided } = before;
    try {
      if (first !== undefined) {
        // A restart must neither show it nor do its work again: others may have seen neither yet.
        const { t: _t, id: _id, ...whole } = endRecord("decided", ended);
        entry.recorded = { ...before, decided: whole };
        if (decided === undefined) await this.#journal.append(endRecord("decided", ended), "must");
        decided = whole;
        await first();
      }
      entry.recorded = ended;
      await this.#journal.append(endRecord("end", ended), "must");
    } catch (thrown) {
      const failure = toSocleError(thrown);
      entry.recorded = decided === undefined ? before : { ...before, decided };
      if (standing === "asked" && decided === undefined && !isUncertain(failure)) throw failure;
      entry.recorded = withEnd(entry.recorded, { state: "outcome_unknown", error: errorOf(failure) });
      if (isEnd) this.#decided.set(id, decided ?? end);
      this.#changed.show(entry);
      throw failure;
    }
    this.#decided.delete(id);
    if (isEnd) this.#changed.ended(entry);
    this.#changed.show(entry);
  }

  #now(): Pick<Operation, "endedAtMs" | "endedSinceBoot"> {
    const { clock, boot } = this.#options;
    const endedAtMs = clock.now();
    return boot === undefined
      ? { endedAtMs }
      : { endedAtMs, endedSinceBoot: { bootId: boot.bootId, ms: boot.ms() } };
  }
}
