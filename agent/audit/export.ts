import { createHash } from "node:crypto";
import * as z from "../kernel/zod.ts";
import { contentOf, linked, markIn, marked } from "./chain.ts";
import { parseCheckpoint, VerifyKey, type Checkpoint } from "./checkpoint.ts";
import { parseJson } from "../kernel/text/json.ts";
import { entryIn, type Entry } from "./entry.ts";
import type { ChainPoint, Followed } from "./follow.ts";
import { Marks } from "./mark.ts";
import { linesOf } from "./segment.ts";
import { defined } from "../kernel/defined.ts";

// A tenant's entries with their proof: a line of JSON that names the tenant, then a line for each stretch of the chain, in
// order. A stretch ends in a signed checkpoint. Other tenants' entries appear only as digests, which reveal nothing (each
// entry has a nonce), and as marks, which show the tenant that they are not its own. A stretch's beginning needs no
// signature: a forged one does not lead to its end.

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const headSchema = z.object({
  export: z.literal("socle-audit"),
  version: z.literal(2),
  tenant: z.string(),
  publicKey: z.string(),
  /** Reveals the tenant's marks (mark.ts), base64; absent: exported without the host's key. */
  proof: z.string().optional(),
});

const stretchSchema = z.object({
  after: z.object({ sequence: z.number().int().min(0), hash }),
  entries: z.array(
    z.union([
      z.object({ json: z.string() }),
      // Entries older than marks have none.
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

/** A stretch without the tenant's entries spans checkpoints up to this many entries. */
const stretchEntries = 5000;

/** Writes an export from a log's entries, given in order and without a gap. */
export class TenantExport {
  readonly #tenant: string;
  readonly #write: (line: string) => void;
  #after: ChainPoint | undefined;
  #entries: Stretch["entries"] = [];
  /** The newest checkpoint that the stretch could end in, and the number of its entries before that. */
  #end: { readonly until: Checkpoint; readonly at: number; readonly next: ChainPoint } | undefined;
  #own = 0;
  /** Entries written. */
  written = 0;
  /** The tenant's newest entries that no checkpoint covers yet: they are left out. */
  get unsigned(): number {
    return this.#own;
  }

  /** `proof`: `AuditKey.proofOf` the tenant; without it the export cannot prove that it is complete. */
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

  /** `before`: the chain's previous point. An export cannot hide that an entry was left out. */
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

  /** Writes what a checkpoint covers. Call it after the last entry. */
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
  /** The checked part of the chain, of all tenants. */
  readonly first: number;
  readonly last: number;
  /** Why it may lack entries of the tenant; absent: it is complete. */
  readonly incomplete?: string;
  /** Identifies the tenant's marks: equal in all exports of one host. */
  readonly marks?: string;
  readonly problem?: { readonly line: number; readonly what: string };
}

export interface VerifyExportOptions {
  readonly key: VerifyKey;
  /** Checkpoints kept elsewhere: the export must match them, and reach as far. */
  readonly anchors?: readonly Checkpoint[];
  readonly onEntry?: (entry: Entry) => void;
}

/** The export's own key, to be compared with the host's fingerprint; undefined for an invalid export. */
export async function keyOfExport(path: string): Promise<VerifyKey | undefined> {
  for await (const [line] of linesOf(path)) {
    const head = line === undefined ? undefined : parse(headSchema, line.text);
    return head === undefined ? undefined : VerifyKey.fromPem(head.publicKey);
  }
  return undefined;
}

/** Verifies an export without the log. Throws the file system's errors. */
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
      return `the tenant of ${this.#unmarked} older entries is unknown: they have no mark`;
    if (this.#first === undefined) return "it holds nothing of the chain";
    const last = this.#point?.sequence ?? 0;
    const kept = Math.max(0, ...this.#anchors.keys());
    return last < kept ? `it ends with entry ${last}, and there is a checkpoint of entry ${kept}` : undefined;
  }

  /** A stretch's entries, or why they are not genuine. */
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
        return `entry ${sequence} or one before it does not match the checkpoint kept elsewhere`;
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
      return `entries ${after.sequence + 1} to ${point.sequence} do not match the signed checkpoint`;
    this.#first ??= after.sequence + 1;
    this.#point = point;
    this.#entries += own.length;
    this.#withheld += withheld;
    this.#unmarked += unmarked;
    if (isGap) this.#gaps += 1;
    return own;
  }

  #entry(json: string, sequence: number): Entry | string {
    const entry = entryIn(json);
    if (entry === undefined) return `entry ${sequence} is not readable`;
    if (entry.sequence === sequence && entry.tenant === this.#tenant) return entry;
    return `entry ${sequence} states that it is ${entry.sequence}, of ${entry.tenant ?? "no tenant"}`;
  }
}

const parse = <T>(schema: z.ZodType<T>, text: string): T | undefined =>
  schema.safeParse(parseJson(text)).data;
