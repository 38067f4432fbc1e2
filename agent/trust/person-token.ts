import { verify } from "node:crypto";
import * as z from "../kernel/zod.ts";
import { SocleError } from "../kernel/errors.ts";
import type { PersonKey } from "./person-keys.ts";
import { defined } from "../kernel/defined.ts";

/** A person, as the identity provider attests. */
export interface Person {
  readonly name: string;
  /** The token's id (jti), for correlation with the provider's log. */
  readonly token: string;
  /** The reason in the token: a change or an incident. */
  readonly ticket?: string;
}

export interface PersonRules {
  readonly issuer: string;
  /** A token is for this host if its audience contains one of these. */
  readonly audiences: readonly string[];
  /** Older tokens are refused, whatever their own end is. */
  readonly maxAgeMs: number;
}

/** Maximum clock difference of two machines. */
const SKEW_MS = 60_000;
/** A header of gRPC has 8 KiB in most proxies. */
const MAX_CHARS = 4096;

const printable = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{C}]*$/u);

// No `crit` extension is supported, so a token with one is refused (RFC 7515, 4.1.11).
const headerSchema = z.object({ alg: z.string(), kid: z.string().optional(), crit: z.never().optional() });

/** The claims of RFC 7519; all but `nbf` and `ticket`, which is Socle's, are required. Times are seconds. */
const claimsSchema = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  sub: printable(256),
  jti: printable(256),
  iat: z.number(),
  nbf: z.number().optional(),
  exp: z.number(),
  ticket: printable(128).optional(),
});

/**
 * The person of a signed token: a JWS in compact form (RFC 7515) with EdDSA on Ed25519 or ES256 (RFC 8037, RFC 7518). The
 * key fixes the algorithm: a token that names another is refused (RFC 8725, 3.1). A token is valid for any number of calls
 * until it expires. Throws `unauthenticated` PERSON_TOKEN_INVALID or PERSON_TOKEN_EXPIRED, with nothing of the token in the
 * message.
 */
export function verifyPerson(
  token: string,
  keys: readonly PersonKey[],
  rules: PersonRules,
  nowMs: number,
): Person {
  if (token.length > MAX_CHARS) throw invalid(`is longer than ${MAX_CHARS} characters`);
  const [header = "", payload = "", signature = "", ...more] = token.split(".");
  if (payload === "" || more.length > 0) throw invalid("is not a JWS in compact form");
  const { alg, kid } = parse(headerSchema, header, "header");
  const candidates = keys.filter((key) => key.alg === alg && (key.kid === undefined || key.kid === kid));
  if (candidates.length === 0)
    throw invalid("names no algorithm and key (alg, kid) of the identity provider's");
  const signed = Buffer.from(`${header}.${payload}`);
  const bytes = decode(signature, "signature");
  const isSigned = candidates.some(({ alg: own, key }) =>
    own === "EdDSA"
      ? verify(null, signed, key, bytes)
      : verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, bytes),
  );
  if (!isSigned) throw invalid("is not signed by the identity provider");
  const claims = parse(claimsSchema, payload, "claims");
  if (claims.iss !== rules.issuer) throw invalid("is of another issuer (iss)");
  const audiences = [claims.aud].flat();
  if (!audiences.some((audience) => rules.audiences.includes(audience)))
    throw invalid("is not for this host (aud)");
  requireCurrent(claims, rules, nowMs);
  const { sub: name, jti, ticket } = claims;
  return defined({ name, token: jti, ticket });
}

function requireCurrent(
  { iat, nbf, exp }: z.output<typeof claimsSchema>,
  { maxAgeMs }: PersonRules,
  nowMs: number,
): void {
  if (Math.max(iat, nbf ?? iat) * 1000 > nowMs + SKEW_MS)
    throw invalid("is not valid yet (iat, nbf): compare this host's clock with the identity provider's");
  const endMs = Math.min(exp * 1000, iat * 1000 + maxAgeMs);
  if (nowMs <= endMs + SKEW_MS) return;
  const message = `the person's token expired at ${timeOf(endMs)}; get a new one`;
  throw new SocleError("unauthenticated", "PERSON_TOKEN_EXPIRED", message);
}

// Dates have a smaller range than numbers.
const timeOf = (ms: number): string =>
  Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : "an invalid time";

function parse<T>(schema: z.ZodType<T>, part: string, what: string): T {
  const bytes = decode(part, what);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(`has a ${what} that is not JSON`);
  }
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const fields = [...new Set(error?.issues.map(({ path }) => path.join(".")))].join(", ");
  throw invalid(`has missing or malformed fields in its ${what}: ${fields}`);
}

/** Base64url without padding, in its canonical form. */
function decode(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw invalid(`has a ${what} that is not base64url`);
  return bytes;
}

const invalid = (what: string): SocleError =>
  new SocleError("unauthenticated", "PERSON_TOKEN_INVALID", `the person's token ${what}`);
