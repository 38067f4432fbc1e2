import { SocleError, type ErrorKind } from "../kernel/errors.ts";

/** What `socle` exits with. */
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

/** What they mean, for the help and socle(1). */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "Done.",
  failed: "It failed, or a check of socle doctor or socle audit verify did.",
  usage: "The command line, a file or a value in it is not valid.",
  notFound: "There is no such VM, operation or file.",
  unavailable:
    "The agent or libvirt does not answer, or something that the agent needs for it (its state, a key, a disk) does not work.",
  refused: "Refused: not allowed, in conflict with what is there, or no room.",
  timeout: "It did not end in time.",
  interrupted: "Interrupted with Ctrl-C, or by a reader of its output that went away before its end.",
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

/** What to try next, by reason. */
const nextSteps: Readonly<Record<string, string>> = {
  AGENT_NOT_RUNNING:
    "Start it (systemctl start socle-agent, or socle agent), or say where it is: --socket, SOCLE_SOCKET. `socle doctor` looks for what is wrong.",
  AGENT_UNREACHABLE: "Is the agent running? `socle doctor` looks for what is wrong.",
  AGENT_SILENT: "The agent hangs, or something else has its address. `socle doctor` looks for what is wrong.",
  SOCKET_DENIED: "Run it as root, or as a user of the socket's group.",
  VM_UNMANAGED: "Socle did not make this VM and never touches it: use the tool that made it.",
  REQUEST_ID_REUSED: "Choose another --request-id, or leave it out.",
  PERSON_MISSING: "Get a token from your identity provider, and give it with --person-file.",
  PERSON_TOKEN_EXPIRED: "Get a new token from your identity provider.",
  CONTROL_EPOCH_MISSING:
    "Over --address you are taken for a scheduler: use the agent's socket on its host, or say that scheduler's --control-epoch.",
  CONTROL_EPOCH_STALE: "A scheduler with a higher epoch has taken over, and commands this host now.",
  CONTROL_EPOCH_TOO_FAR:
    "Check the scheduler's epoch. If it is right, run on the host: socle host epoch reset --to N",
  UNIMPLEMENTED:
    "Who answers does not know this command: an agent that is older than it, which is to be updated, or no agent at all.",
};

/** The lines under an error's message: the fields that are wrong, how long to wait, what to try next. */
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

/** The agent's words name fields of the contract, as its other clients know them: here they are options. */
export const withOptions = (text: string): string =>
  text
    .replaceAll(/(?<![\w.-])[a-z]+(_[a-z]+)+(?![\w.-])/g, (word) => optionOfField[word] ?? word)
    .replaceAll(/\bwith force\b/g, "with --force");

export const usageError = (message: string, fields?: Readonly<Record<string, string>>): SocleError =>
  new SocleError("invalid", "USAGE", message, fields === undefined ? {} : { details: { fields } });

export const interrupted = (message = "interrupted"): SocleError =>
  new SocleError("cancelled", "INTERRUPTED", message);
