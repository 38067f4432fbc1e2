import { decodeLink, type Link } from "./chain.ts";
import { entryIn, type Entry } from "./entry.ts";
import { linesOf, listSegments, type SegmentFile } from "./segment.ts";

export interface TailEntry extends Link {
  readonly entry: Entry;
}

/** Reads a log after an entry as it grows, each entry once; it holds one batch at most. */
export class Tail {
  readonly #directory: string;
  #after: number;
  #segment: SegmentFile | undefined;
  #offset = 0;
  /** Entries that were deleted before they were read. */
  lost = 0;

  constructor(directory: string, after: number) {
    this.#directory = directory;
    this.#after = after;
  }

  /** Up to this entry, in batches. Throws the file system's errors. */
  async *upTo(through: number): AsyncGenerator<readonly TailEntry[], void, undefined> {
    while (this.#after < through) {
      const segment = await this.#open();
      if (segment === undefined) return;
      for await (const lines of linesOf(segment.path, this.#offset)) {
        const batch: TailEntry[] = [];
        for (const { text, end, whole } of lines) {
          if (!whole || this.#after >= through) break;
          const found = entryOf(text);
          // `verifyLog` reports damaged entries.
          if (found !== undefined && found.entry.sequence > through) break;
          this.#offset = end;
          if (found === undefined || found.entry.sequence <= this.#after) continue;
          batch.push(found);
          this.#after = found.entry.sequence;
        }
        if (batch.length > 0) yield batch;
        if (this.#after >= through) return;
      }
      if (!(await this.#next(segment))) return;
    }
  }

  async #open(): Promise<SegmentFile | undefined> {
    if (this.#segment !== undefined) return this.#segment;
    const segments = await listSegments(this.#directory);
    const [oldest] = segments;
    this.#segment = segments.findLast(({ first }) => first <= this.#after + 1) ?? oldest;
    if (oldest !== undefined && oldest.first > this.#after + 1) {
      this.lost += oldest.first - this.#after - 1;
      this.#after = oldest.first - 1;
    }
    return this.#segment;
  }

  async #next({ first }: SegmentFile): Promise<boolean> {
    const next = (await listSegments(this.#directory)).find((segment) => segment.first > first);
    if (next === undefined) return false;
    this.#segment = next;
    this.#offset = 0;
    return true;
  }
}

function entryOf(line: string): TailEntry | undefined {
  const link = decodeLink(line);
  const entry = link && entryIn(link.json);
  return entry && { ...link, entry };
}
