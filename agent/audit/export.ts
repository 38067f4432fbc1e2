import * as z from "zod";
import { digestOf, linked } from "./chain.ts";
import { parseCheckpoint, VerifyKey, type Checkpoint } from "./checkpoint.ts";
import { decodeEntry, type Entry } from "./entry.ts";
import type { ChainPoint, Followed } from "./follow.ts";
import { linesOf } from "./segment.ts";

// A tenant's entries with what proves them: a line of JSON that says whose they are, then a line for each stretch of the
// chain that has some. A stretch ends in a signed checkpoint. Of others' entries it has digests alone, which say nothing:
// each entry has a nonce. Where a stretch begins needs no signature: nobody can make up a beginning that leads to its end.

const headSchema = z.object({
  export: z.literal("socle-audit"),
  version: z.literal(1),
  tenant: z.string(),
  publicKey: z.string(),
});

const stretchSchema = z.object({
  after: z.object({ sequence: z.number().int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) }),
  entries: z.array(
    z.union([z.object({ json: z.string() }), z.object({ digest: z.string().regex(/^[0-9a-f]{64}$/) })]),
  ),
  until: z.unknown(),
});
type Stretch = z.output<typeof stretchSchema>;

/** Makes the lines of an export out of a log's entries, given in their order. */
export class TenantExport {
  readonly #tenant: string;
  readonly #write: (line: string) => void;
  #after: ChainPoint | undefined;
  #entries: Stretch["entries"] = [];
  #own = 0;
  /** Entries that were written. */
  written = 0;
  /** The tenant's newest entries that no checkpoint vouches for yet: they are left out. */
  get unsigned(): number {
    return this.#own;
  }

  constructor(tenant: string, key: VerifyKey, write: (line: string) => void) {
    this.#tenant = tenant;
    this.#write = write;
    const head: z.output<typeof headSchema> = {
      export: "socle-audit",
      version: 1,
      tenant,
      publicKey: key.pem,
    };
    write(JSON.stringify(head));
  }

  /** `before`: where the chain stood. */
  add(before: ChainPoint, { entry, json, digest }: Followed, isWanted: boolean): void {
    const checkpoint = entry.act === "checkpoint" ? parseCheckpoint(entry.details) : undefined;
    if (checkpoint !== undefined) {
      this.#end(checkpoint);
      this.#after = { sequence: before.sequence, hash: before.hash };
    }
    this.#after ??= { sequence: before.sequence, hash: before.hash };
    const isOwn = isWanted && entry.tenant === this.#tenant;
    if (isOwn) this.#own += 1;
    this.#entries.push(isOwn ? { json } : { digest });
  }

  #end(until: Checkpoint): void {
    if (this.#own > 0) this.#write(JSON.stringify({ after: this.#after, entries: this.#entries, until }));
    this.written += this.#own;
    this.#own = 0;
    this.#entries = [];
  }
}

export interface ExportReport {
  readonly tenant: string;
  readonly entries: number;
  readonly problem?: { readonly line: number; readonly what: string };
}

/** The export's own key, to be compared with the host's by its fingerprint; undefined for what is no export. */
export async function keyOfExport(path: string): Promise<VerifyKey | undefined> {
  for await (const [line] of linesOf(path)) {
    const head = line === undefined ? undefined : parse(headSchema, line.text);
    return head === undefined ? undefined : VerifyKey.fromPem(head.publicKey);
  }
  return undefined;
}

/** Checks an export by itself, without the log. Throws the file system's errors. */
export async function verifyExport(
  path: string,
  key: VerifyKey,
  onEntry?: (entry: Entry) => void,
): Promise<ExportReport> {
  let tenant: string | undefined;
  let entries = 0;
  let last = 0;
  for await (const lines of linesOf(path)) {
    for (const { text, number } of lines) {
      const bad = (what: string): ExportReport => ({
        tenant: tenant ?? "",
        entries,
        problem: { line: number, what },
      });
      if (tenant === undefined) {
        tenant = parse(headSchema, text)?.tenant;
        if (tenant === undefined) return bad("this is no export of an audit log");
        continue;
      }
      const stretch = parse(stretchSchema, text);
      if (stretch === undefined) return bad("the line was damaged");
      const found = entriesOf(stretch, key, tenant, last);
      if (typeof found === "string") return bad(found);
      for (const entry of found) onEntry?.(entry);
      entries += found.length;
      last = stretch.after.sequence + stretch.entries.length;
    }
  }
  if (tenant === undefined) return { tenant: "", entries, problem: { line: 1, what: "the file is empty" } };
  return { tenant, entries };
}

/** A stretch's entries, or in words why they are not to be believed. */
function entriesOf(stretch: Stretch, key: VerifyKey, tenant: string, last: number): Entry[] | string {
  const until = parseCheckpoint(stretch.until);
  if (until === undefined || !key.vouches(until)) return "its checkpoint is not signed by this key";
  if (stretch.after.sequence < last) return "it stands before the line above it";
  let { sequence, hash } = stretch.after;
  const entries: Entry[] = [];
  for (const item of stretch.entries) {
    sequence += 1;
    hash = linked(hash, "json" in item ? digestOf(item.json) : item.digest);
    if (!("json" in item)) continue;
    let entry: Entry;
    try {
      entry = decodeEntry(item.json);
    } catch {
      return `entry ${sequence} is not readable`;
    }
    if (entry.sequence !== sequence || entry.tenant !== tenant)
      return `entry ${sequence} says that it is ${entry.sequence}, of ${entry.tenant ?? "nobody"}`;
    entries.push(entry);
  }
  if (until.sequence !== sequence || until.hash !== hash)
    return `entries ${stretch.after.sequence + 1} to ${sequence} are not what the signed checkpoint says`;
  return entries;
}

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
