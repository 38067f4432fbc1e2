import { createHmac, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

export const issuer = "https://idp.example";
export const audience = "cloud.example";

/** A key pair of an identity provider, or of an attacker that imitates one. */
export class IdentityProvider {
  readonly alg: "EdDSA" | "ES256";
  readonly #pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };

  constructor(alg: "EdDSA" | "ES256" = "EdDSA") {
    this.alg = alg;
    this.#pair =
      alg === "EdDSA" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  }

  get pem(): string {
    return this.#pair.publicKey.export({ type: "spki", format: "pem" }).toString();
  }

  get privatePem(): string {
    return this.#pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  }

  jwk(kid: string): Record<string, unknown> {
    return { ...this.#pair.publicKey.export({ format: "jwk" }), kid, use: "sig" };
  }

  get privateJwk(): object {
    return this.#pair.privateKey.export({ format: "jwk" });
  }

  /** A current token of Ann's, with these changes. */
  token(
    changes: Readonly<Record<string, unknown>> = {},
    header: Readonly<Record<string, unknown>> = {},
  ): string {
    const { alg } = this;
    const text = `${encoded({ alg, ...header })}.${encoded({ ...annsClaims(), ...changes })}`;
    const { privateKey: key } = this.#pair;
    const signature =
      alg === "EdDSA"
        ? sign(null, Buffer.from(text), key)
        : sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
  }
}

export function annsClaims(): Record<string, unknown> {
  const iat = Math.floor(Date.now() / 1000);
  return { iss: issuer, aud: audience, sub: "ann@example", jti: "t-1", iat, exp: iat + 600 };
}

export const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signed with the public key as the secret, as a verifier that trusts `alg` would check it. */
export function hmacToken(secret: string): string {
  const text = `${encoded({ alg: "HS256" })}.${encoded(annsClaims())}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
