import { SocleError } from "../kernel/errors.ts";

// Why an act cannot be recorded, and so is not done.

const textOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

export function auditFailed(directory: string, cause: unknown, isFull: boolean): SocleError {
  const mend = isFull
    ? "free space there, then changes go on by themselves"
    : "check the disk, then restart the agent";
  return new SocleError(
    isFull ? "exhausted" : "unavailable",
    "AUDIT_FAILED",
    `the audit log in ${directory} cannot be written (${textOf(cause)}): changes are refused, reads and guests go on; ${mend}`,
    { cause, details: { metadata: { directory } } },
  );
}

export const busy = (): SocleError =>
  new SocleError(
    "exhausted",
    "AUDIT_BUSY",
    "the audit log's disk is too slow for the load; try again later",
    {
      details: { retryAfterMs: 1000 },
    },
  );

export const stopping = (): SocleError =>
  new SocleError("unavailable", "AGENT_STOPPING", "the agent is stopping; try again when it is back", {
    details: { retryAfterMs: 2000 },
  });

export const unreadable = (directory: string, cause: unknown): SocleError =>
  new SocleError(
    "unavailable",
    "AUDIT_UNREADABLE",
    `the audit log in ${directory} cannot be opened: ${textOf(cause)}`,
    {
      cause,
    },
  );
