import { basename } from "node:path";
import { parseCheckpoint, readHead, type Checkpoint, type VerifyKey } from "./checkpoint.ts";
import { beginning, follow, type ChainPoint, type Followed } from "./follow.ts";
import { linesOf, listSegments, parseHeader, type SegmentFile } from "./segment.ts";

/** The first fault. */
export interface Problem {
  /** The first entry that is not trustworthy. */
  readonly sequence: number;
  readonly file: string;
  /** From 1; 0 for the file as a whole. */
  readonly line: number;
  readonly what: string;
}

export interface Report {
  readonly problem?: Problem;
  /** The oldest and newest verified entries. */
  readonly first: number;
  readonly last: number;
  /** The newest entry that a checkpoint covers. */
  readonly signedThrough: number;
  readonly checkpoints: number;
  /** Bytes of an entry in writing, or torn by a crash. */
  readonly tornBytes: number;
}

interface VerifyOptions {
  readonly key: VerifyKey;
  /** Checkpoints kept elsewhere: a log that was cut and re-signed on the host does not match them. */
  readonly anchors?: readonly Checkpoint[];
  /** Called for each verified entry, with the chain's previous point. */
  readonly onEntry?: (followed: Followed, before: ChainPoint) => void;
}

/** A mismatch that ends the check. */
class Mismatch extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.what);
    this.problem = problem;
  }
}

/**
 * Verifies the whole log: each entry against the previous one, the segments against each other, the signatures, and the end
 * against the newest checkpoint. A log in use may be verified. Throws the file system's errors.
 */
export async function verifyLog(directory: string, options: VerifyOptions): Promise<Report> {
  // Read first: the log can only be longer than its checkpoint.
  const head = await readHead(directory);
  const segments = await listSegments(directory);
  const check = new LogCheck(options, head);
  try {
    for (const [index, segment] of segments.entries()) {
      await check.segment(segment, index === segments.length - 1);
    }
    check.end(segments[0]);
  } catch (thrown) {
    if (!(thrown instanceof Mismatch)) throw thrown;
    return { ...check.found, problem: thrown.problem };
  }
  return check.found;
}

class LogCheck {
  readonly #options: VerifyOptions;
  readonly #head: Checkpoint | undefined;
  /** By sequence: the hash that the chain must have there. */
  readonly #known = new Map<number, Checkpoint>();
  #point: ChainPoint = beginning;
  /** The beginning of the oldest segment. */
  #start: ChainPoint | undefined;
  #dropped: ChainPoint[] = [];
  #checkpoints = 0;
  #signed = 0;
  #tornBytes = 0;

  constructor(options: VerifyOptions, head: Checkpoint | undefined) {
    this.#options = options;
    this.#head = head;
    for (const checkpoint of [...(options.anchors ?? []), ...(head === undefined ? [] : [head])])
      this.#known.set(checkpoint.sequence, checkpoint);
  }

  get found(): Report {
    const first = this.#start === undefined ? 0 : this.#start.sequence + 1;
    const last = this.#point.sequence;
    const signedThrough = this.#signed;
    return { first, last, signedThrough, checkpoints: this.#checkpoints, tornBytes: this.#tornBytes };
  }

  async segment({ path, name, first }: SegmentFile, isLast: boolean): Promise<void> {
    let isHeader = true;
    for await (const lines of linesOf(path)) {
      for (const { text, number, offset, end, whole } of lines) {
        const place = { file: name, line: number };
        if (!whole && isLast && !isHeader) {
          this.#tornBytes = end - offset;
          return;
        }
        if (isHeader) this.#begin(text, first, place);
        else this.#entry(text, place);
        isHeader = false;
      }
    }
    if (isHeader) this.#fail({ file: name, line: 0 }, "is empty");
  }

  #begin(text: string, named: number, place: { file: string; line: number }): void {
    const header = parseHeader(text);
    if (header === undefined || header.first !== named)
      this.#fail(place, "is not the beginning of a segment");
    const point = { sequence: header.first - 1, hash: header.previous };
    if (this.#start === undefined) {
      this.#start = this.#point = point;
      return;
    }
    const { sequence, hash } = this.#point;
    if (point.sequence > sequence)
      this.#fail(place, `is missing, up to entry ${point.sequence}: they were removed`);
    if (point.sequence < sequence || point.hash !== hash)
      this.#fail(place, "does not continue the segment before: one segment was replaced");
  }

  #entry(text: string, place: { file: string; line: number }): void {
    const followed = follow(this.#point, text);
    if (typeof followed === "string") this.#fail(place, followed);
    const { entry } = followed;
    if (entry.act === "checkpoint") this.#checkpoint(entry.details, place);
    if (entry.act === "segments_dropped") {
      const { through, hash } = entry.details ?? {};
      this.#dropped.push({ sequence: Number(through), hash: String(hash) });
    }
    const before = this.#point;
    this.#point = followed;
    const known = this.#known.get(followed.sequence);
    if (known !== undefined) this.#vouch(known, place);
    this.#options.onEntry?.(followed, before);
  }

  #checkpoint(details: unknown, place: { file: string; line: number }): void {
    const checkpoint = parseCheckpoint(details);
    if (checkpoint === undefined) this.#fail(place, "is a checkpoint without a signature");
    if (checkpoint.sequence !== this.#point.sequence)
      this.#fail(place, `is a checkpoint for entry ${checkpoint.sequence}, not for the one before it`);
    this.#vouch(checkpoint, place);
    this.#checkpoints += 1;
  }

  /** The chain must match the checkpoint, and its signature be genuine. */
  #vouch(checkpoint: Checkpoint, place: { file: string; line: number }): void {
    const { key } = this.#options;
    if (!key.vouches(checkpoint))
      this.#failAt(this.#signed + 1, place, this.#unsigned(checkpoint, `of entry ${checkpoint.sequence}`));
    if (checkpoint.hash !== this.#point.hash) {
      const what = `or a later one, up to ${checkpoint.sequence}, was changed and the hashes recomputed: the signed checkpoint differs`;
      this.#failAt(this.#signed + 1, place, what);
    }
    this.#signed = Math.max(this.#signed, checkpoint.sequence);
  }

  #unsigned({ key }: Checkpoint, which: string): string {
    return key === this.#options.key.fingerprint
      ? `and later ones are not trustworthy: the signature ${which} is forged`
      : `and later ones are not trustworthy: the checkpoint ${which} is signed by another key (${key.slice(0, 16)})`;
  }

  /** `oldest`: the oldest segment found. */
  end(oldest: SegmentFile | undefined): void {
    const { sequence } = this.#point;
    const place = { file: basename(oldest?.path ?? ""), line: 0 };
    for (const known of this.#known.values()) {
      if (known.sequence <= sequence) continue;
      this.#fail(
        { file: "head.json", line: 0 },
        `is missing, and all up to ${known.sequence}: a signed checkpoint covers them, so the end was cut off`,
      );
    }
    if (this.#head?.sequence === 0 && !this.#options.key.vouches(this.#head))
      this.#fail({ file: "head.json", line: 0 }, this.#unsigned(this.#head, "of the log's beginning"));
    if (this.#head === undefined && sequence > 0)
      this.#fail({ file: "head.json", line: 0 }, "may have followed: head.json is missing or unreadable");
    const start = this.#start;
    if (start === undefined || start.sequence === 0) return;
    const isRecorded = this.#dropped.some(
      ({ sequence: at, hash }) => at === start.sequence && hash === start.hash,
    );
    if (!isRecorded)
      this.#failAt(1, place, `to ${start.sequence} are missing, and the log does not record their deletion`);
  }

  #fail(place: { file: string; line: number }, what: string): never {
    return this.#failAt(this.#point.sequence + 1, place, what);
  }

  #failAt(sequence: number, place: { file: string; line: number }, what: string): never {
    throw new Mismatch({ sequence, ...place, what: `entry ${sequence} ${what}` });
  }
}
