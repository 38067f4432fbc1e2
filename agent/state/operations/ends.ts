import { defined } from "../../kernel/defined.ts";
import { isUncertain, SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Journal } from "../journal/journal.ts";
import { errorOf, type End, type Operation } from "./operation.ts";
import type { OperationsOptions } from "./requests.ts";
import { wholeEnd, withEnd, type Entry } from "./operation-table.ts";

/**
 * `work`: the operation's own work reached this end, which stands even if the journal refuses it. `settlement`: an
 * observer or a person found it; it is dropped if the journal refuses it.
 */
export type EndSource = "work" | "settlement";

type Options = Pick<OperationsOptions, "clock" | "boot" | "beforeShown">;

/** Ends operations: makes each end durable, runs `beforeShown`, then shows the end. */
export class OperationEnds {
  readonly #options: Options;
  readonly #journal: Journal;
  readonly #written: (entry: Entry) => void;
  /** Decided ends that are not written, or not shown, yet. */
  readonly #decided = new Map<string, End>();
  /** The ones that an earlier start decided. */
  readonly #found = new Set<string>();

  /** `written`: called after each change of an entry, to show it. */
  constructor(options: Options, journal: Journal, written: (entry: Entry) => void) {
    this.#options = options;
    this.#journal = journal;
    this.#written = written;
  }

  /** Takes over ends that an earlier start decided and did not show. */
  found(operations: Iterable<Operation>): void {
    for (const { id, decided } of operations) {
      if (decided === undefined) continue;
      this.#decided.set(id, decided);
      this.#found.add(id);
    }
  }

  /** The decided end of an operation that does not show it yet. */
  decided(id: string): End | undefined {
    return this.#decided.get(id);
  }

  /** Discards what an earlier start decided. */
  forgetFound(entry: Entry): void {
    const { decided: _decided, ...rest } = entry.recorded;
    if (!this.#found.delete(rest.id)) return;
    entry.recorded = rest;
    this.#decided.delete(rest.id);
  }

  /**
   * Makes an end (or `outcome_unknown`) durable, then shows it. Throws the errors of the journal and of `beforeShown`:
   * the operation is then `outcome_unknown`, or unchanged if the journal refused a settlement. An end that is decided
   * but not shown throws `outcome_unknown`.
   */
  async write(entry: Entry, end: End, source: EndSource): Promise<void> {
    const before = entry.recorded;
    const { id } = before;
    const isEnd = end.state !== "outcome_unknown";
    const ended = withEnd(before, isEnd ? { ...this.#now(), ...end } : end);
    const whole = wholeEnd(ended);
    const beforeShown = isEnd ? this.#options.beforeShown?.(ended) : undefined;
    let { decided } = before;
    try {
      if (beforeShown !== undefined || (isEnd && source === "settlement")) {
        // A restart during beforeShown must neither show the end nor repeat the work. A copy of a settlement that the journal
        // then refuses must not hold an end, which nothing replaces.
        entry.recorded = { ...before, decided: whole };
        if (decided === undefined) await this.#journal.append({ t: "decided", id, ...whole }, "must");
        decided = whole;
        await beforeShown?.();
      }
      entry.recorded = ended;
      await this.#journal.append({ t: "end", id, ...whole }, "must");
    } catch (thrown) {
      const failure = toSocleError(thrown);
      entry.recorded = decided === undefined ? before : { ...before, decided };
      if (source === "settlement" && decided === undefined && !isUncertain(failure)) throw failure;
      entry.recorded = withEnd(entry.recorded, { state: "outcome_unknown", error: errorOf(failure) });
      if (isEnd) this.#decided.set(id, decided ?? end);
      this.#written(entry);
      throw decided === undefined || isUncertain(failure) ? failure : notShown(failure);
    }
    this.#decided.delete(id);
    this.#written(entry);
  }

  #now(): Pick<Operation, "endedAtMs" | "endedSinceBoot"> {
    const { clock, boot } = this.#options;
    const endedSinceBoot = boot && { bootId: boot.bootId, ms: boot.ms() };
    return defined({ endedAtMs: clock.now(), endedSinceBoot });
  }
}

const notShown = (cause: SocleError): SocleError =>
  new SocleError(
    "outcome_unknown",
    cause.reason,
    `the operation's end is decided, and will be shown once it can be recorded: ${cause.message}`,
    { cause },
  );
