import { messageOf } from "./thrown.ts";

/** Kinds of failure that a caller can act on. api/ maps kinds to gRPC status; no code matches message text. */
export type ErrorKind =
  | "not_found"
  | "already_exists"
  | "conflict"
  | "invalid"
  | "denied"
  /** Caller credentials are missing or invalid. */
  | "unauthenticated"
  | "unavailable"
  | "timeout"
  | "outcome_unknown"
  | "exhausted"
  | "out_of_range"
  | "cancelled"
  | "unsupported"
  | "internal";

interface ErrorDetails {
  /** Problems by field path, for `invalid`: `{ "spec.disks[0].name": "must not contain '/'" }`. */
  readonly fields?: Readonly<Record<string, string>>;
  /** If a retry helps: the least delay before it. */
  readonly retryAfterMs?: number;
  /** Facts for programs, e.g. `{ dimension: "memory", availableBytes: "1024" }`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * The one error class of the agent. `reason` is a stable UPPER_SNAKE identifier for programs (the contract's
 * ErrorInfo.reason), `message` a sentence for people with what to do.
 */
export class SocleError extends Error {
  readonly kind: ErrorKind;
  readonly reason: string;
  readonly details: ErrorDetails;

  constructor(
    kind: ErrorKind,
    reason: string,
    message: string,
    options: { cause?: unknown; details?: ErrorDetails } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SocleError";
    this.kind = kind;
    this.reason = reason;
    this.details = options.details ?? {};
  }
}

/** Whether it is an error of the agent. The libvirt client, a package of its own, throws errors with the same members. */
export const isSocleError = (thrown: unknown): thrown is SocleError =>
  thrown instanceof SocleError ||
  (thrown instanceof Error && "kind" in thrown && "reason" in thrown && "details" in thrown);

/** Whether an action that failed with this error may have taken effect. */
export const isUncertain = (thrown: unknown): boolean =>
  isSocleError(thrown) && thrown.kind === "outcome_unknown";

/** As `work`; undefined if it fails for this reason, which shows that its object does not exist. */
export async function ifPresent<T>(reason: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (toSocleError(thrown).reason === reason) return undefined;
    throw thrown;
  }
}

/** Any thrown value as an error of the agent: its own kind kept, an abort as `cancelled`, the rest as `internal`. */
export function toSocleError(thrown: unknown): SocleError {
  if (isSocleError(thrown)) return thrown;
  if (thrown instanceof Error && thrown.name === "AbortError")
    return new SocleError("cancelled", "CANCELLED", "the caller gave up", { cause: thrown });
  const message = messageOf(thrown);
  return new SocleError("internal", "INTERNAL", message, { cause: thrown });
}

/** The error of a request with one wrong field; `why` completes the sentence that the field's path begins. */
export const invalidField = (reason: string, field: string, why: string): SocleError =>
  new SocleError("invalid", reason, `${field} ${why}`, { details: { fields: { [field]: why } } });
