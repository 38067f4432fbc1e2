import { SocleError } from "../kernel/errors.ts";
import { isFullDisk } from "../state/journal/durable-file.ts";
import { afterMending, cannotWrite, refusesChanges } from "../state/journal/refusals.ts";
import { messageOf } from "../kernel/thrown.ts";

// Errors for acts that cannot be recorded and so are refused.

/** `isPassing`: acts are recorded again once there is space. */
export const auditFailed = (directory: string, cause: unknown, isPassing: boolean): SocleError =>
  cannotWrite(`the audit log in ${directory}`, cause, "AUDIT_FAILED", afterMending(isPassing), { directory });

/** The act is not done; the log may have it after a restart. */
export const outcomeUnknown = (directory: string, cause: unknown): SocleError =>
  new SocleError(
    "outcome_unknown",
    "AUDIT_FAILED",
    `the audit log in ${directory} cannot be written (${messageOf(cause)}): the change was not begun, but the log may name it ` +
      "after a restart; check the disk, then restart the agent",
    { cause, details: { metadata: { directory } } },
  );

export const busy = (): SocleError =>
  new SocleError(
    "exhausted",
    "AUDIT_BUSY",
    "the audit log's disk is too slow for the load; try again later",
    { details: { retryAfterMs: 1000 } },
  );

export const stopping = (): SocleError =>
  new SocleError("unavailable", "AGENT_STOPPING", "the agent is stopping; try again when it is back", {
    details: { retryAfterMs: 2000 },
  });

export const keyReadByOthers = (path: string): SocleError =>
  keyInvalid(
    `${path} is readable by other users. Find out who may have signed with it, then: chmod 600 ${path}.`,
  );

export const keyDamaged = (path: string, cause: unknown): SocleError =>
  keyInvalid(
    `${path} is not an Ed25519 private key in PEM form. Restore it from a backup. Without one, move it aside: the next start makes ` +
      "a new key, and the condition AuditLog shows the change of key.",
    cause,
  );

export const keyInvalid = (message: string, cause?: unknown): SocleError =>
  new SocleError("invalid", "AUDIT_KEY_INVALID", message, { cause });

/** Rethrows as `unavailable` AUDIT_UNREADABLE: file system errors do not always name the file. */
export async function reading<Content>(path: string, read: () => Promise<Content>): Promise<Content> {
  try {
    return await read();
  } catch (cause) {
    const mend =
      "check the disk, and the owner and mode of the file and its directory; if it is lost, restore it from a backup.";
    throw unreadable(`${path} cannot be read (${messageOf(cause)}): ${mend}`, cause);
  }
}

/** The failure of a log that could not be opened: STATE_UNREADABLE, as for other state files. */
export function notOpened(directory: string, cause: unknown): SocleError {
  if (cause instanceof SocleError) return refusesChanges(cause);
  const mend = isFullDisk(cause)
    ? "free space there."
    : "check the disk, and the owner and mode of the directory.";
  const message = `the audit log in ${directory} cannot be opened (${messageOf(cause)}): ${mend}`;
  return refusesChanges(unreadable(message, cause));
}

const unreadable = (message: string, cause: unknown): SocleError =>
  new SocleError("unavailable", "AUDIT_UNREADABLE", message, { cause });
