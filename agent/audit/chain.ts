import { hash } from "node:crypto";

// Entry n is stored as the line `HASH JSON`, where HASH is SHA-256 over the previous hash and the entry's digest. The digest
// is SHA-256 over the JSON's leading mark and the JSON's own digest: with these two, the chain can be followed past an entry
// whose text is secret (export.ts).

/** The chain's first hash: 64 hexadecimal digits, as all hashes here. */
export const genesis = "0".repeat(64);

/** SHA-256 of an entry's text. */
export const contentOf = (json: string): string => hash("sha256", json);

/** Undefined for entries older than marks. */
export const markIn = (json: string): string | undefined => /^\{"mark":"([0-9a-f]{32})"/.exec(json)?.[1];

const entryPrefix = Buffer.from("socle audit entry 1\n");

/** The digest of an entry, from its mark and its text's digest. */
export const marked = (mark: string | undefined, content: string): string =>
  mark === undefined
    ? content
    : hash("sha256", Buffer.concat([entryPrefix, Buffer.from(`${mark}${content}`, "hex")]));

/** The digest of an entry. */
export const digestOf = (json: string): string => marked(markIn(json), contentOf(json));

/** The chain's hash after an entry with this digest. */
export const linked = (previous: string, digest: string): string =>
  hash("sha256", Buffer.from(`${previous}${digest}`, "hex"));

export interface Link {
  readonly hash: string;
  readonly json: string;
}

export const encodeLink = ({ hash, json }: Link): string => `${hash} ${json}\n`;

/** A line without its newline; undefined for an invalid one. */
export const decodeLink = (line: string): Link | undefined =>
  /^[0-9a-f]{64} \{/.test(line) ? { hash: line.slice(0, 64), json: line.slice(65) } : undefined;
