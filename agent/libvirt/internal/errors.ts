/** Kinds of failure that a caller can act on. */
export type LibvirtErrorKind =
  | "not_found"
  | "already_exists"
  | "conflict"
  | "invalid"
  | "denied"
  | "unavailable"
  | "timeout"
  /** A change was sent and not answered: libvirt may or may not have made it. */
  | "outcome_unknown"
  | "exhausted"
  | "out_of_range"
  | "cancelled"
  | "unsupported"
  | "internal";

export interface LibvirtErrorDetails {
  /** Problems by field path, for `invalid`: `{ "dom.uuid": "is no UUID" }`. */
  readonly fields?: Readonly<Record<string, string>>;
  /** If a retry helps: the least delay before it. */
  readonly retryAfterMs?: number;
  /** Facts for logs, as text: `procedure`, and of libvirt's own errors `libvirtCode` and `libvirtDomain`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

interface LibvirtErrorOptions {
  readonly cause?: unknown;
  readonly details?: LibvirtErrorDetails;
  readonly code?: number;
  readonly domain?: number;
}

/**
 * The one error class of this package. `reason` is a stable UPPER_SNAKE identifier (`LIBVIRT_NO_DOMAIN`), `message` a
 * sentence for people. No code should match message text.
 */
export class LibvirtError extends Error {
  readonly kind: LibvirtErrorKind;
  readonly reason: string;
  readonly details: LibvirtErrorDetails;
  /** Of libvirt's own errors alone: the number in `ErrorNumber` (virErrorNumber). */
  readonly code: number | undefined;
  /** Of libvirt's own errors alone: the part of libvirt in `ErrorDomain` (virErrorDomain). */
  readonly domain: number | undefined;

  constructor(
    kind: LibvirtErrorKind,
    reason: string,
    message: string,
    { cause, details = {}, code, domain }: LibvirtErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "LibvirtError";
    this.kind = kind;
    this.reason = reason;
    this.details = details;
    this.code = code;
    this.domain = domain;
  }
}

/** An error with a kind: this package's, or the caller's own with the same members, as the reason of an abort. */
const hasKind = (thrown: unknown): thrown is LibvirtError =>
  thrown instanceof Error && "kind" in thrown && "reason" in thrown;

/** Any thrown value as a LibvirtError: its own kind kept, an abort as `cancelled`, the rest as `internal`. */
export function toLibvirtError(thrown: unknown): LibvirtError {
  if (hasKind(thrown)) return thrown;
  if (thrown instanceof Error && thrown.name === "AbortError") return cancelled(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new LibvirtError("internal", "INTERNAL", message, { cause: thrown });
}

/** What ends work whose signal aborted: the signal's reason where that has a kind, else `cancelled`. */
export const abortedWith = (reason: Error): LibvirtError => (hasKind(reason) ? reason : cancelled(reason));

export const cancelled = (cause: Error): LibvirtError =>
  new LibvirtError("cancelled", "CANCELLED", "the caller gave up", { cause });
