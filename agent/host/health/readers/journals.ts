import type { SocleError } from "../../../kernel/errors.ts";
import type { Reader } from "./reader.ts";

/** What changes are recorded in before they take effect. */
export interface WatchedJournal {
  /** Why changes are refused. */
  readonly failure: SocleError | undefined;
  /** Finds out whether a disk that was full still is. */
  tryAgain(): Promise<void>;
}

/** Of each journal that cannot be written, why. On a host that takes no changes nobody else would try it again. */
export function journalFailures(
  journals: readonly WatchedJournal[],
  everyMs: number,
): Reader<readonly SocleError[]> {
  return {
    everyMs,
    lane: "journals",
    async read() {
      for (const journal of journals) await journal.tryAgain();
      return { kind: "read", value: journals.flatMap(({ failure }) => failure ?? []) };
    },
  };
}
