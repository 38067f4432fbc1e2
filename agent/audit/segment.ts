import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import * as z from "../kernel/zod.ts";
import { replaceFile } from "../state/journal/durable-file.ts";
import { parseJson } from "../kernel/text/json.ts";
import { ifExists } from "../kernel/thrown.ts";

// The log is files of lines, each named for its first entry; the first line has the chain's point there.

const headerSchema = z.object({
  audit: z.literal(1),
  /** The sequence of its first entry. */
  first: z.number().int().min(1),
  /** The chain's previous hash. */
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  /** When it was begun: all entries of earlier segments are older. */
  time: z.string(),
});
type SegmentHeader = Readonly<z.output<typeof headerSchema>>;

export interface SegmentFile {
  readonly path: string;
  readonly name: string;
  readonly first: number;
}

const nameOf = (first: number): string => `audit-${String(first).padStart(12, "0")}.log`;

/** In order. A missing directory has none. */
export async function listSegments(directory: string): Promise<SegmentFile[]> {
  const names = await ifExists(readdir(directory));
  return (names ?? [])
    .filter((name) => /^audit-\d{12,}\.log$/.test(name))
    .map((name) => ({ path: join(directory, name), name, first: Number(name.slice(6, -4)) }))
    .sort((a, b) => a.first - b.first);
}

/** Creates a segment's file: after a crash it exists with its first line, or not at all. */
export async function createSegment(
  directory: string,
  header: Omit<SegmentHeader, "audit">,
): Promise<SegmentFile & { readonly bytes: number }> {
  const name = nameOf(header.first);
  const path = join(directory, name);
  const line = Buffer.from(`${JSON.stringify({ audit: 1, ...header })}\n`);
  await replaceFile(path, line);
  return { path, name, first: header.first, bytes: line.length };
}

/** Undefined for an invalid first line. */
export async function readHeader(path: string): Promise<SegmentHeader | undefined> {
  for await (const [line] of linesOf(path)) return line === undefined ? undefined : parseHeader(line.text);
  return undefined;
}

/** Undefined for an invalid header. */
export const parseHeader = (line: string): SegmentHeader | undefined =>
  headerSchema.safeParse(parseJson(line)).data;

interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** Positions of its first byte, and after its newline. */
  readonly offset: number;
  readonly end: number;
  /** False: the file ends without a newline. */
  readonly whole: boolean;
}

/** Maximum length of an entry, and of a stretch of an export; a longer line is invalid. */
const maxLineBytes = 4 * 1024 * 1024;

/** A file's lines from a position on, in chunks, with turns of the event loop in between. */
export async function* linesOf(
  path: string,
  from = 0,
  chunkBytes = 128 * 1024,
): AsyncGenerator<Line[], void, undefined> {
  const file = await open(path, "r");
  try {
    let rest = Buffer.alloc(0);
    let offset = from;
    let number = 0;
    const buffer = Buffer.allocUnsafe(chunkBytes);
    for (let position = from; ;) {
      const { bytesRead } = await file.read(buffer, 0, chunkBytes, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const lines: Line[] = [];
      let start = 0;
      for (let end; (end = bytes.indexOf(0x0a, start)) !== -1; start = end + 1) {
        const text = bytes.toString("utf8", start, end);
        number += 1;
        lines.push({ text, number, offset, end: (offset += end - start + 1), whole: true });
      }
      rest = bytes.subarray(start);
      if (rest.length > maxLineBytes) break;
      yield lines;
    }
    if (rest.length > 0) {
      const text = rest.toString("utf8", 0, maxLineBytes);
      yield [{ text, number: number + 1, offset, end: offset + rest.length, whole: false }];
    }
  } finally {
    await file.close();
  }
}
