// A page of the audit log costs the same, however long the log before it.
import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { test, type TestContext } from "node:test";
import { matches, textMatcher, type Act, type Entry, type Page } from "../../../agent/audit/index.ts";
import { folder } from "../../support/state/folder.ts";
import { auditLog, started } from "../../support/audit/log-of.ts";

const ENTRIES = 12_000;
const any = { tenant: "", vm: "", sinceMs: -Infinity, untilMs: Infinity };

/** The entries that `work` parses and the bytes that it reads from files. */
async function costOf<T>(
  t: TestContext,
  work: () => Promise<T>,
): Promise<[T, { parsed: number; bytes: number }]> {
  const file = await open(import.meta.filename);
  const handle = Object.getPrototypeOf(file) as typeof file;
  await file.close();
  const cost = { parsed: 0, bytes: 0 };
  const { parse } = JSON;
  const read = Reflect.get(handle, "read");
  t.mock.method(JSON, "parse", (text: string) => {
    cost.parsed += 1;
    return parse(text) as unknown;
  });
  t.mock.method(handle, "read", async function (this: typeof file, ...args: Parameters<typeof read>) {
    const result = await read.apply(this, args);
    cost.bytes += result.bytesRead;
    return result;
  });
  try {
    return [await work(), cost];
  } finally {
    t.mock.restoreAll();
  }
}

async function fullLog(t: TestContext, actOf: (at: number) => Act) {
  const { log } = await auditLog(await folder(t));
  t.after(() => log.close());
  const acts = Array.from({ length: ENTRIES }, (_, at) => actOf(at));
  for (let at = 0; at < ENTRIES; at += 1000)
    await Promise.all(acts.slice(at, at + 1000).map((act) => log.record(act)));
  const page = (after: number, filter: Partial<typeof any> = {}, limit = 50): Promise<Page> => {
    const whole = { ...any, ...filter };
    const isWanted = (entry: Entry): boolean => matches(entry, whole);
    const bytes = 2 ** 20;
    const through = log.state.sequence;
    return log.page({ after, through, limit, bytes, mayBeWanted: textMatcher(whole), isWanted });
  };
  return { log, page };
}

test("a page reads and parses the same amount, wherever in the log it begins", async (t) => {
  const { log, page } = await fullLog(t, (at) => started(`vm-${at}`));
  const { entries: all } = await page(0, {}, 1000);
  for (const after of [0, 1, 300, ENTRIES / 2, log.state.sequence - 60]) {
    const [{ entries, read }, cost] = await costOf(t, () => page(after));
    const expected = Array.from({ length: 50 }, (_, at) => after + 1 + at);
    assert.deepEqual([entries.map(({ sequence }) => sequence), read], [expected, after + 50]);
    assert.ok(cost.parsed <= 52, `${cost.parsed} entries were parsed after ${after}`);
    assert.ok(cost.bytes < 2 ** 18, `${cost.bytes} of ${log.state.bytes} bytes were read after ${after}`);
    // The hash before a page is the one of the entry before, which may be far from the start of reading.
    const before = all.find(({ sequence }) => sequence === after);
    if (before !== undefined) assert.equal(entries[0]?.previous, before.hash);
  }
});

test("a page that searches for rare entries ends after a bounded part of the log, and parses few others", async (t) => {
  const isRare = (at: number): boolean => at % 4000 === 3999;
  const { log, page } = await fullLog(t, (at) => started(isRare(at) ? `red-é-${at}` : `blue-${at}`));
  const found: string[] = [];
  for (let after = 0; after < log.state.sequence;) {
    const [{ entries, read }, { parsed }] = await costOf(t, () => page(after, { tenant: "red" }));
    assert.ok(read - after <= 3000 && parsed < 10, `${read - after} entries were scanned, ${parsed} parsed`);
    assert.ok(read > after);
    for (const { json } of entries) found.push((JSON.parse(json) as Entry).vm ?? "");
    after = read;
  }
  assert.deepEqual(found, ["red-é-3999", "red-é-7999", "red-é-11999"]);
  const { entries } = await page(4000, { vm: "red-é-7999", sinceMs: 0 }, 1000);
  assert.equal(entries.length, 0, "it is beyond this page");
  const next = await page(7000, { vm: "red-é-7999", sinceMs: 0 });
  assert.equal(next.entries.length, 1);
});
