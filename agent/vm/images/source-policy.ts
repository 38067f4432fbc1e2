import { invalidField, SocleError } from "../../kernel/errors.ts";
import { ipRanges, isAddress } from "../../kernel/text/ip-ranges.ts";

/** The sources from which the host may download images. */
export interface SourceRules {
  readonly allowHttp: boolean;
  /** Addresses that are not public; never for callers of one tenant. */
  readonly allowPrivateAddresses: boolean;
  /** Host names, or `*.domain`; empty: any. */
  readonly allowedHosts: readonly string[];
  /** For a caller of one tenant. */
  readonly isTenants?: boolean;
}

const MOST_URL_CHARACTERS = 4096;

/** IPv4 networks that are not public (IANA's special-purpose registry), and multicast. */
const isSpecialV4 = ipRanges([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
]);
const isGlobalV6 = ipRanges(["2000::/3"]);
/** Within that: protocol assignments with Teredo, documentation, 6to4. The first and third embed IPv4 addresses. */
const isSpecialV6 = ipRanges(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]);
/** Groups of hosts, and an unspecified address: no rule allows them. */
const isNeverV4 = ipRanges(["0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"]);
/** Apart from those of IPv4: a list with ::ffff:0:0/96 contains each IPv4 address. */
const isNeverV6 = ipRanges(["::", "ff00::/8", "::ffff:0:0/96", "64:ff9b::/96"]);

const isNeverAllowed = (address: string): boolean =>
  !isAddress(address) || (address.includes(":") ? isNeverV6(address) : isNeverV4(address));

/** Whether the internet routes the address. IPv4 addresses inside IPv6 ones do not count as public. */
export const isPublicAddress = (address: string): boolean => {
  if (!isAddress(address)) return false;
  return address.includes(":") ? isGlobalV6(address) && !isSpecialV6(address) : !isSpecialV4(address);
};

/** The URL of an import. Throws `invalid` SPEC_INVALID for another text. */
export function parseSource(text: string): URL {
  const refuse = (why: string): SocleError => invalidField("SPEC_INVALID", "url", why);
  if (text.length > MOST_URL_CHARACTERS) throw refuse(`must be at most ${MOST_URL_CHARACTERS} characters`);
  if (!URL.canParse(text)) throw refuse("must be a URL, for example https://cloud.debian.org/images/x.qcow2");
  const url = new URL(text);
  if (!succeeds(() => decodeURIComponent(`${url.username}${url.password}`)))
    throw refuse("must have credentials in percent-encoding");
  if (!["https:", "http:"].includes(url.protocol) || url.hostname === "")
    throw refuse("must be an https URL");
  return url;
}

/** The URL without the parts that may be secret: credentials, query and fragment. */
export const shownUrl = ({ protocol, host, pathname }: URL): string => `${protocol}//${host}${pathname}`;

/** Throws `denied` IMAGE_SOURCE_DENIED for a scheme or host name that the rules exclude. */
export function requireAllowedSource(url: URL, { allowHttp, allowedHosts }: SourceRules): void {
  if (url.protocol !== "https:" && !(allowHttp && url.protocol === "http:"))
    throw denied(
      `${shownUrl(url)} is not https, and this host downloads over https only (images.allowHttp); use an https URL`,
    );
  if (allowedHosts.length === 0 || allowedHosts.some((pattern) => matches(url.hostname, pattern))) return;
  throw denied(
    `the host of ${shownUrl(url)} is not among those that this host downloads images from (images.allowedHosts)`,
  );
}

/**
 * Throws `denied` IMAGE_SOURCE_DENIED for an address that the rules exclude. The address is not in the text: the host's DNS
 * knows names that the caller does not.
 */
export function requireAllowedAddress(
  url: URL,
  address: string,
  { allowPrivateAddresses, isTenants = false }: SourceRules,
): void {
  if (isPublicAddress(address) || (allowPrivateAddresses && !isTenants && !isNeverAllowed(address))) return;
  throw noPublicAddress(url, isTenants ? {} : { address });
}

/** Also for a name that does not exist, if a tenant asks: else the host's DNS would tell it which names do. */
export const noPublicAddress = (url: URL, metadata: Record<string, string> = {}): SocleError =>
  denied(
    `the host of ${shownUrl(url)} has no public address alone, and this host downloads images from public addresses only ` +
      "(images.allowPrivateAddresses)",
    metadata,
  );

function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

const matches = (host: string, pattern: string): boolean =>
  pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) : host === pattern;

const denied = (message: string, metadata: Record<string, string> = {}): SocleError =>
  new SocleError("denied", "IMAGE_SOURCE_DENIED", message, { details: { metadata } });
