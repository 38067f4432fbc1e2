import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { corrupt } from "./refusals.ts";

// A journal is lines of `CRC32 SYNCED JSON`. CRC32 (8 hex digits) covers everything after it. SYNCED is the number of bytes
// of the file that were on the disk for certain when the line was written. It distinguishes a torn write (all damage is
// behind the last sync, where no record was acknowledged) from a damaged disk (an acknowledged record).

export const maxRecordBytes = 4 * 1024 * 1024;
const maxLineBytes = maxRecordBytes + 32;
const chunkBytes = 256 * 1024;
const newline = 0x0a;
const linePattern = /[0-9a-f]{8} (?:0|[1-9][0-9]{0,14}) [[{]/g;

export function encodeLine(json: string, syncedBytes: number): Buffer {
  const payload = `${syncedBytes} ${json}`;
  return Buffer.from(`${crc32(payload).toString(16).padStart(8, "0")} ${payload}\n`);
}

/** The records that may be whole in the first `bytes` of their write. */
export function wholeWithin<T extends { readonly json: string }>(bytes: number, records: readonly T[]): T[] {
  let leastBytes = 0;
  return records.filter(({ json }) => (leastBytes += Buffer.byteLength(json)) <= bytes);
}

interface Line {
  readonly syncedBytes: number;
  readonly record: unknown;
}

/** A line without its newline; undefined unless it is exactly what encodeLine wrote. */
export function decodeLine(line: Buffer): Line | undefined {
  if (line.length < 12 || line.length > maxLineBytes || line[8] !== 0x20) return undefined;
  const payload = line.subarray(9);
  if (crc32(payload).toString(16).padStart(8, "0") !== line.toString("latin1", 0, 8)) return undefined;
  const space = payload.indexOf(0x20);
  const syncedBytes = Number(payload.toString("latin1", 0, space));
  if (space < 1 || !Number.isSafeInteger(syncedBytes)) return undefined;
  try {
    return { syncedBytes, record: JSON.parse(payload.toString("utf8", space + 1)) };
  } catch {
    return undefined;
  }
}

interface Replayed {
  readonly records: number;
  /** The file is valid up to here. */
  readonly goodBytes: number;
  readonly fileBytes: number;
  /** The part of it that was on the disk for certain. */
  readonly syncedBytes: number;
}

/**
 * Passes every record to `onRecord` in order and returns the end of the valid part. Throws `internal` JOURNAL_CORRUPT
 * if a record is damaged that must have been on the disk: acknowledged records would be missing.
 */
export async function replayLines(
  path: string,
  kind: string,
  file: FileHandle,
  onRecord: (record: unknown) => void,
): Promise<Replayed> {
  let records = 0;
  let goodBytes = 0;
  let fileBytes = 0;
  let syncedBytes = 0;
  let bad: { record: number; offset: number } | undefined;
  for await (const chunk of chunksOfLines(file)) {
    for (const { bytes, offset, length, ended } of chunk) {
      fileBytes = offset + length + (ended ? 1 : 0);
      const line = ended ? decodeLine(bytes) : undefined;
      if (bad === undefined && line !== undefined && line.syncedBytes <= offset) {
        onRecord(line.record);
        syncedBytes = line.syncedBytes;
        records += 1;
        goodBytes = fileBytes;
        continue;
      }
      bad ??= { record: records + 1, offset };
      const later = line ?? (ended ? lineInside(bytes) : undefined);
      if (bad.record === 1 || (later !== undefined && later.syncedBytes > bad.offset))
        throw corrupt(path, kind, bad.record, bad.offset);
    }
  }
  if (records === 0) throw corrupt(path, kind, 1, 0);
  return { records, goodBytes, fileBytes, syncedBytes };
}

/** A whole line behind damage that covers the newline before it. */
function lineInside(bytes: Buffer): Line | undefined {
  const text = bytes.toString("latin1");
  let tries = 0;
  for (const match of text.matchAll(linePattern)) {
    const line = decodeLine(bytes.subarray(match.index));
    if (line !== undefined) return line;
    if ((tries += 1) === 64) return undefined;
  }
  return undefined;
}

interface RawLine {
  /** Empty if the line is longer than any record. */
  readonly bytes: Buffer;
  readonly offset: number;
  readonly length: number;
  /** False: the file ends without a newline. */
  readonly ended: boolean;
}

async function* chunksOfLines(file: FileHandle): AsyncGenerator<RawLine[]> {
  let parts: Buffer[] = [];
  let offset = 0;
  let length = 0;
  let position = 0;
  let buffer = Buffer.allocUnsafe(chunkBytes);
  const take = (part: Buffer): void => {
    length += part.length;
    if (length <= maxLineBytes) parts.push(part);
    else parts = [];
  };
  const line = (ended: boolean): RawLine => {
    const whole = { bytes: Buffer.concat(parts), offset, length, ended };
    offset += length + 1;
    length = 0;
    parts = [];
    return whole;
  };
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    const lines: RawLine[] = [];
    let start = 0;
    for (let end; (end = chunk.indexOf(newline, start)) !== -1; start = end + 1) {
      take(chunk.subarray(start, end));
      lines.push(line(true));
    }
    if (start < bytesRead) {
      take(chunk.subarray(start));
      // `parts` refers to the old one until the line is whole.
      buffer = Buffer.allocUnsafe(chunkBytes);
    }
    yield lines;
  }
  if (length > 0) yield [line(false)];
}

/** A record that only states that all before it is on the disk. */
export const seal = JSON.stringify({ sealed: true });
/** Needs blocks of its own: a seal that fits into the rest of the last block proves no free space. */
export const roomySeal = JSON.stringify({ sealed: true, room: "-".repeat(16 * 1024) });
export const isSeal = (record: unknown): boolean =>
  typeof record === "object" && record !== null && "sealed" in record;
