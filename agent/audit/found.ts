import { truncate } from "node:fs/promises";
import { findHead, headPath, type Checkpoint, type VerifyKey } from "./checkpoint.ts";
import { beginning, follow, type ChainPoint } from "./follow.ts";
import { reading } from "./refusals.ts";
import { linesOf, listSegments, parseHeader, type SegmentFile } from "./segment.ts";

/** The log's state at a start. */
export interface Found {
  readonly point: ChainPoint;
  /** Bytes of the newest segment; else a new one is begun. */
  readonly goesOn: boolean;
  readonly segments: readonly SegmentFile[];
  /** Entries that no checkpoint covers yet. */
  readonly unsigned: number;
  /** Durable bytes of the newest segment. */
  readonly signedBytes: number;
  /** A torn entry that was never acknowledged; it has been cut off. */
  readonly tornBytes: number;
  /** What is missing or wrong. The files stay unchanged. */
  readonly damage?: string;
}

/** For a new log, or an unreadable one. */
export const nothingFound: Found = {
  point: beginning,
  goesOn: false,
  segments: [],
  unsigned: 0,
  signedBytes: 0,
  tornBytes: 0,
};

/**
 * Reads the newest segment and compares it with the newest checkpoint; `verifyLog` checks the older ones. Where covered
 * entries are missing or changed, the chain continues from the checkpoint in a new segment, which keeps the gap visible.
 * `mustExist`: this host had a log before. Throws `unavailable` AUDIT_UNREADABLE for a file that cannot be read.
 */
export async function findLog(directory: string, key: VerifyKey, mustExist: boolean): Promise<Found> {
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

const goOn = ({ sequence, hash }: ChainPoint, segments: readonly SegmentFile[], damage: string): Found => ({
  ...nothingFound,
  point: { sequence, hash },
  segments,
  damage,
});

interface ReadSegment {
  readonly point: ChainPoint;
  /** The last good point. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** The end of the entry that the checkpoint covers. */
  readonly signedBytes: number;
  /** The fault of the first bad line, to be appended to a sentence. */
  readonly why: string;
  /** It is complete, and differs from the checkpoint. */
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
