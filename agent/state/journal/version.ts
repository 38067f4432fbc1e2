import { open, readFile } from "node:fs/promises";
import { AppendFile } from "./append-file.ts";
import { replaceFile } from "./durable-file.ts";
import { encodeLine } from "./format.ts";
import { wrongVersion } from "./refusals.ts";

// Version 2 has the lines of version 1. The number keeps Socle 0.1.0, which reads only version 1, from replaying records
// that it would handle wrongly.

const currentVersion = 2;
const readVersions = [1, currentVersion];

/** A journal's first record. It has the same length in all versions: later lines' offsets stay valid after a rewrite. */
export const header = (kind: string, version = currentVersion): string =>
  JSON.stringify({ journal: kind, version });

/**
 * Whether an earlier version wrote the file that begins with `record`. Throws JOURNAL_VERSION for an unsupported
 * version.
 */
export function isOutdated(path: string, kind: string, record: unknown): boolean {
  const written = JSON.stringify(record);
  const version = readVersions.find((one) => written === header(kind, one));
  if (version === undefined) throw wrongVersion(path, kind, currentVersion, record);
  return version !== currentVersion;
}

/** Replaces the file by one with the same records and the current header, and opens it. Throws what replaceFile throws. */
export async function rewriteAsCurrent(path: string, kind: string, length: number): Promise<AppendFile> {
  const bytes = (await readFile(path)).subarray(0, length);
  encodeLine(header(kind), 0).copy(bytes);
  await replaceFile(path, bytes);
  return new AppendFile(path, await open(path, "r+"), length);
}
