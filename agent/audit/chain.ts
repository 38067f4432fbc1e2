import { createHash } from "node:crypto";

// Entry n is kept as the line `HASH JSON`, where HASH is SHA-256 over the hash before and the JSON's own digest. By the
// digest alone the chain can be followed past an entry without knowing what it says (export.ts).

/** Where the chain begins: 64 hexadecimal digits, as all hashes here. */
export const genesis = "0".repeat(64);

/** SHA-256 of an entry's text. */
export const digestOf = (json: string): string => createHash("sha256").update(json).digest("hex");

/** The chain's hash behind an entry with this digest. */
export const linked = (previous: string, digest: string): string =>
  createHash("sha256")
    .update(Buffer.from(`${previous}${digest}`, "hex"))
    .digest("hex");

export interface Link {
  readonly hash: string;
  readonly json: string;
}

export const encodeLink = ({ hash, json }: Link): string => `${hash} ${json}\n`;

/** A line without its newline; undefined for what is none. */
export function decodeLink(line: string): Link | undefined {
  return /^[0-9a-f]{64} \{/.test(line) ? { hash: line.slice(0, 64), json: line.slice(65) } : undefined;
}
