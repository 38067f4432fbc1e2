import { truncate } from "node:fs/promises";
import { findHead, headPath, type Checkpoint, type VerifyKey } from "./checkpoint.ts";
import { beginning, follow, type ChainPoint } from "./follow.ts";
import { reading } from "./refusals.ts";
import { linesOf, listSegments, parseHeader, type SegmentFile } from "./segment.ts";

/** What a start finds of the log. */
export interface Found {
  readonly point: ChainPoint;
  /** In the newest segment; else a new one is to be begun. */
  readonly goesOn: boolean;
  readonly segments: readonly SegmentFile[];
  /** Entries that no checkpoint vouches for yet. */
  readonly unsigned: number;
  /** Of the newest segment, so much is on the disk for certain. */
  readonly signedBytes: number;
  /** What was written when the agent died, and nobody was promised; it has been cut off. */
  readonly tornBytes: number;
  /** What of the log is missing or wrong, in words. The files are left as they are. */
  readonly damage?: string;
}

/** Of a log that has not begun, or that cannot be read. */
export const nothingFound: Found = {
  point: beginning,
  goesOn: false,
  segments: [],
  unsigned: 0,
  signedBytes: 0,
  tornBytes: 0,
};

/**
 * Reads the newest segment and holds it against the newest checkpoint; the older ones are `verifyLog`'s. Where entries
 * are missing or changed that a checkpoint vouches for, the chain goes on from the checkpoint in a new segment, so that
 * the gap can be seen for good. `mustExist`: this host had a log before. Throws `unavailable` AUDIT_UNREADABLE for a file that cannot be read.
 */
export async function findLog(directory: string, key: VerifyKey, mustExist = false): Promise<Found> {
  const segments = await listSegments(directory);
  const head = await reading(headPath(directory), () => findHead(directory));
  const genuine = typeof head !== "string" && key.vouches(head) ? head : undefined;
  const why = `head.json is ${typeof head === "string" ? head : "not signed by this host's key"}`;
  const newest = segments.at(-1);
  if (newest === undefined) {
    if (genuine === undefined && head !== "missing") return goOn(beginning, segments, why);
    if (genuine === undefined && mustExist) return goOn(beginning, segments, "the whole log is gone");
    if (genuine === undefined || genuine.sequence === 0) return nothingFound;
    return goOn(genuine, segments, `all entries up to ${genuine.sequence} are gone`);
  }
  const read = await reading(newest.path, () => readSegment(newest, genuine));
  const { point } = read;
  if (genuine === undefined && (head !== "missing" || point.sequence > 0)) return goOn(point, segments, why);
  const signed = genuine ?? beginning;
  if (read.bytes === 0)
    return goOn(signed, segments, `entries from ${newest.first} on are missing${read.why}`);
  if (read.mismatch) return goOn(signed, segments, `entry ${signed.sequence} or one before it was changed`);
  if (point.sequence < signed.sequence) {
    const damage = `entries ${point.sequence + 1} to ${signed.sequence} are missing${read.why}`;
    return goOn(signed, segments, damage);
  }
  const tornBytes = read.fileBytes - read.bytes;
  if (tornBytes > 0) await truncate(newest.path, read.bytes);
  return {
    point,
    goesOn: true,
    segments,
    unsigned: point.sequence - signed.sequence,
    signedBytes: read.signedBytes,
    tornBytes,
  };
}

const goOn = (point: ChainPoint, segments: readonly SegmentFile[], damage: string): Found => ({
  point: { sequence: point.sequence, hash: point.hash },
  goesOn: false,
  segments,
  unsigned: 0,
  signedBytes: 0,
  tornBytes: 0,
  damage,
});

interface ReadSegment {
  readonly point: ChainPoint;
  /** Good up to here. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** The entry that the checkpoint vouches for ends here. */
  readonly signedBytes: number;
  /** What is wrong with the first bad line, to be put behind a sentence. */
  readonly why: string;
  /** It is whole, and not what the checkpoint says. */
  readonly mismatch: boolean;
}

async function readSegment(segment: SegmentFile, head: Checkpoint | undefined): Promise<ReadSegment> {
  let point: ChainPoint = { sequence: segment.first - 1, hash: "" };
  let bytes = 0;
  let fileBytes = 0;
  let signedBytes = 0;
  let why = "";
  let mismatch = false;
  for await (const lines of linesOf(segment.path)) {
    for (const { text, number, end, whole } of lines) {
      fileBytes = end;
      if (why !== "") continue;
      if (number === 1) {
        const header = parseHeader(text);
        if (header === undefined || header.first !== segment.first) why = ": their segment has no beginning";
        else point = { sequence: header.first - 1, hash: header.previous };
      } else {
        const followed = whole ? follow(point, text) : "was not written to its end";
        if (typeof followed === "string") why = `: entry ${point.sequence + 1} ${followed}`;
        else point = { sequence: followed.sequence, hash: followed.hash };
      }
      if (why !== "") continue;
      bytes = end;
      if (head?.sequence !== point.sequence) continue;
      signedBytes = end;
      if (head.hash !== point.hash) mismatch = true;
    }
  }
  return { point, bytes, fileBytes, signedBytes, why, mismatch };
}
