import { SocleError, type ErrorKind } from "../kernel/errors.ts";

/** Exit codes of `socle`. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unavailable: 4,
  refused: 5,
  timeout: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Their meaning, for the help and socle(1). */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "Done.",
  failed: "The command failed, or a check of socle doctor or socle audit verify.",
  usage: "The command line, a file or a value in it is not valid.",
  notFound: "There is no such VM, operation or file.",
  unavailable:
    "The agent or libvirt does not answer, or a dependency of the agent (its state, a key, a disk) failed.",
  refused: "Refused: not allowed, in conflict with the current state, or no room.",
  timeout: "The command did not end in time.",
  interrupted: "Interrupted with Ctrl-C, or the reader of its output went away.",
};

const exitNames: Readonly<Record<ErrorKind, keyof typeof exitCodes>> = {
  not_found: "notFound",
  already_exists: "refused",
  conflict: "refused",
  invalid: "usage",
  denied: "refused",
  unauthenticated: "refused",
  unavailable: "unavailable",
  timeout: "timeout",
  outcome_unknown: "failed",
  exhausted: "refused",
  out_of_range: "refused",
  cancelled: "interrupted",
  unsupported: "failed",
  internal: "failed",
};

export const exitCodeOf = (error: SocleError): ExitCode => exitCodes[exitNames[error.kind]];

/** Advice by reason. */
const nextSteps: Readonly<Record<string, string>> = {
  AGENT_NOT_RUNNING:
    "Start it (systemctl start socle-agent, or socle agent), or name its socket: --socket, SOCLE_SOCKET. `socle doctor` finds the cause.",
  AGENT_UNREACHABLE: "Is the agent running? `socle doctor` finds the cause.",
  AGENT_SILENT: "The agent hangs, or something else has its address. `socle doctor` finds the cause.",
  SOCKET_DENIED: "Run it as root, or as a user of the socket's group.",
  VM_UNMANAGED: "Socle did not create this VM and never changes it: use the tool that created it.",
  REQUEST_ID_REUSED: "Choose another --request-id, or leave it out.",
  PERSON_MISSING: "Get a token from your identity provider, and give it with --person-file.",
  PERSON_TOKEN_EXPIRED: "Get a new token from your identity provider.",
  CONTROL_EPOCH_MISSING:
    "Over --address you act as a scheduler: use the agent's socket on its host, or give --control-epoch.",
  CONTROL_EPOCH_STALE: "A scheduler with a higher epoch has taken over this host.",
  CONTROL_EPOCH_TOO_FAR:
    "Check the scheduler's epoch. If it is right, run on the host: socle host epoch reset --to N",
  UNIMPLEMENTED:
    "The peer does not implement this command: update the agent, or check that the address is an agent's.",
};

/** The lines under an error's message: invalid fields, time to retry, advice. */
export function hintsFor({ message, reason, details: { fields = {}, retryAfterMs } }: SocleError): string[] {
  const hints = Object.entries(fields)
    .filter(([field, what]) => !(message.includes(field) && message.includes(what)))
    .map(([field, what]) => `${field}: ${what}`);
  if (retryAfterMs !== undefined)
    hints.push(`Try again in ${Math.max(1, Math.ceil(retryAfterMs / 1000))} s.`);
  if (Object.hasOwn(nextSteps, reason)) hints.push(nextSteps[reason] ?? "");
  return hints;
}

const optionOfField: Readonly<Record<string, string>> = {
  authority_fingerprint: "--authority-fingerprint",
  erase_disks: "--erase",
  keep_disks: "--keep-disks",
  request_id: "--request-id",
};

/** The agent's messages name fields of the contract; here these are options. */
export const withOptions = (text: string): string =>
  text
    .replaceAll(/(?<![\w.-])[a-z]+(_[a-z]+)+(?![\w.-])/g, (word) => optionOfField[word] ?? word)
    .replaceAll(/\bwith force\b/g, "with --force");

export const usageError = (message: string): SocleError => new SocleError("invalid", "USAGE", message);

export const interrupted = (): SocleError => new SocleError("cancelled", "INTERRUPTED", "interrupted");
