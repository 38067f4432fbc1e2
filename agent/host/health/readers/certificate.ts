import type { Reading } from "../../../hardware/reading.ts";
import type { Reader } from "./reader.ts";

/** For how long this host can prove who it is, on the wall clock. */
export interface OwnCertificate {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** When the first revocation list expires; absent: none does. */
  readonly revocationsUntilMs?: number | undefined;
  /** Why newer certificates or lists were refused. */
  readonly problem?: string | undefined;
  /** Why the lists in force are known to be older than some before. */
  readonly rolledBack?: string | undefined;
}

/** `certificate`: unsupported where nobody asks this host to prove itself, or it is not enrolled yet. */
export const ownCertificate = (
  certificate: () => Reading<OwnCertificate>,
  everyMs: number,
): Reader<OwnCertificate> => ({ everyMs, read: () => Promise.resolve(certificate()) });
