import { createHash, type X509Certificate } from "node:crypto";
import { SocleError } from "../kernel/errors.ts";
import { defined } from "../kernel/defined.ts";

/** The identity in a certificate. */
export interface Identity {
  /** `spiffe://DOMAIN/ROLE/NAME`, followed by `/tenant/TENANT` for a caller restricted to one tenant. */
  readonly uri: string;
  readonly domain: string;
  readonly role: string;
  readonly name: string;
  readonly tenant?: string;
}

const form =
  /^spiffe:\/\/([a-z0-9._-]{1,255})\/([a-z]{1,32})\/([A-Za-z0-9._-]{1,128})(?:\/tenant\/([A-Za-z0-9._-]{1,63}))?$/;

/**
 * Parses a certificate's subject alternative names as node:crypto prints them. A SPIFFE certificate has exactly one URI
 * (SPIFFE X509-SVID, 2); other kinds of names are ignored. Throws `denied` CERTIFICATE_IDENTITY.
 */
export function identityOf(subjectAltName: string | undefined): Identity {
  const names = subjectAltName ?? "";
  // A value with a comma or a quote is printed as a JSON string: no identity has one.
  const uris = names.includes('"') ? [] : names.split(", ").filter((name) => name.startsWith("URI:"));
  const [only = ""] = uris;
  const identity = uris.length === 1 ? parseIdentity(only.slice("URI:".length)) : undefined;
  if (identity !== undefined) return identity;
  const message =
    "the certificate has no identity: it needs exactly one URI name, spiffe://DOMAIN/ROLE/NAME or spiffe://DOMAIN/ROLE/NAME/tenant/TENANT";
  throw new SocleError("denied", "CERTIFICATE_IDENTITY", message);
}

/** Undefined for an invalid identity. */
function parseIdentity(uri: string): Identity | undefined {
  const [, domain, role, name, tenant] = form.exec(uri) ?? [];
  if (domain === undefined || role === undefined || name === undefined) return undefined;
  return defined({ uri, domain, role, name, tenant });
}

/** The tenant of a caller, from its name in operations; undefined: unrestricted. */
export const tenantOfCaller = (caller: string): string | undefined => parseIdentity(caller)?.tenant;

/** Whether a caller may cancel or shorten another's operation: the provider any, a tenant's callers their tenant's. */
export function mayOverrule(caller: string, other: string): boolean {
  const tenant = tenantOfCaller(caller);
  return tenant === undefined || tenant === tenantOfCaller(other);
}

/**
 * SHA-256 of an authority's public key, lower-case hexadecimal. The key identifies an authority: its certificate is renewed
 * from time to time.
 */
export const authorityKeyOf = ({ publicKey }: X509Certificate): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
