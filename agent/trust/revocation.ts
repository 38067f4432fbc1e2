import { SocleError } from "../kernel/errors.ts";

/** A serial number in one spelling: upper-case hexadecimal without leading zeros. */
export const serialOf = (text: string): string => text.toUpperCase().replace(/^0+(?=.)/, "");

/**
 * The serial numbers in certificate revocation lists (PEM, one after the other). Whose serial is on any of them is taken
 * for revoked. Throws `invalid` TRUST_INVALID for what is no list.
 */
export async function revokedSerials(pem: string): Promise<ReadonlySet<string>> {
  const blocks = pem.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g) ?? [];
  if (blocks.length === 0)
    throw new SocleError("invalid", "TRUST_INVALID", "ca.crl holds no revocation list in PEM form");
  // Read where there is a list alone: the parser is a large part of what an agent would load at its start.
  const { X509Crl } = await import("./x509.ts");
  try {
    return new Set(
      blocks.flatMap((block) => new X509Crl(block).entries.map((entry) => serialOf(entry.serialNumber))),
    );
  } catch (cause) {
    throw new SocleError("invalid", "TRUST_INVALID", "ca.crl holds what is no revocation list", { cause });
  }
}
