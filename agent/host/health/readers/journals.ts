import type { SocleError } from "../../../kernel/errors.ts";
import type { Reader } from "./reader.ts";

/** A journal that records changes before they take effect. */
export interface WatchedJournal {
  /** Why changes are rejected. */
  readonly failure: SocleError | undefined;
  /** Tests whether a full disk has room again. */
  tryAgain(): Promise<void>;
}

/** Failures of unwritable journals. Also retries them, since a host that rejects changes would not. */
export const journalFailures = (
  journals: readonly WatchedJournal[],
  everyMs: number,
): Reader<readonly SocleError[]> => ({
  everyMs,
  lane: "journals",
  async read() {
    for (const journal of journals) await journal.tryAgain();
    return { kind: "read", value: journals.flatMap(({ failure }) => failure ?? []) };
  },
});
