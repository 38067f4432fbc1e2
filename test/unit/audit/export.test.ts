import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  AuditKey,
  TenantExport,
  verifyExport,
  verifyLog,
  readHead,
  type Entry,
  type ExportReport,
  type VerifyExportOptions,
} from "../../../agent/audit/index.ts";
import { contentOf, encodeLink, genesis, linked } from "../../../agent/audit/chain.ts";
import { writeHead } from "../../../agent/audit/checkpoint.ts";
import { folder } from "../../support/state/folder.ts";
import { auditLog, keyOf, started } from "../../support/audit/log-of.ts";

const time = new Date(0).toISOString();

type Item = { json: string } | { digest: string; mark?: string };
interface Stretch {
  after: { sequence: number; hash: string };
  entries: Item[];
  until: unknown;
}

interface Selection {
  readonly tenant?: string;
  readonly isWanted?: (entry: Entry) => boolean;
  readonly from?: number;
  /** Whose proof of the marks is included; null: none. */
  readonly proofOf?: string | null;
}

/** 60 acts, every third of the tenant red, in several segments; red's export. */
async function exported(t: TestContext) {
  const directory = await folder(t);
  const { log } = await auditLog(directory, { segmentBytes: 4000 });
  for (let i = 1; i <= 60; i += 1) await log.record(started(i % 3 === 0 ? `red-${i}` : `blue-${i}`));
  await log.close();
  const key = await keyOf(directory);
  const own = await AuditKey.open(directory);
  const take = async ({
    tenant = "red",
    isWanted = () => true,
    from = 1,
    proofOf = tenant,
  }: Selection = {}) => {
    const lines: string[] = [];
    const proof = proofOf === null ? undefined : own.proofOf(proofOf);
    const out = new TenantExport(tenant, { key, proof }, (line) => lines.push(line));
    await verifyLog(directory, {
      key,
      onEntry: (followed, before) => {
        if (followed.sequence >= from) out.add(before, followed, isWanted(followed.entry));
      },
    });
    out.finish();
    return { lines, out };
  };
  const path = join(directory, "red.jsonl");
  const check = async (
    lines: readonly string[],
    options: Partial<VerifyExportOptions> = {},
  ): Promise<ExportReport> => {
    await writeFile(path, lines.map((line) => `${line}\n`).join(""));
    return await verifyExport(path, { key, ...options });
  };
  return { directory, path, take, check };
}

/** An export's lines, with this change to its stretches. */
const changed = ([head = "", ...lines]: readonly string[], change: (stretch: Stretch) => void): string[] => [
  head,
  ...lines.map((line) => {
    const stretch = JSON.parse(line) as Stretch;
    change(stretch);
    return JSON.stringify(stretch);
  }),
];

test("an export verifies by itself, and holds all entries of one tenant and no other", async (t) => {
  const { path, take, check } = await exported(t);
  const { lines, out } = await take();
  const entries: Entry[] = [];
  const report = await check(lines, { onEntry: (entry) => entries.push(entry) });
  const { marks, ...found } = report;
  assert.deepEqual(found, { tenant: "red", entries: 20, first: 1, last: found.last });
  assert.match(marks ?? "", /^[0-9a-f]{32}$/);
  assert.ok(found.last >= 60);
  assert.equal(out.written, 20);
  assert.equal(out.unsigned, 0);
  assert.deepEqual(
    entries.map(({ vm }) => vm),
    Array.from({ length: 20 }, (_, i) => `red-${3 * i + 3}`),
  );
  assert.ok(!(await readFile(path, "utf8")).includes("blue"));
  const later = await check((await take({ from: 31 })).lines);
  assert.deepEqual([later.first, later.incomplete, later.marks], [31, undefined, marks]);
  const empty = await check((await take({ tenant: "green" })).lines);
  assert.deepEqual([empty.entries, empty.incomplete], [0, undefined], "the absence of entries is proven too");
});

test("an export with any change does not verify", async (t) => {
  const { path, take, check } = await exported(t);
  const { lines } = await take();
  const [head = "", first = "", second = ""] = lines;
  const forgeries: Record<string, readonly string[]> = {
    "an edited entry": [head, first.replace("red-3", "red-4")],
    "an entry taken out": [head, first.replace(/\{"json":.*?"\},/, "")],
    "another's entry taken out": [head, first.replace(/\{"digest":.*?"\},/, "")],
    "stretches that change places": [head, second, first],
    "a stretch that stands twice": [head, first, first],
    "another tenant's name on it": [head.replace("red", "blue"), first],
    "a damaged line": [head, first.slice(0, -5)],
    "no head": [first],
    "another mark on one of another's": changed(lines, ({ entries }) => {
      for (const item of entries) if ("digest" in item) item.mark = "0".repeat(32);
    }),
  };
  for (const [what, forged] of Object.entries(forgeries)) assert.ok((await check(forged)).problem, what);
  const other = await folder(t);
  await (await auditLog(other)).log.close();
  await check(lines);
  assert.match(
    (await verifyExport(path, { key: await keyOf(other) })).problem?.what ?? "",
    /not signed by this key/,
  );
});

test("an export without one of the tenant's entries is incomplete, in every disguise", async (t) => {
  const { directory, take, check } = await exported(t);
  const { lines } = await take();
  const hide = (withMark: boolean): string[] =>
    changed(lines, (stretch) => {
      stretch.entries = stretch.entries.map((item) => {
        if (!("json" in item) || !item.json.includes("red-33")) return item;
        const { mark = "" } = JSON.parse(item.json) as Entry;
        return { digest: contentOf(item.json), ...(withMark ? { mark } : {}) };
      });
    });
  const asAnothers = await check(hide(true));
  assert.equal(asAnothers.problem, undefined, "the chain is complete");
  assert.equal(asAnothers.entries, 19);
  assert.match(asAnothers.incomplete ?? "", /^1 more of this tenant's entries were left out$/);
  assert.ok((await check(hide(false))).problem, "without its mark it does not match the chain");

  const filtered = await check((await take({ isWanted: ({ vm }) => vm === "red-3" })).lines);
  assert.deepEqual([filtered.entries, filtered.incomplete?.slice(0, 7)], [1, "19 more"]);
  const gap = await check(lines.toSpliced(2, 1));
  assert.match(gap.incomplete ?? "", /stretches of the chain were left out/);
  const head = await readHead(directory);
  const anchors = head === undefined ? [] : [head];
  assert.equal((await check(lines, { anchors })).incomplete, undefined);
  const short = await check(lines.slice(0, -1), { anchors });
  assert.match(short.incomplete ?? "", /^it ends with entry \d+, and there is a checkpoint of entry \d+$/);
  const rewritten = anchors.map((anchor) => ({ ...anchor, hash: "0".repeat(64) }));
  assert.match((await check(lines, { anchors: rewritten })).problem?.what ?? "", /checkpoint kept elsewhere/);
});

test("only the host's key proves the owner of a mark", async (t) => {
  const { take, check } = await exported(t);
  const none = await check((await take({ proofOf: null })).lines);
  assert.equal(none.problem, undefined);
  assert.match(none.incomplete ?? "", /no proof of this tenant's marks/);
  const anothers = await check((await take({ proofOf: "blue" })).lines);
  assert.match(anothers.incomplete ?? "", /no proof/, "blue's proof shows nothing of red");
  const red = (await take()).lines;
  const blue = (await take({ tenant: "blue" })).lines;
  assert.notEqual((await check(red)).marks, (await check(blue)).marks);
  // What red receives of blue's entries: neither two of them nor one and its tenant can be linked.
  const marks = red
    .slice(1)
    .flatMap((line) => (JSON.parse(line) as Stretch).entries)
    .flatMap((item) => ("digest" in item ? [item.mark ?? ""] : []));
  assert.equal(new Set(marks).size, marks.length);
});

test("a log from before marks goes on, and its export reports the entries with an unknown tenant", async (t) => {
  const directory = await folder(t);
  const key = await AuditKey.open(directory);
  let [hash, text] = [genesis, `${JSON.stringify({ audit: 1, first: 1, previous: genesis, time })}\n`];
  for (let sequence = 1; sequence <= 3; sequence += 1) {
    const json = JSON.stringify({ sequence, time, nonce: "n", act: "agent_started", tenant: "blue" });
    hash = linked(hash, contentOf(json));
    text += encodeLink({ hash, json });
  }
  await writeFile(join(directory, "audit-000000000001.log"), text);
  await writeHead(directory, key.sign(3, hash, 0));
  const { log } = await auditLog(directory);
  assert.equal(log.state.damage, undefined);
  await log.record(started("red-1"));
  await log.close();
  assert.equal((await verifyLog(directory, { key: key.public })).problem, undefined);
  const lines: string[] = [];
  const proof = key.proofOf("red");
  const out = new TenantExport("red", { key: key.public, proof }, (line) => lines.push(line));
  await verifyLog(directory, {
    key: key.public,
    onEntry: (followed, before) => out.add(before, followed, true),
  });
  out.finish();
  const path = join(directory, "red.jsonl");
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  const { entries, problem, incomplete } = await verifyExport(path, { key: key.public });
  assert.deepEqual([entries, problem], [1, undefined]);
  assert.match(incomplete ?? "", /tenant of 3 older entries is unknown/);
});
