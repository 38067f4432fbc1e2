import { webcrypto, type X509Certificate } from "node:crypto";
import { SocleError } from "../kernel/errors.ts";
import { authorityKeyOf } from "./identity.ts";

/** A serial number in canonical form: upper-case hexadecimal without leading zeros. */
export const serialOf = (text: string): string => text.toUpperCase().replace(/^0+(?=.)/, "");

/** A certificate revocation list with a verified signature. */
export interface RevocationList {
  readonly pem: string;
  /** The distinguished name of its authority. */
  readonly issuer: string;
  /** `authorityKeyOf` its authority. */
  readonly authority: string;
  readonly issuedAtMs: number;
  /** When the next list is due; undefined if not stated. */
  readonly nextAtMs: number | undefined;
  readonly serials: readonly string[];
}

/** Issue times of revocation lists, wall clock, by `authorityKeyOf` their authority. */
export type ListTimes = Readonly<Record<string, number>>;

/** The later time of each authority. */
export function latestTimes(...all: readonly ListTimes[]): ListTimes {
  const latest: Record<string, number> = {};
  for (const [authority, atMs] of all.flatMap((times) => Object.entries(times)))
    latest[authority] = Math.max(latest[authority] ?? atMs, atMs);
  return latest;
}

/**
 * Concatenated certificate revocation lists in PEM. Throws `invalid` TRUST_INVALID for text that is not a list, and for a list
 * that none of `signers` signed.
 */
export async function revocationListsOf(
  pem: string,
  signers: readonly X509Certificate[],
): Promise<readonly RevocationList[]> {
  const blocks = pem.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g) ?? [];
  if (blocks.length === 0) throw refused("ca.crl holds no revocation list in PEM form");
  return await Promise.all(blocks.map((block) => revocationListOf(block, signers)));
}

async function revocationListOf(pem: string, signers: readonly X509Certificate[]): Promise<RevocationList> {
  // Loaded only if there is a list: the parser is a large part of the agent's start.
  const x509 = await import("./x509.ts");
  x509.cryptoProvider.set(webcrypto);
  let list: InstanceType<typeof x509.X509Crl>;
  let serials: string[];
  try {
    list = new x509.X509Crl(pem);
    serials = list.entries.map(({ serialNumber }) => serialOf(serialNumber));
  } catch (cause) {
    throw refused("ca.crl holds data that is not a revocation list", cause);
  }
  const isSigned = await Promise.all(
    signers.map(async ({ raw }) => {
      const certificate = new x509.X509Certificate(raw);
      if (certificate.subject !== list.issuer) return false;
      return await list.verify({ publicKey: certificate }).catch(() => false);
    }),
  );
  const signer = signers[isSigned.indexOf(true)];
  if (signer === undefined)
    throw refused(`ca.crl holds a revocation list of "${list.issuer}", which no authority in ca.crt signed`);
  return {
    pem,
    issuer: list.issuer,
    authority: authorityKeyOf(signer),
    issuedAtMs: list.thisUpdate.getTime(),
    nextAtMs: list.nextUpdate?.getTime(),
    serials,
  };
}

/**
 * The lists in force once `next` replaces `current`: a list stays in force until a newer one of the same authority replaces
 * it. Throws `invalid` TRUST_INVALID for a list that is older than the one in force, or new and expired or not yet valid.
 */
export function successorLists(
  next: readonly RevocationList[],
  current: readonly RevocationList[],
  nowMs: number,
): readonly RevocationList[] {
  for (const list of next) {
    const inForce = current.find(({ authority }) => authority === list.authority);
    if (inForce?.pem === list.pem) continue;
    const { issuer, issuedAtMs, nextAtMs } = list;
    if (inForce !== undefined && issuedAtMs < inForce.issuedAtMs)
      throw refused(
        `the revocation list of "${issuer}" is of ${utc(issuedAtMs)}, older than the one in force (${utc(inForce.issuedAtMs)})`,
      );
    if (nextAtMs !== undefined && nextAtMs <= nowMs)
      throw refused(`the revocation list of "${issuer}" expired ${utc(nextAtMs)}: get a newer one`);
    if (issuedAtMs > nowMs + maxSkewMs)
      throw refused(
        `the revocation list of "${issuer}" is of ${utc(issuedAtMs)}: is this host's clock right?`,
      );
  }
  const kept = current.filter(({ authority }) => !next.some((list) => list.authority === authority));
  return [...next, ...kept];
}

/** Maximum clock difference of a host and its authority. */
export const maxSkewMs = 300_000;

export const utc = (ms: number): string => new Date(ms).toISOString();

export const refused = (message: string, cause?: unknown): SocleError =>
  new SocleError("invalid", "TRUST_INVALID", message, { cause });
