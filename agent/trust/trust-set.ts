import { createHash, createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { SocleError } from "../kernel/errors.ts";
import { authorityKeyOf, identityOf } from "./identity.ts";
import { isIssuedBy, type Material } from "./material.ts";
import {
  latestTimes,
  maxSkewMs,
  refused,
  revocationListsOf,
  serialOf,
  successorLists,
  utc,
  type ListTimes,
  type RevocationList,
} from "./revocation.ts";
import { defined } from "../kernel/defined.ts";

/** The texts of a set in PEM form: they are checked and replaced as a whole. */
export interface TrustTexts {
  /** The host's own first, then those between it and its authority. */
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authoritiesPem: string;
  readonly revocationsPem?: string | undefined;
}

/** A trust set whose parts match. */
export interface TrustSet {
  readonly texts: TrustTexts;
  readonly material: Material;
  readonly chain: readonly X509Certificate[];
  /** The trusted authorities. */
  readonly authorities: readonly X509Certificate[];
  readonly lists: readonly RevocationList[];
}

const maxCertificates = 32;
/** The newest lists of all authorities, past and present. */
const maxListTimes = 64;

/**
 * Checks that the parts of a set match: key, chain, authorities, names, signatures of revocation lists. `successorOf` checks
 * dates: a host must start with an expired certificate to renew it. Throws `invalid` TRUST_INVALID.
 */
export async function trustSetOf(texts: TrustTexts, domain: string): Promise<TrustSet> {
  const chain = certificatesOf(texts.certificatePem, "agent.crt");
  const authorities = certificatesOf(texts.authoritiesPem, "ca.crt");
  const [own] = chain;
  if (!own.checkPrivateKey(privateKeyOf(texts.keyPem)))
    throw refused("agent.key is not the key of agent.crt: install a matching pair");
  if (!authorities.every(({ ca }) => ca))
    throw refused("ca.crt holds a certificate that is not an authority's (basicConstraints CA is missing)");
  requireIssued(chain, authorities);
  const identity = identityOf(own.subjectAltName);
  if (identity.domain !== domain || identity.role !== "agent")
    throw refused(`agent.crt is ${identity.uri}'s; an agent's of the domain ${domain} is needed`);
  const { revocationsPem } = texts;
  const signers = [...authorities, ...chain.slice(1)];
  const lists = revocationsPem === undefined ? [] : await revocationListsOf(revocationsPem, signers);
  return withLists({ texts, chain, authorities }, lists);
}

/**
 * The set that replaces `current`, with the revocation lists that stay in force. Throws `invalid` TRUST_INVALID for
 * certificates that are expired or not valid yet, for an expired list and for one older than that in force.
 */
export async function successorOf(
  next: TrustSet,
  current: TrustSet | undefined,
  nowMs: number,
): Promise<TrustSet> {
  for (const certificate of next.chain) requireValidAt(certificate, "agent.crt", nowMs);
  const last = next.chain.at(-1);
  const root = next.authorities.find((authority) => last !== undefined && isIssuedBy(last, authority));
  if (root !== undefined) requireValidAt(root, "ca.crt", nowMs);
  const signers = [...next.authorities, ...next.chain.slice(1)];
  const stillSigned = await Promise.all(
    (current?.lists ?? []).map(({ pem }) => revocationListsOf(pem, signers).catch(() => [])),
  );
  return withLists(next, successorLists(next.lists, stillSigned.flat(), nowMs));
}

/**
 * What a renewal may replace `current` with: the same host, and the same authorities by their keys. Authorities missing from
 * the answer stay. Throws `denied` AUTHORITY_CHANGED for a new one, IDENTITY_CHANGED for another host's certificate.
 */
export function renewedTexts(next: TrustSet, current: TrustSet): TrustTexts {
  const { uri } = current.material.identity;
  if (next.material.identity.uri !== uri) {
    const message = `the authority answered with a certificate of ${next.material.identity.uri}; this host is ${uri}`;
    throw new SocleError("denied", "IDENTITY_CHANGED", message);
  }
  const known = new Set(current.authorities.map(authorityKeyOf));
  const added = next.authorities.find((authority) => !known.has(authorityKeyOf(authority)));
  if (added !== undefined) {
    const message =
      `the authority answered with another authority, ${fingerprintOf(added)}: only an administrator on the host may change ` +
      "its authorities. Add it to ca.crt, or run: socle enroll --authority-fingerprint";
    throw new SocleError("denied", "AUTHORITY_CHANGED", message);
  }
  const answered = new Set(next.authorities.map(authorityKeyOf));
  const left = current.authorities.filter((authority) => !answered.has(authorityKeyOf(authority)));
  const authoritiesPem = [...next.authorities, ...left].map(String).join("");
  return { ...next.texts, authoritiesPem };
}

/**
 * The newest times of lists, also of authorities that are not trusted now: they may return with an older copy. A list from
 * the future does not count: the right ones that follow it are older.
 */
export function listTimesAfter(before: ListTimes, { lists }: TrustSet, nowMs: number): ListTimes {
  const inForce = lists
    .filter(({ issuedAtMs }) => issuedAtMs <= nowMs + maxSkewMs)
    .map(({ authority, issuedAtMs }) => ({ [authority]: issuedAtMs }));
  const newestFirst = Object.entries(latestTimes(before, ...inForce)).sort(
    ([, one], [, other]) => other - one,
  );
  return Object.fromEntries(newestFirst.slice(0, maxListTimes));
}

/** Undefined if the lists in force are as new as `times`. */
export function listsRolledBack(set: TrustSet, times: ListTimes): SocleError | undefined {
  const { lists, authorities, chain } = set;
  const believed = new Set([...authorities, ...chain.slice(1)].map(authorityKeyOf));
  for (const [authority, atMs] of Object.entries(times)) {
    if (!believed.has(authority)) continue;
    const inForceMs = lists.filter((list) => list.authority === authority).map((list) => list.issuedAtMs);
    if (inForceMs.some((each) => each >= atMs)) continue;
    const now = inForceMs.length === 0 ? "is missing" : `is of ${utc(Math.max(...inForceMs))}`;
    const message =
      `the revocation list of the authority with the key ${authority} ${now}, and one of ${utc(atMs)} was in force here before: ` +
      "certificates revoked since then are accepted again. Changes are refused; put the newest ca.crl, or a new one of the authority, " +
      "into the trust directory";
    return new SocleError("unavailable", "REVOCATIONS_ROLLED_BACK", message);
  }
  return undefined;
}

/** SHA-256 of the certificate, lower-case hexadecimal, as enrollment tokens name an authority. */
export const fingerprintOf = ({ raw }: X509Certificate): string =>
  createHash("sha256").update(raw).digest("hex");

export const isSameSet = (one: TrustSet, other: TrustSet): boolean =>
  JSON.stringify(one.texts) === JSON.stringify(other.texts);

function withLists(set: Omit<TrustSet, "material" | "lists">, lists: readonly RevocationList[]): TrustSet {
  const { chain, authorities } = set;
  const [own] = chain;
  if (own === undefined) throw refused("agent.crt holds no certificate");
  // Normalized: only checked texts are kept, in one order.
  const texts: TrustTexts = defined({
    certificatePem: chain.map(String).join(""),
    keyPem: set.texts.keyPem.trim(),
    authoritiesPem: authorities.map(String).join(""),
    revocationsPem: lists.length === 0 ? undefined : lists.map(({ pem }) => `${pem}\n`).join(""),
  });
  const identity = identityOf(own.subjectAltName);
  const dues = lists.flatMap(({ nextAtMs }) => (nextAtMs === undefined ? [] : [nextAtMs]));
  const material: Material = defined({
    identity,
    domain: identity.domain,
    serial: serialOf(own.serialNumber),
    notBeforeMs: Date.parse(own.validFrom),
    notAfterMs: Date.parse(own.validTo),
    roots: authorities,
    revoked: new Set(lists.flatMap(({ serials }) => serials)),
    revocationsUntilMs: dues.length === 0 ? undefined : Math.min(...dues),
    tls: {
      cert: texts.certificatePem,
      key: texts.keyPem,
      ca: texts.authoritiesPem,
      minVersion: "TLSv1.3",
    },
  });
  return { texts, material, chain, authorities, lists };
}

/** Checks that each certificate is issued by the next, and the last by an authority. */
function requireIssued(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): void {
  chain.forEach((certificate, index) => {
    const next = chain[index + 1];
    const issuers = next === undefined ? authorities : [next, ...authorities];
    if (issuers.some((issuer) => isIssuedBy(certificate, issuer))) return;
    throw refused("agent.crt is of no authority in ca.crt");
  });
}

function requireValidAt({ validFrom, validTo }: X509Certificate, name: string, nowMs: number): void {
  if (Date.parse(validTo) <= nowMs) throw refused(`${name} holds a certificate that expired ${validTo}`);
  if (Date.parse(validFrom) > nowMs + maxSkewMs)
    throw refused(`${name} holds a certificate that is valid from ${validFrom}: is this host's clock right?`);
}

/** At least one. Throws `invalid` TRUST_INVALID. */
function certificatesOf(pem: string, name: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length > maxCertificates)
    throw refused(`${name} holds more than ${maxCertificates} certificates`);
  try {
    const [first, ...others] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...others];
  } catch (cause) {
    throw refused(`${name} holds data that is not a certificate`, cause);
  }
  throw refused(`${name} holds no certificate in PEM form`);
}

function privateKeyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw refused("agent.key holds no private key in PEM form", cause);
  }
}
