/** Validity of this host's certificate, on the wall clock. */
export interface OwnCertificate {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Earliest expiry of a revocation list; absent: none expires. */
  readonly revocationsUntilMs?: number | undefined;
  /** Why newer certificates or lists were rejected. */
  readonly problem?: string | undefined;
  /** Why the current lists are older than earlier ones. */
  readonly rolledBack?: string | undefined;
}
