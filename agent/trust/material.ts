import type { X509Certificate } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { SocleError } from "../kernel/errors.ts";
import { identityOf, type Identity } from "./identity.ts";
import { serialOf } from "./revocation.ts";

/** This host's certificate and key, and the rules for its peers. */
export interface Material {
  readonly identity: Identity;
  /** Peers must have it too. */
  readonly domain: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The trusted authorities. */
  readonly roots: readonly X509Certificate[];
  /** Serial numbers of revoked certificates. */
  readonly revoked: ReadonlySet<string>;
  /** When the first revocation list expires; its entries stay in force. Absent: none expires. */
  readonly revocationsUntilMs?: number;
  /**
   * For every TLS context, on either side: always all of it, since omitted options fall back to weaker defaults. `peerOf`
   * checks revocation: OpenSSL would refuse every handshake once a list has expired.
   */
  readonly tls: Readonly<SecureContextOptions> & {
    readonly cert: string;
    readonly key: string;
    readonly ca: string;
  };
}

/** The rules for peers. */
export type PeerRules = Pick<Material, "domain" | "revoked" | "roots">;

/** The peer of a connection. */
export interface Peer {
  readonly identity: Identity;
  readonly serial: string;
  readonly notAfterMs: number;
  /** Serial numbers of the certificates between the peer's own and its root. */
  readonly issuers: readonly string[];
}

/**
 * The holder of a certificate that TLS verified; `chain` continues with the issuers that the peer sent. Throws `denied`:
 * CERTIFICATE_IDENTITY, CERTIFICATE_DOMAIN, CERTIFICATE_CHAIN, CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED (a resumed TLS
 * session does not check these again).
 */
export function peerOf(chain: readonly X509Certificate[], rules: PeerRules, nowMs: number): Peer {
  const [certificate, ...sent] = chain;
  const identity = identityOf(certificate?.subjectAltName);
  if (certificate === undefined || identity.domain !== rules.domain)
    throw denied("CERTIFICATE_DOMAIN", `${identity.uri} is not of the domain ${rules.domain}`);
  const peer = {
    identity,
    serial: serialOf(certificate.serialNumber),
    notAfterMs: Date.parse(certificate.validTo),
    issuers: rules.revoked.size === 0 ? [] : issuersOf(certificate, sent, rules.roots),
  };
  requireValid(peer, rules, nowMs);
  return peer;
}

/**
 * Serial numbers of the certificates between this one and its root. A peer may send others with the same names: signatures
 * decide. Throws `denied` CERTIFICATE_CHAIN without a path to a root.
 */
function issuersOf(
  certificate: X509Certificate,
  sent: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): readonly string[] {
  const issuers: string[] = [];
  for (let at = certificate; !roots.some((root) => isIssuedBy(at, root));) {
    const issuer = sent.find((each) => isIssuedBy(at, each));
    if (issuer === undefined || issuers.length >= maxChain)
      throw denied("CERTIFICATE_CHAIN", "the certificate's issuers lead to no authority of this host");
    issuers.push(serialOf(issuer.serialNumber));
    at = issuer;
  }
  return issuers;
}

export const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/** Throws `denied` CERTIFICATE_REVOKED or CERTIFICATE_EXPIRED: for connections that last longer than their certificate. */
export function requireValid(
  { identity, serial, issuers, notAfterMs }: Peer,
  { revoked }: Pick<PeerRules, "revoked">,
  nowMs: number,
): void {
  if (revoked.has(serial))
    throw denied("CERTIFICATE_REVOKED", `the certificate ${serial} of ${identity.uri} is revoked`);
  const issuer = issuers.find((each) => revoked.has(each));
  if (issuer !== undefined)
    throw denied(
      "CERTIFICATE_REVOKED",
      `the certificate ${issuer}, the issuer of that of ${identity.uri}, is revoked`,
    );
  if (nowMs > notAfterMs)
    throw denied("CERTIFICATE_EXPIRED", `the certificate ${serial} of ${identity.uri} has expired`);
}

const maxChain = 8;

/** A certificate with its issuers, as a TLS socket of node:tls links them. */
export function chainOf<Linked extends object>(
  first: Linked,
  certificateOf: (linked: Linked) => X509Certificate,
  issuerOf: (linked: Linked) => Linked | undefined,
): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<Linked>();
  for (let at: Linked | undefined = first; at !== undefined && !seen.has(at); at = issuerOf(at)) {
    if (chain.length >= maxChain) break;
    seen.add(at);
    chain.push(certificateOf(at));
  }
  return chain;
}

const denied = (reason: string, message: string): SocleError => new SocleError("denied", reason, message);
