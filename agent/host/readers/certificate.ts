import type { Reading } from "../../hardware/reading.ts";
import type { Reader } from "./reader.ts";

/** For how long this host can prove who it is, on the wall clock. */
export interface OwnCertificate {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** `certificate`: unsupported where nobody asks this host to prove itself, or it is not enrolled yet. */
export const ownCertificate = (
  certificate: () => Reading<OwnCertificate>,
  everyMs: number,
): Reader<OwnCertificate> => ({ everyMs, read: () => Promise.resolve(certificate()) });
