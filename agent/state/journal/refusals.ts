import type * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { changesRefused, isFileLost, stateLost } from "./append-file.ts";
import { isFullDisk } from "./durable-file.ts";
import { defined } from "../../kernel/defined.ts";
import { messageOf } from "../../kernel/thrown.ts";

// Errors that refuse a record.

/** The error of a file that cannot be written: `reason`, or STATE_LOST. `then`: what follows once the disk is mended. */
export function cannotWrite(
  what: string,
  cause: unknown,
  reason: string,
  then: string,
  metadata?: Readonly<Record<string, string>>,
): SocleError {
  const extra = defined({ cause, details: metadata && { metadata } });
  if (isFileLost(cause)) return new SocleError("unavailable", "STATE_LOST", stateLost(what), extra);
  const isFull = isFullDisk(cause);
  const mend = isFull ? "free space there" : "check the disk";
  const message = `${what} cannot be written (${messageOf(cause)}): ${changesRefused}; ${mend}, then ${then}`;
  return new SocleError(isFull ? "exhausted" : "unavailable", reason, message, extra);
}

/** What follows once the disk is mended. `isPassing`: writes continue once there is space. */
export const afterMending = (isPassing: boolean): string =>
  isPassing ? "changes go on by themselves" : "restart the agent";

export const journalFailed = (path: string, cause: unknown, isPassing: boolean): SocleError =>
  cannotWrite(path, cause, "JOURNAL_FAILED", afterMending(isPassing), { path });

/** A restart may or may not read the record back. */
export const outcomeUnknown = (path: string, cause: unknown): SocleError =>
  new SocleError(
    "outcome_unknown",
    "JOURNAL_FAILED",
    `${path} cannot be written (${messageOf(cause)}): whether this change is carried out after a restart is unknown; check ` +
      "the disk, restart the agent, then repeat the request with the same request id to learn its outcome",
    { cause, details: { metadata: { path } } },
  );

export const cannotOpen = (path: string, cause: unknown): SocleError =>
  new SocleError(
    "unavailable",
    "JOURNAL_UNREADABLE",
    `${path} cannot be read (${messageOf(cause)}): check the disk, and the owner and mode of the file; where it is lost, restore ` +
      "it from a backup.",
    { cause, details: { metadata: { path } } },
  );

/** A host that runs for the first time has no journal yet. */
export const cannotMake = (path: string, cause: unknown): SocleError =>
  new SocleError(
    isFullDisk(cause) ? "exhausted" : "unavailable",
    "STATE_UNWRITABLE",
    `${path} cannot be made (${messageOf(cause)}): ${isFullDisk(cause) ? "free space there" : "check the disk"}, then start the agent again`,
    { cause, details: { metadata: { path } } },
  );

export const closed = (): SocleError =>
  new SocleError("unavailable", "AGENT_STOPPING", "the agent is stopping");

export const tooLarge = (path: string, bytes: number): SocleError =>
  new SocleError("invalid", "RECORD_TOO_LARGE", `a record of ${bytes} bytes is too large for ${path}`);

export const busy = (path: string): SocleError =>
  new SocleError("exhausted", "JOURNAL_BUSY", `${path} is on a disk too slow for the load; retry later`, {
    details: { retryAfterMs: 1000 },
  });

/** An operator writes this in place of a journal that cannot be restored. */
export const beginAnew = "new";

/** `what`: the records of the file. */
const startWithout = (path: string, what: string): string =>
  `start without the ${what} it held (guests are not affected, but a request that is sent again may be carried out a second ` +
  `time): echo ${beginAnew} > ${path}`;

export const corrupt = (path: string, kind: string, record: number, offset: number): SocleError =>
  new SocleError(
    "internal",
    "JOURNAL_CORRUPT",
    `${path}: record ${record} at byte ${offset} is damaged and was on the disk before; its records are not ` +
      `guessed. Check the disk, then restore the file from a backup. Where there is none, move the file aside and ${startWithout(path, kind)}.`,
    { details: { metadata: { path, record: String(record), offset: String(offset) } } },
  );

export const missing = (path: string, kind: string): SocleError =>
  new SocleError(
    "internal",
    "JOURNAL_MISSING",
    `${path} is missing, and this host had one; its records are not guessed. Restore the file from a backup. Where there is ` +
      `none, ${startWithout(path, kind)}.`,
    { details: { metadata: { path } } },
  );

/** `written`: its first record. */
export const wrongVersion = (path: string, kind: string, version: number, written: unknown): SocleError =>
  new SocleError(
    "internal",
    "JOURNAL_VERSION",
    `${path} is not a ${kind} journal of version ${version} (its header is ${JSON.stringify(written).slice(0, 200)}). Run the ` +
      `version of Socle that wrote it, or move the file aside and ${startWithout(path, kind)}.`,
    { details: { metadata: { path } } },
  );

const unknownRecord = (path: string, kind: string, record: unknown): SocleError =>
  new SocleError(
    "internal",
    "JOURNAL_VERSION",
    `${path} holds a record that this version does not know: ${JSON.stringify(record).slice(0, 200)}. Run the version of ` +
      `Socle that wrote it, or move the file aside and ${startWithout(path, kind)}.`,
    { details: { metadata: { path } } },
  );

/** The next start would refuse to read the record. */
export const notReadable = (path: string): SocleError =>
  new SocleError(
    "internal",
    "RECORD_INVALID",
    `a record does not fit the schema of ${path}; nothing was written`,
  );

const unreadableReasons = new Set([
  "JOURNAL_CORRUPT",
  "JOURNAL_MISSING",
  "JOURNAL_VERSION",
  "JOURNAL_UNREADABLE",
  "HOST_RECORD_CORRUPT",
  "HOST_RECORD_UNREADABLE",
]);

/** Why changes are refused while a file is damaged, lost, of another version or unreadable; undefined for other errors. */
export function asUnreadable(thrown: unknown): SocleError | undefined {
  if (!(thrown instanceof SocleError) || !unreadableReasons.has(thrown.reason)) return undefined;
  return refusesChanges(thrown);
}

/** `why` names the file and the remedy, in whole sentences. */
export function refusesChanges(why: SocleError): SocleError {
  const message = `${changesRefused}: ${why.message} Then restart the agent.`;
  const metadata = { ...why.details.metadata, problem: why.reason };
  return new SocleError("unavailable", "STATE_UNREADABLE", message, { cause: why, details: { metadata } });
}

/**
 * Throws `unavailable` STATE_UNREADABLE if `failure` shows that a journal was not read to its end: it may have more
 * records. `what`: the fact that is then unknown.
 */
export function requireReadWhole(failure: SocleError | undefined, what: string): void {
  if (failure?.reason !== "STATE_UNREADABLE") return;
  const { cause, details } = failure;
  const message = `${what} is not known: ${toSocleError(cause).message} Then restart the agent.`;
  throw new SocleError("unavailable", "STATE_UNREADABLE", message, { cause, details });
}

/** The record, unchanged. Throws unknownRecord if the schema does not know it. */
export function requireKnown(
  path: string,
  { kind, schema }: { readonly kind: string; readonly schema?: z.ZodType },
  record: unknown,
): unknown {
  if (schema?.safeParse(record).success === false) throw unknownRecord(path, kind, record);
  return record;
}
