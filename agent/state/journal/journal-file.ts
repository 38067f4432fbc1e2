import { open, readFile, stat, type FileHandle } from "node:fs/promises";
import { SocleError } from "../../kernel/errors.ts";
import { isMissing, replaceFile } from "./durable-file.ts";
import { encodeLine } from "./format.ts";
import type { JournalOptions } from "./options.ts";
import { beginAnew, cannotMake, cannotOpen } from "./refusals.ts";
import { header } from "./version.ts";

/**
 * Opens the file of a journal, or makes one with its header: where there is none, unless it must exist, and where an operator
 * wrote `beginAnew` into it. Undefined: it must exist and does not. Throws `unavailable` JOURNAL_UNREADABLE, and
 * STATE_UNWRITABLE where there is none and none can be made.
 */
export async function openJournalFile(
  path: string,
  { kind, mustExist = false, log }: JournalOptions,
): Promise<FileHandle | undefined> {
  try {
    const found = await contentOf(path);
    if (found === "nothing" && mustExist) return undefined;
    if (found === "beginAnew") log.warn({ path }, "the journal begins anew: its file says so");
    if (found !== "records")
      await replaceFile(path, encodeLine(header(kind), 0)).catch((cause: unknown) => {
        throw found === "nothing" ? cannotMake(path, cause) : cause;
      });
    return await open(path, "r+");
  } catch (cause) {
    throw cause instanceof SocleError ? cause : cannotOpen(path, cause);
  }
}

async function contentOf(path: string): Promise<"nothing" | "beginAnew" | "records"> {
  try {
    const { size } = await stat(path);
    if (size > 2 * beginAnew.length) return "records";
    return (await readFile(path, "utf8")).trim() === beginAnew ? "beginAnew" : "records";
  } catch (thrown) {
    if (isMissing(thrown)) return "nothing";
    throw thrown;
  }
}
