import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { TenantExport, verifyExport, verifyLog, type Entry } from "../../../agent/audit/index.ts";
import { folder } from "../state/folder.ts";
import { auditLog, keyOf, started } from "./log-of.ts";

/** 60 acts, every third of the tenant red, in several segments; the export of red's. */
async function exported(t: TestContext) {
  const directory = await folder(t);
  const { log } = await auditLog(directory, { segmentBytes: 4000 });
  for (let i = 1; i <= 60; i += 1) await log.record(started(i % 3 === 0 ? `red-${i}` : `blue-${i}`));
  await log.close();
  const key = await keyOf(directory);
  const lines: string[] = [];
  const out = new TenantExport("red", key, (line) => lines.push(line));
  await verifyLog(directory, { key, onEntry: (followed, before) => out.add(before, followed, true) });
  const path = join(directory, "red.jsonl");
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  return { path, key, lines, out };
}

test("an export verifies by itself, and holds all of one tenant and nothing of another", async (t) => {
  const { path, key, out } = await exported(t);
  const entries: Entry[] = [];
  const report = await verifyExport(path, key, (entry) => entries.push(entry));
  assert.deepEqual(report, { tenant: "red", entries: 20 });
  assert.equal(out.written, 20);
  assert.equal(out.unsigned, 0);
  assert.deepEqual(
    entries.map(({ vm }) => vm),
    Array.from({ length: 20 }, (_, i) => `red-${3 * i + 3}`),
  );
  assert.ok(!(await readFile(path, "utf8")).includes("blue"));
});

test("an export in which anything was changed does not verify", async (t) => {
  const { path, key, lines } = await exported(t);
  const [head = "", first = "", second = ""] = lines;
  const forgeries: Record<string, readonly string[]> = {
    "an edited entry": [head, first.replace("red-3", "red-4")],
    "an entry taken out": [head, first.replace(/\{"json":.*?"\},/, "")],
    "stretches that change places": [head, second, first],
    "another tenant's name on it": [head.replace("red", "blue"), first],
    "a damaged line": [head, first.slice(0, -5)],
    "no head": [first],
  };
  for (const [what, forged] of Object.entries(forgeries)) {
    await writeFile(path, forged.map((line) => `${line}\n`).join(""));
    assert.ok((await verifyExport(path, key)).problem, what);
  }
  const other = await folder(t);
  await (await auditLog(other)).log.close();
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  assert.match((await verifyExport(path, await keyOf(other))).problem?.what ?? "", /not signed by this key/);
});
