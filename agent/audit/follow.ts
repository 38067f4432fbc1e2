import { contentOf, decodeLink, genesis, linked, marked, markIn } from "./chain.ts";
import { entryIn, type Entry } from "./entry.ts";

/** A point of the chain. */
export interface ChainPoint {
  /** The last entry; 0 at the beginning. */
  readonly sequence: number;
  readonly hash: string;
}

export const beginning: ChainPoint = { sequence: 0, hash: genesis };

export interface Followed extends ChainPoint {
  readonly entry: Entry;
  readonly json: string;
  /** The digest of the text. */
  readonly digest: string;
}

/** The next entry after `point`, or the fault of the line. */
export function follow(point: ChainPoint, line: string): Followed | string {
  const link = decodeLink(line);
  if (link === undefined) return "is no entry: the line was damaged or overwritten";
  const digest = contentOf(link.json);
  const hash = linked(point.hash, marked(markIn(link.json), digest));
  const entry = entryIn(link.json);
  if (entry === undefined) return "is not readable: the line was damaged or edited";
  const { sequence } = entry;
  if (link.hash !== hash) {
    if (sequence === point.sequence + 1) return "does not fit its hash: it was edited";
    return `stands where entry ${point.sequence + 1} should: entries were removed, inserted or reordered`;
  }
  if (sequence !== point.sequence + 1)
    return `states that it is entry ${sequence}: entries were removed or inserted`;
  return { sequence, hash, entry, json: link.json, digest };
}
