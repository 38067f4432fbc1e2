import { stat } from "node:fs/promises";
import { decodeLink } from "./chain.ts";
import { entryIn, type Entry } from "./entry.ts";
import { linesOf, listSegments, parseHeader } from "./segment.ts";

export interface KeptEntry {
  readonly sequence: number;
  /** The chain's previous hash. */
  readonly previous: string;
  readonly hash: string;
  readonly json: string;
}

export interface PageQuery {
  /** After this entry. */
  readonly after: number;
  /** Up to and including this one. */
  readonly through: number;
  readonly limit: number;
  /** Bound of the entries' total text; one entry may be longer. */
  readonly bytes: number;
  /** On an entry's text: false only where `isWanted` is false. It avoids parsing the entry. */
  readonly mayBeWanted?: (json: string) => boolean;
  readonly isWanted: (entry: Entry) => boolean;
}

export interface Page {
  readonly entries: readonly KeptEntry[];
  /** The entry that the next page continues after; `through` at the end. */
  readonly read: number;
  /** The oldest stored entry; 0: none. */
  readonly oldest: number;
}

/** Work limit of a page: about 2 ms of the event loop. */
const MAX_COST = 3000;
const LOOK_COST = 1;
const PARSE_COST = 3;
/** Binary search ends at this distance; from there lines are read. */
const NEAR_BYTES = 32 * 1024;
const PROBE_BYTES = 4096;

/** Bytes of an entry's sequence and hashes beside its text, which is ASCII. */
const linkBytes = 200;

/** A page of the log. Damaged entries are left out: `verifyLog` reports them. Throws the file system's errors. */
export async function readPage(directory: string, query: PageQuery): Promise<Page> {
  const { after, through, limit, mayBeWanted = () => true, isWanted } = query;
  let bytes = 0;
  const segments = await listSegments(directory);
  const oldest = segments[0]?.first ?? 0;
  const begin = Math.max(
    0,
    segments.findLastIndex(({ first }) => first <= after + 1),
  );
  const entries: KeptEntry[] = [];
  let read = after;
  let cost = 0;
  for (const { path, first } of segments.slice(begin)) {
    let previous = "";
    const from = first > after ? 0 : await positionBefore(path, after);
    for await (const lines of linesOf(path, from)) {
      for (const { text, offset, whole } of lines) {
        if (offset === 0) previous = parseHeader(text)?.previous ?? "";
        const sequence = whole ? sequenceOf(text) : undefined;
        if (sequence === undefined) continue;
        if (sequence > through) return { entries, read: through, oldest };
        const link = decodeLink(text);
        if (link === undefined) continue;
        const kept = { sequence, previous, ...link };
        previous = link.hash;
        if (sequence <= after) continue;
        if (entries.length >= limit || cost >= MAX_COST) return { entries, read, oldest };
        const isParsed = mayBeWanted(link.json);
        cost += isParsed ? PARSE_COST : LOOK_COST;
        const entry = isParsed ? entryIn(link.json) : undefined;
        const isShown = entry !== undefined && isWanted(entry);
        if (isShown) bytes += link.json.length + linkBytes;
        if (bytes > query.bytes && entries.length > 0) return { entries, read, oldest };
        read = sequence;
        if (isShown) entries.push(kept);
      }
    }
  }
  return { entries, read: through, oldest };
}

/** The first byte of an entry's line at or shortly before `sequence`, or 0: by binary search. */
async function positionBefore(path: string, sequence: number): Promise<number> {
  let low = 0;
  let high = (await stat(path)).size;
  while (high - low > NEAR_BYTES) {
    const middle = Math.floor((low + high) / 2);
    const found = await firstEntryFrom(path, middle, high);
    if (found !== undefined && found.sequence <= sequence) low = found.offset;
    else high = middle;
  }
  return low;
}

/** The first line between two bytes that is an entry; the line at `from` may be partial. */
async function firstEntryFrom(
  path: string,
  from: number,
  until: number,
): Promise<{ readonly sequence: number; readonly offset: number } | undefined> {
  for await (const lines of linesOf(path, from, PROBE_BYTES)) {
    for (const { text, offset, whole } of lines) {
      if (offset >= until) return undefined;
      const sequence = whole && offset > from ? sequenceOf(text) : undefined;
      if (sequence !== undefined) return { sequence, offset };
    }
  }
  return undefined;
}

/** Without parsing it: an entry begins with its mark and its sequence. */
function sequenceOf(line: string): number | undefined {
  const [, digits] = /^[0-9a-f]{64} \{(?:"mark":"[0-9a-f]{32}",)?"sequence":(\d+),/.exec(line) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
