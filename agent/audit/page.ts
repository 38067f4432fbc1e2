import { decodeLink } from "./chain.ts";
import { entryIn, type Entry } from "./entry.ts";
import { linesOf, listSegments, parseHeader } from "./segment.ts";

export interface KeptEntry {
  readonly sequence: number;
  /** The chain's hash before it. */
  readonly previous: string;
  readonly hash: string;
  readonly json: string;
}

export interface PageQuery {
  /** Behind this entry. */
  readonly after: number;
  /** Up to this one. */
  readonly through: number;
  readonly limit: number;
  /** Of the entries' texts together; one entry may be longer. */
  readonly bytes: number;
  readonly isWanted: (entry: Entry) => boolean;
}

export interface Page {
  readonly entries: readonly KeptEntry[];
  /** Where the next page goes on behind; `through` where there is none. */
  readonly read: number;
  /** The oldest entry that is kept; 0: none. */
  readonly oldest: number;
}

/** What one page costs at most, whatever it is to find. */
const MAX_READ = 20_000;

/** What an entry's sequence and hashes take beside its text, which is ASCII. */
const linkBytes = 200;

/** Some of a log's entries. What was damaged is left out: `verifyLog` tells of it. Throws the file system's errors. */
export async function readPage(directory: string, query: PageQuery): Promise<Page> {
  const { after, through, limit, isWanted } = query;
  let bytes = 0;
  const segments = await listSegments(directory);
  const oldest = segments[0]?.first ?? 0;
  const begin = Math.max(
    0,
    segments.findLastIndex(({ first }) => first <= after + 1),
  );
  const entries: KeptEntry[] = [];
  let read = after;
  let count = 0;
  for (const { path } of segments.slice(begin)) {
    let previous = "";
    for await (const lines of linesOf(path)) {
      for (const { text, number, whole } of lines) {
        if (number === 1) previous = parseHeader(text)?.previous ?? "";
        const sequence = whole ? sequenceOf(text) : undefined;
        if (sequence === undefined) continue;
        if (sequence > through) return { entries, read: through, oldest };
        const link = decodeLink(text);
        if (link === undefined) continue;
        const kept = { sequence, previous, ...link };
        previous = link.hash;
        if (sequence <= after) continue;
        if (entries.length >= limit || count >= MAX_READ) return { entries, read, oldest };
        const entry = entryIn(link.json);
        const isShown = entry !== undefined && isWanted(entry);
        if (isShown) bytes += link.json.length + linkBytes;
        if (bytes > query.bytes && entries.length > 0) return { entries, read, oldest };
        count += 1;
        read = sequence;
        if (isShown) entries.push(kept);
      }
    }
  }
  return { entries, read: through, oldest };
}

/** Without parsing it all: an entry begins with its mark and its sequence. */
function sequenceOf(line: string): number | undefined {
  const [, digits] = /^[0-9a-f]{64} \{(?:"mark":"[0-9a-f]{32}",)?"sequence":(\d+),/.exec(line) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
