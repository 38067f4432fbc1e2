import { createHash } from "node:crypto";
import * as z from "zod";
import { contentOf, linked, markIn, marked } from "./chain.ts";
import { parseCheckpoint, VerifyKey, type Checkpoint } from "./checkpoint.ts";
import { decodeEntry, type Entry } from "./entry.ts";
import type { ChainPoint, Followed } from "./follow.ts";
import { Marks } from "./mark.ts";
import { linesOf } from "./segment.ts";
import { defined } from "../kernel/defined.ts";

// A tenant's entries with what proves them: a line of JSON that says whose they are, then a line for each stretch of the
// chain, one behind the other. A stretch ends in a signed checkpoint. Of others' entries it has digests alone, which say
// nothing (each entry has a nonce), and marks, by which the tenant sees that they are not its own. Where the first stretch
// begins needs no signature: nobody can make up a beginning that leads to its end.

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const headSchema = z.object({
  export: z.literal("socle-audit"),
  version: z.literal(2),
  tenant: z.string(),
  publicKey: z.string(),
  /** By which the tenant's marks are known (mark.ts), base64; absent: made where the host's key is not. */
  proof: z.string().optional(),
});

const stretchSchema = z.object({
  after: z.object({ sequence: z.number().int().min(0), hash }),
  entries: z.array(
    z.union([
      z.object({ json: z.string() }),
      // Entries of before there were marks have none.
      z.object({
        digest: hash,
        mark: z
          .string()
          .regex(/^[0-9a-f]{32}$/)
          .optional(),
      }),
    ]),
  ),
  until: z.unknown(),
});
type Stretch = z.output<typeof stretchSchema>;

/** A stretch without an entry of the tenant's goes on over checkpoints up to so many entries. */
const stretchEntries = 5000;

/** Makes the lines of an export out of a log's entries, given in their order and without a gap. */
export class TenantExport {
  readonly #tenant: string;
  readonly #write: (line: string) => void;
  #after: ChainPoint | undefined;
  #entries: Stretch["entries"] = [];
  /** The newest checkpoint that the stretch could end in, and before which of its entries. */
  #end: { readonly until: Checkpoint; readonly at: number; readonly next: ChainPoint } | undefined;
  #own = 0;
  /** Entries that were written. */
  written = 0;
  /** The tenant's newest entries that no checkpoint vouches for yet: they are left out. */
  get unsigned(): number {
    return this.#own;
  }

  /** `proof`: `AuditKey.proofOf` the tenant; without it the export cannot show that it is complete. */
  constructor(
    tenant: string,
    { key, proof }: { key: VerifyKey; proof: Buffer | undefined },
    write: (line: string) => void,
  ) {
    this.#tenant = tenant;
    this.#write = write;
    const head: z.output<typeof headSchema> = defined({
      export: "socle-audit",
      version: 2,
      tenant,
      publicKey: key.pem,
      proof: proof === undefined ? undefined : proof.toString("base64"),
    });
    write(JSON.stringify(head));
  }

  /** `before`: where the chain stood. One that is not wanted is left out, which the export cannot hide. */
  add(before: ChainPoint, { entry, json, digest }: Followed, isWanted: boolean): void {
    this.#after ??= { sequence: before.sequence, hash: before.hash };
    const until = entry.act === "checkpoint" ? parseCheckpoint(entry.details) : undefined;
    if (until !== undefined && this.#entries.length > 0) {
      const next = { sequence: before.sequence, hash: before.hash };
      this.#end = { until, at: this.#entries.length, next };
      if (this.#own > 0 || this.#entries.length >= stretchEntries) this.finish();
    }
    const isOwn = isWanted && entry.tenant === this.#tenant;
    if (isOwn) this.#own += 1;
    const { mark } = entry;
    this.#entries.push(isOwn ? { json } : defined({ digest, mark }));
  }

  /** Writes what a checkpoint vouches for. To be called behind the last entry. */
  finish(): void {
    if (this.#end === undefined) return;
    const { until, at, next } = this.#end;
    const entries = this.#entries.splice(0, at);
    this.#write(JSON.stringify({ after: this.#after, entries, until }));
    const own = entries.filter((item) => "json" in item).length;
    this.written += own;
    this.#own -= own;
    this.#after = next;
    this.#end = undefined;
  }
}

export interface ExportReport {
  readonly tenant: string;
  readonly entries: number;
  /** Of the chain: these were looked at, the tenant's and others'. */
  readonly first: number;
  readonly last: number;
  /** Why it is not known to hold all of the tenant's entries among them; absent: it does. */
  readonly incomplete?: string;
  /** Names the tenant's marks: the same in each export of one host. */
  readonly marks?: string;
  readonly problem?: { readonly line: number; readonly what: string };
}

export interface VerifyExportOptions {
  readonly key: VerifyKey;
  /** Checkpoints that were kept elsewhere: what they say must be so, and the export reach as far. */
  readonly anchors?: readonly Checkpoint[];
  readonly onEntry?: (entry: Entry) => void;
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
export async function verifyExport(path: string, options: VerifyExportOptions): Promise<ExportReport> {
  const { onEntry } = options;
  let check: ExportCheck | undefined;
  for await (const lines of linesOf(path)) {
    for (const { text, number: line } of lines) {
      if (check === undefined) {
        const head = parse(headSchema, text);
        if (head === undefined) return nothing({ line, what: "this is not an export of an audit log" });
        check = new ExportCheck(head, options);
        continue;
      }
      const stretch = parse(stretchSchema, text);
      const found = stretch === undefined ? "the line was damaged" : check.stretch(stretch);
      if (typeof found === "string") return { ...check.report, problem: { line, what: found } };
      for (const entry of found) onEntry?.(entry);
    }
  }
  return check?.report ?? nothing({ line: 1, what: "the file is empty" });
}

const nothing = (problem: ExportReport["problem"] & object): ExportReport => ({
  tenant: "",
  entries: 0,
  first: 0,
  last: 0,
  problem,
});

class ExportCheck {
  readonly #key: VerifyKey;
  readonly #anchors: ReadonlyMap<number, Checkpoint>;
  readonly #tenant: string;
  readonly #marks: Marks | undefined;
  readonly #fingerprint: string | undefined;
  #first: number | undefined;
  #point: ChainPoint | undefined;
  #entries = 0;
  #withheld = 0;
  #unmarked = 0;
  #gaps = 0;

  constructor({ tenant, proof }: z.output<typeof headSchema>, { key, anchors = [] }: VerifyExportOptions) {
    this.#key = key;
    this.#anchors = new Map(anchors.map((anchor) => [anchor.sequence, anchor]));
    this.#tenant = tenant;
    const bytes = Buffer.from(proof ?? "", "base64");
    if (!key.proves(tenant, bytes)) return;
    this.#marks = new Marks(bytes);
    this.#fingerprint = createHash("sha256").update("marks\n").update(bytes).digest("hex").slice(0, 32);
  }

  get report(): ExportReport {
    const incomplete = this.#incomplete();
    return defined({
      tenant: this.#tenant,
      entries: this.#entries,
      first: this.#first ?? 0,
      last: this.#point?.sequence ?? 0,
      marks: this.#fingerprint,
      incomplete,
    });
  }

  #incomplete(): string | undefined {
    if (this.#marks === undefined)
      return "it has no proof of this tenant's marks that the key signed: export it on the host";
    if (this.#withheld > 0) return `${this.#withheld} more of this tenant's entries were left out`;
    if (this.#gaps > 0) return "stretches of the chain were left out";
    if (this.#unmarked > 0)
      return `whose ${this.#unmarked} older entries are cannot be told: they have no mark`;
    if (this.#first === undefined) return "it holds nothing of the chain";
    const last = this.#point?.sequence ?? 0;
    const kept = Math.max(0, ...this.#anchors.keys());
    return last < kept ? `it ends with entry ${last}, and there is a checkpoint of entry ${kept}` : undefined;
  }

  /** A stretch's entries, or in words why they are not to be believed. */
  stretch({ after, entries, until: signed }: Stretch): Entry[] | string {
    const until = parseCheckpoint(signed);
    if (until === undefined || !this.#key.vouches(until)) return "its checkpoint is not signed by this key";
    const before = this.#point;
    if (before !== undefined && after.sequence < before.sequence) return "it stands before the line above it";
    if (before?.sequence === after.sequence && before.hash !== after.hash)
      return "it does not go on from the line above it";
    const isGap = before !== undefined && after.sequence > before.sequence;
    let point: ChainPoint = after;
    const own: Entry[] = [];
    let withheld = 0;
    let unmarked = 0;
    for (const item of entries) {
      const sequence = point.sequence + 1;
      const content = "json" in item ? contentOf(item.json) : item.digest;
      const mark = "json" in item ? markIn(item.json) : item.mark;
      point = { sequence, hash: linked(point.hash, marked(mark, content)) };
      const anchor = this.#anchors.get(sequence);
      if (anchor !== undefined && (!this.#key.vouches(anchor) || anchor.hash !== point.hash))
        return `entry ${sequence} or one before it is not what the checkpoint that was kept says`;
      const isMarkedOwn = mark !== undefined && mark === this.#marks?.of(sequence);
      if (!("json" in item)) {
        if (mark === undefined) unmarked += 1;
        else if (isMarkedOwn) withheld += 1;
        continue;
      }
      const entry = this.#entry(item.json, sequence);
      if (typeof entry === "string") return entry;
      if (mark !== undefined && this.#marks !== undefined && !isMarkedOwn)
        return `entry ${sequence} does not have this tenant's mark: the marks' proof is not the one it was made with`;
      own.push(entry);
    }
    if (until.sequence !== point.sequence || until.hash !== point.hash)
      return `entries ${after.sequence + 1} to ${point.sequence} are not what the signed checkpoint says`;
    this.#first ??= after.sequence + 1;
    this.#point = point;
    this.#entries += own.length;
    this.#withheld += withheld;
    this.#unmarked += unmarked;
    if (isGap) this.#gaps += 1;
    return own;
  }

  #entry(json: string, sequence: number): Entry | string {
    let entry: Entry;
    try {
      entry = decodeEntry(json);
    } catch {
      return `entry ${sequence} is not readable`;
    }
    if (entry.sequence === sequence && entry.tenant === this.#tenant) return entry;
    return `entry ${sequence} says that it is ${entry.sequence}, of ${entry.tenant ?? "nobody"}`;
  }
}

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
