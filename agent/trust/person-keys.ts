import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import * as z from "../kernel/zod.ts";
import { SocleError } from "../kernel/errors.ts";
import { defined } from "../kernel/defined.ts";
import { messageOf } from "../kernel/thrown.ts";

/** A key of the identity provider, with its one signature algorithm. */
export interface PersonKey {
  readonly alg: "EdDSA" | "ES256";
  readonly key: KeyObject;
  /** Tokens must name it. Keys in PEM form have none. */
  readonly kid?: string;
}

const MAX_BYTES = 256 * 1024;

const jwksSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(64) });

/**
 * The public keys in a file: one or several in PEM, or a JWK set (RFC 7517), whose unsupported keys are ignored. Throws
 * `invalid` PERSON_KEYS_INVALID: no key is left, one is private, or others may write the file.
 */
export async function readPersonKeys(path: string): Promise<readonly PersonKey[]> {
  const text = await readText(path);
  const isPem = text.includes("-----BEGIN");
  const keys = isPem ? keysOfPem(text, path) : keysOfSet(text, path);
  if (keys.length === 0) throw refused(path, "holds no public key of Ed25519 or P-256");
  return keys;
}

/** Fingerprint of a set of keys, for the audit log. */
export const fingerprintOf = (keys: readonly PersonKey[]): string => {
  const hash = createHash("sha256");
  for (const { key, kid = "" } of keys)
    hash.update(`${kid}\n`).update(key.export({ type: "spki", format: "der" }));
  return hash.digest("hex");
};

async function readText(path: string): Promise<string> {
  try {
    const { mode, size } = await stat(path);
    if ((mode & 0o002) !== 0) throw refused(path, "is writable by every user (chmod o-w)");
    if (size > MAX_BYTES) throw refused(path, `is larger than ${MAX_BYTES} bytes`);
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof SocleError) throw thrown;
    throw refused(path, `cannot be read: ${messageOf(thrown)}`);
  }
}

function keysOfPem(text: string, path: string): PersonKey[] {
  if (text.includes("PRIVATE KEY-----")) throw refused(path, "holds a private key: put the public one there");
  const blocks = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  return blocks.flatMap((pem) => {
    const key = publicKey(() => createPublicKey(pem), path);
    const alg = algorithmOf(key);
    if (alg === undefined) throw refused(path, "holds a key that is neither of Ed25519 nor of P-256");
    return [{ alg, key }];
  });
}

function keysOfSet(text: string, path: string): PersonKey[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused(path, "is neither PEM nor a JWK set");
  }
  const { data } = jwksSchema.safeParse(value);
  if (data === undefined) throw refused(path, "is not a JWK set");
  return data.keys.flatMap((jwk) => {
    if ("d" in jwk) throw refused(path, "holds a private key: put the public one there");
    const isOurs = jwk.crv === "Ed25519" || jwk.crv === "P-256";
    if (!isOurs || (jwk.use !== undefined && jwk.use !== "sig")) return [];
    const key = publicKey(() => createPublicKey({ key: jwk as JsonWebKey, format: "jwk" }), path);
    const alg = algorithmOf(key);
    if (alg === undefined) return [];
    return [defined({ alg, key, kid: typeof jwk.kid === "string" ? jwk.kid : undefined })];
  });
}

function publicKey(make: () => KeyObject, path: string): KeyObject {
  try {
    return make();
  } catch {
    throw refused(path, "holds a key that is damaged");
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): PersonKey["alg"] | undefined {
  if (asymmetricKeyType === "ed25519") return "EdDSA";
  const isP256 = asymmetricKeyType === "ec" && asymmetricKeyDetails?.namedCurve === "prime256v1";
  return isP256 ? "ES256" : undefined;
}

const refused = (path: string, what: string): SocleError =>
  new SocleError("invalid", "PERSON_KEYS_INVALID", `the identity provider's keys: ${path} ${what}`);
