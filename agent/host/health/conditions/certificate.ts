import type { OwnCertificate } from "../readers/certificate.ts";
import { bad, badIf, faultOr, good, type Moment, type Verdict } from "../trigger.ts";
import { percent, watching, type ConditionContext, type ConditionTable } from "./condition.ts";

/** Without a valid certificate no scheduler can reach this host; guests keep running. */
export const certificateConditions = ({ config: { health } }: ConditionContext) =>
  ({
    CertificateExpiring: {
      soon: watching(
        "certificate",
        { reason: "CertificateNotRenewed", effect: "degraded" },
        (certificate, { wallMs }) => expiryVerdict(certificate, wallMs, health.certificateMinLifeRatio),
      ),
      invalid: watching(
        "certificate",
        { reason: "CertificateNotValid", effect: "no_schedule" },
        validityVerdict,
      ),
    },
    TrustRefused: {
      refused: watching("certificate", { reason: "TrustSetRefused", effect: "degraded" }, ({ problem }) =>
        faultOr(
          problem && `the last good set stays in use: ${problem}`,
          "the trust files and the authority's last answer are in use",
        ),
      ),
    },
    RevocationsRolledBack: {
      older: watching(
        "certificate",
        { reason: "RevocationListOlder", effect: "no_schedule" },
        ({ rolledBack }) => faultOr(rolledBack, "no revocation list is older than one before"),
      ),
    },
    RevocationsExpired: {
      expired: watching(
        "certificate",
        { reason: "RevocationListExpired", effect: "degraded" },
        revocationsVerdict,
      ),
    },
  }) satisfies ConditionTable;

/** Renewal is due at about half of its life: little remaining life means that renewals have failed for long. */
function expiryVerdict(
  { notBeforeMs, notAfterMs }: OwnCertificate,
  nowMs: number,
  minRatio: number,
): Verdict {
  const left = Math.max(0, (notAfterMs - nowMs) / (notAfterMs - notBeforeMs));
  const evidence = `the host's certificate ends ${utc(notAfterMs)}, ${percent(Math.min(1, left))} of its life is left`;
  return badIf(left < minRatio, evidence);
}

function validityVerdict({ notBeforeMs, notAfterMs }: OwnCertificate, { wallMs }: Moment): Verdict {
  if (wallMs > notAfterMs) return bad(`the host's certificate ended ${utc(notAfterMs)}`);
  if (wallMs < notBeforeMs)
    return bad(`the host's certificate is valid from ${utc(notBeforeMs)}: is its clock right?`);
  return good(`the host's certificate is valid until ${utc(notAfterMs)}`);
}

/** Handshakes still use the expired list, which lacks certificates revoked since. */
function revocationsVerdict({ revocationsUntilMs }: OwnCertificate, { wallMs }: Moment): Verdict {
  if (revocationsUntilMs === undefined) return good("no revocation list expires");
  const when = utc(revocationsUntilMs);
  if (wallMs > revocationsUntilMs)
    return bad(`the revocation list expired ${when}: its entries stay in force, newer ones are missing`);
  return good(`the revocation list is good until ${when}`);
}

const utc = (ms: number): string => new Date(ms).toISOString();
