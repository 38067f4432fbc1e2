import { readFile } from "node:fs/promises";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Journal } from "../../../agent/state/journal/journal.ts";
import { seal } from "../../../agent/state/journal/format.ts";
import type { JournalOptions } from "../../../agent/state/journal/options.ts";
import { eventually } from "../wait.ts";

export const options: JournalOptions = {
  kind: "test",
  log: silentLog,
  replay: () => undefined,
  live: () => [],
};

export async function replayed(path: string, more: Partial<JournalOptions> = {}): Promise<unknown[]> {
  const records: unknown[] = [];
  const journal = await Journal.open(path, { ...options, replay: (record) => records.push(record), ...more });
  await journal.close();
  return records;
}

/**
 * A journal of these groups, each durable before the next and the last one sealed, as a killed agent leaves
 * it.
 */
export async function killedJournal(path: string, groups: unknown[][]): Promise<Buffer> {
  const journal = await Journal.open(path, options);
  for (const group of groups) await Promise.all(group.map((record) => journal.append(record)));
  // append() resolves before the journal writes the seal.
  const bytes = await eventually(
    async () => {
      const read = await readFile(path);
      return read.toString("latin1").endsWith(` ${seal}\n`) && read;
    },
    { what: "the seal behind the last group", intervalMs: 1 },
  );
  await journal.close();
  return bytes;
}

export const isCorrupt = (error: unknown): error is SocleError =>
  error instanceof SocleError && error.kind === "internal" && error.reason === "JOURNAL_CORRUPT";

export const names = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `record ${index}`);
