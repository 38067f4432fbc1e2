import type { IncomingMessage } from "node:http";
import { hostname } from "node:os";
import { SocleError } from "../kernel/errors.ts";

/**
 * Refuses (`denied`) requests that a foreign page makes an operator's browser send: under a name that its DNS points here
 * (rebinding), which is not this host's; or cross-site, which could only take streams away from others.
 */
export function checkVisitor(request: IncomingMessage): void {
  const ownName = hostname();
  const name = nameIn(request.headers.host);
  const isOurs =
    isAddress(name) || name === "localhost" || name === ownName.toLowerCase() || isBelow(name, ownName);
  if (!isOurs) {
    const message = `the page is only served under this host's own name (${ownName}), an address or localhost`;
    throw new SocleError("denied", "FOREIGN_NAME", message);
  }
  const site = request.headers["sec-fetch-site"];
  const isVisit = request.headers["sec-fetch-mode"] === "navigate";
  if (site === "cross-site" && !isVisit)
    throw new SocleError("denied", "FOREIGN_SITE", "the page is not available to other sites");
}

function nameIn(host: string | undefined): string {
  if (host === undefined || !URL.canParse(`http://${host}`)) return "";
  return new URL(`http://${host}`).hostname.replace(/^\[(.*)\]$/, "$1");
}

/** The URL parser only accepts digits and dots, or colons, as addresses. */
const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(":");

/** "node-1.example.org" for a host that is named "node-1". */
const isBelow = (name: string, ownName: string): boolean => name.startsWith(`${ownName.toLowerCase()}.`);
