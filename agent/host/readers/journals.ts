import type { SocleError } from "../../kernel/errors.ts";
import type { Journal } from "../../state/journal.ts";
import type { Reader } from "./reader.ts";

/** What changes are recorded in before they take effect. */
export type WatchedJournal = Pick<Journal, "failure" | "tryAgain">;

/** Why changes are refused: of each journal that cannot be written. Nobody else would try a disk that was full again. */
export function journalFailures(
  journals: readonly WatchedJournal[],
  everyMs: number,
): Reader<readonly SocleError[]> {
  return {
    everyMs,
    lane: "journals",
    async read() {
      await Promise.all(journals.map((journal) => journal.tryAgain()));
      return { kind: "read", value: journals.flatMap(({ failure }) => failure ?? []) };
    },
  };
}
