import { open, readFile, stat, type FileHandle } from "node:fs/promises";
import { SocleError } from "../../kernel/errors.ts";
import { isMissing, replaceFile } from "./durable-file.ts";
import { encodeLine } from "./format.ts";
import type { JournalOptions } from "./options.ts";
import { beginAnew, cannotMake, cannotOpen } from "./refusals.ts";
import { header } from "./version.ts";

/**
 * Opens the file of a journal. Creates it with its header if it does not exist, unless it must, and if an operator
 * wrote `beginAnew` into it. Undefined: it must exist and does not. Throws `unavailable` JOURNAL_UNREADABLE, and
 * STATE_UNWRITABLE if it cannot be created.
 */
export async function openJournalFile(
  path: string,
  { kind, mustExist = false, log }: JournalOptions,
): Promise<FileHandle | undefined> {
  try {
    const found = await contentOf(path);
    if (found === "nothing" && mustExist) return undefined;
    if (found === "beginAnew") log.warn({ path }, "the journal is started again, as its file requests");
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
