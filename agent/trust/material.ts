import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SecureContextOptions } from "node:tls";
import { SocleError } from "../kernel/errors.ts";
import { identityOf, type Identity } from "./identity.ts";
import { revokedSerials, serialOf } from "./revocation.ts";

/**
 * The files of a trust directory: key and certificate together, as enrollment writes them, or each by itself. The
 * revocation list may be missing.
 */
export const files = {
  pair: "agent.pem",
  certificate: "agent.crt",
  key: "agent.key",
  authorities: "ca.crt",
  revocations: "ca.crl",
} as const;

/** What this host proves itself with, and what it checks others by: read together, so that they fit each other. */
export interface Material {
  readonly identity: Identity;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Of certificates that must not be believed any more. */
  readonly revoked: ReadonlySet<string>;
  /** For every TLS context, on either side: all of it each time, since what is left out falls back to a weaker default. */
  readonly tls: Readonly<SecureContextOptions> & {
    readonly cert: string;
    readonly key: string;
    readonly ca: string;
  };
}

/** Who is at the other end of a connection. */
export interface Peer {
  readonly identity: Identity;
  readonly serial: string;
  readonly notAfterMs: number;
}

/**
 * Reads a trust directory; `keyPath` is where the key of a certificate that stands by itself is. Throws `not_found` NOT_ENROLLED while there is no certificate, `invalid` TRUST_INVALID for a
 * set that must not be used: a key that is not the certificate's or that others can read, a certificate of no authority
 * in ca.crt or of another domain or role.
 */
export async function readMaterial(
  directory: string,
  domain: string,
  keyPath = join(directory, files.key),
): Promise<Material> {
  const { certificatePem, keyPem } = await readPair(directory, keyPath);
  const authoritiesPem = await readNeeded(join(directory, files.authorities));
  const revocationsPem = await readIfThere(join(directory, files.revocations));
  const chain = certificatesOf(certificatePem, files.certificate);
  const authorities = certificatesOf(authoritiesPem, files.authorities);
  const [own] = chain;
  if (!own.checkPrivateKey(privateKeyOf(keyPem))) {
    throw refused(`${files.key} is not the key of ${files.certificate}: put both of one pair there`);
  }
  requireIssued(chain, authorities);
  const identity = identityOf(own.subjectAltName);
  if (identity.domain !== domain || identity.role !== "agent") {
    throw refused(`${files.certificate} is ${identity.uri}'s; an agent's of the domain ${domain} is needed`);
  }
  return {
    identity,
    serial: serialOf(own.serialNumber),
    notBeforeMs: Date.parse(own.validFrom),
    notAfterMs: Date.parse(own.validTo),
    revoked: revocationsPem === undefined ? new Set() : await revokedSerials(revocationsPem),
    tls: {
      cert: certificatePem,
      key: keyPem,
      ca: authoritiesPem,
      minVersion: "TLSv1.3",
      ...(revocationsPem === undefined ? {} : { crl: revocationsPem }),
    },
  };
}

/**
 * Who holds a certificate that TLS has found to be of a known authority. Throws `denied`: CERTIFICATE_IDENTITY,
 * CERTIFICATE_DOMAIN, CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED (which a resumed TLS session is not asked for again).
 */
export function peerOf(certificate: X509Certificate, material: Material, nowMs: number): Peer {
  const identity = identityOf(certificate.subjectAltName);
  const peer = {
    identity,
    serial: serialOf(certificate.serialNumber),
    notAfterMs: Date.parse(certificate.validTo),
  };
  if (identity.domain !== material.identity.domain) {
    throw denied("CERTIFICATE_DOMAIN", `${identity.uri} is not of the domain ${material.identity.domain}`);
  }
  requireValid(peer, material, nowMs);
  return peer;
}

/** Throws `denied` CERTIFICATE_REVOKED or CERTIFICATE_EXPIRED: for connections that last longer than their certificate. */
export function requireValid(
  { identity, serial, notAfterMs }: Peer,
  material: Material,
  nowMs: number,
): void {
  if (material.revoked.has(serial))
    throw denied("CERTIFICATE_REVOKED", `the certificate ${serial} of ${identity.uri} is revoked`);
  if (nowMs > notAfterMs)
    throw denied("CERTIFICATE_EXPIRED", `the certificate ${serial} of ${identity.uri} has expired`);
}

/** Each certificate is issued by the next, and the last by an authority. */
function requireIssued(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): void {
  const isBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
    certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  chain.forEach((certificate, index) => {
    const next = chain[index + 1];
    const issuers = next === undefined ? authorities : [next, ...authorities];
    if (issuers.some((issuer) => isBy(certificate, issuer))) return;
    throw refused(`${files.certificate} is of no authority in ${files.authorities}`);
  });
}

/** At least one. Throws `invalid` TRUST_INVALID. */
function certificatesOf(pem: string, name: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const [first, ...others] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...others];
  } catch (cause) {
    throw refused(`${name} holds what is no certificate`, cause);
  }
  throw refused(`${name} holds no certificate in PEM form`);
}

function privateKeyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw refused(`${files.key} holds no private key in PEM form`, cause);
  }
}

/** Throws `not_found` NOT_ENROLLED where there is neither. */
async function readPair(
  directory: string,
  keyPath: string,
): Promise<{ certificatePem: string; keyPem: string }> {
  const path = (name: string): string => join(directory, name);
  const pair = await readIfThere(path(files.pair));
  if (pair !== undefined) {
    await requirePrivate(path(files.pair));
    const blocks = (label: string): string =>
      (pair.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, "g")) ?? []).join("\n");
    return { certificatePem: blocks("CERTIFICATE"), keyPem: blocks("(?:EC )?PRIVATE KEY") };
  }
  const certificatePem = await readIfThere(path(files.certificate));
  if (certificatePem === undefined) {
    const message = `there is no ${files.pair} or ${files.certificate} in ${directory}: enroll this host (socle enroll), or put its certificate there`;
    throw new SocleError("not_found", "NOT_ENROLLED", message);
  }
  const keyPem = await readNeeded(keyPath);
  await requirePrivate(keyPath);
  return { certificatePem, keyPem };
}

async function requirePrivate(path: string): Promise<void> {
  const mode = (await stat(path)).mode & 0o777;
  if ((mode & 0o027) === 0) return;
  throw refused(`${path} has mode ${mode.toString(8)}: others must not reach it (chmod 600)`);
}

async function readNeeded(path: string): Promise<string> {
  const text = await readIfThere(path);
  if (text === undefined) throw refused(`${path} is missing`);
  return text;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw refused(`${path} cannot be read: ${why}`, thrown);
  }
}

const refused = (message: string, cause?: unknown): SocleError =>
  new SocleError("invalid", "TRUST_INVALID", message, cause === undefined ? {} : { cause });

const denied = (reason: string, message: string): SocleError => new SocleError("denied", reason, message);
