import { createHash } from "node:crypto";

// Entry n is kept as the line `HASH JSON`, where HASH is SHA-256 over the hash before and the entry's digest. That in turn is
// SHA-256 over the mark that the JSON begins with and the JSON's own digest: by these two the chain can be followed past an
// entry without knowing what it says (export.ts).

/** Where the chain begins: 64 hexadecimal digits, as all hashes here. */
export const genesis = "0".repeat(64);

/** SHA-256 of an entry's text. */
export const contentOf = (json: string): string => createHash("sha256").update(json).digest("hex");

/** Undefined for an entry of before there were marks. */
export const markIn = (json: string): string | undefined => /^\{"mark":"([0-9a-f]{32})"/.exec(json)?.[1];

/** The digest of an entry with this mark, whose text has this digest. */
export const marked = (mark: string | undefined, content: string): string =>
  mark === undefined
    ? content
    : createHash("sha256")
        .update("socle audit entry 1\n")
        .update(Buffer.from(`${mark}${content}`, "hex"))
        .digest("hex");

/** Of an entry. */
export const digestOf = (json: string): string => marked(markIn(json), contentOf(json));

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
