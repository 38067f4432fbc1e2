import assert from "node:assert/strict";
import { appendFile, open as openFile, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Journal } from "../../../../agent/state/journal/journal.ts";
import { folder } from "../../../support/state/folder.ts";
import { options, replayed, killedJournal, isCorrupt, names } from "../../../support/state/journal-stage.ts";

test("appended records are read back in order, lazily appended ones among them", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  const written: unknown[] = [];
  for (let i = 0; i < 20; i += 1) {
    const record = { i, text: 'line\nbreak "quoted" é \u2028' };
    written.push(record);
    if (i % 3 === 0) journal.appendLazily(record);
    else await journal.append(record);
  }
  await journal.close();
  assert.deepEqual(await replayed(path), written);
  assert.deepEqual(await replayed(path), written);
  await assert.rejects(journal.append("late"), (error) => (error as SocleError).reason === "AGENT_STOPPING");
});

test("waiting appends share a sync: a thousand at once need a few", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  const syncs = await syncsDuring(() =>
    Promise.all(Array.from({ length: 1000 }, (_, i) => journal.append({ i }))),
  );
  assert.ok(syncs <= 3, `${syncs} syncs`);
  await journal.close();
});

/** Counts fdatasync calls of this process, for all FileHandles. */
async function syncsDuring(work: () => Promise<unknown>): Promise<number> {
  const probe = await openFile("/dev/null", "r");
  const prototype = Object.getPrototypeOf(probe) as { datasync: () => Promise<void> };
  await probe.close();
  const real = Reflect.get(prototype, "datasync");
  let count = 0;
  prototype.datasync = function (this: typeof probe) {
    count += 1;
    return real.call(this);
  };
  try {
    await work();
  } finally {
    prototype.datasync = real;
  }
  return count;
}

test("a journal cut at any byte keeps each complete record, cuts off the torn one, and accepts appends", async (t) => {
  const path = join(await folder(t), "j");
  const whole = await killedJournal(
    path,
    names(6).map((name) => [name]),
  );
  const ends = [...whole.entries()].filter(([, byte]) => byte === 10).map(([index]) => index + 1);
  const [headerEnd = 0] = ends;
  for (let length = 0; length <= whole.length; length += 1) {
    await writeFile(path, whole.subarray(0, length));
    if (length < headerEnd) {
      await assert.rejects(replayed(path), isCorrupt, `cut at ${length}`);
      continue;
    }
    const lines = whole.toString("latin1", 0, Math.max(...ends.filter((end) => end <= length)));
    const kept = lines.match(/"record \d+"\n/g)?.length ?? 0;
    const records: unknown[] = [];
    const journal = await Journal.open(path, { ...options, replay: (record) => records.push(record) });
    assert.deepEqual(records, names(6).slice(0, kept), `cut at ${length}`);
    await journal.append("after");
    await journal.close();
    assert.deepEqual(await replayed(path), [...names(6).slice(0, kept), "after"], `cut at ${length}`);
  }
});

test("a flipped bit never alters a record, and never loses an acknowledged one unnoticed", async (t) => {
  const path = join(await folder(t), "j");
  const groups = [["a", "b"], ["c"], ["d", "e"]];
  const whole = await killedJournal(path, groups);
  const all = groups.flat();
  const seal = sealOf(whole);
  for (let index = 0; index < whole.length * 2; index += 1) {
    const byte = index >> 1;
    const bit = (byte * 5 + (index & 1) * 3) % 8;
    const flipped = Buffer.from(whole);
    flipped[byte] = (flipped[byte] ?? 0) ^ (1 << bit);
    await writeFile(path, flipped);
    const at = `bit ${bit} of byte ${byte}`;
    try {
      const records = await replayed(path);
      assert.deepEqual(records, all, at);
      assert.ok(byte >= seal, `${at} belongs to an acknowledged record`);
    } catch (thrown) {
      if (!isCorrupt(thrown)) throw thrown;
      assert.ok(byte < seal, `${at} may be torn`);
      assert.match(thrown.message, /record \d+ at byte \d+/);
    }
  }
});

/** The start of the last line, which acknowledges nothing itself. */
const sealOf = (whole: Buffer): number => whole.lastIndexOf("\n", whole.length - 2) + 1;

test("after a clean stop any flipped bit is damage, also in the last record", async (t) => {
  const path = join(await folder(t), "j");
  await killedJournal(path, [["a"], ["b"]]);
  const whole = await readFile(path);
  const seal = sealOf(whole);
  for (let byte = 0; byte < seal - 1; byte += 1) {
    const flipped = Buffer.from(whole);
    flipped[byte] = (flipped[byte] ?? 0) ^ 0x04;
    await writeFile(path, flipped);
    await assert.rejects(replayed(path), isCorrupt, `byte ${byte}`);
  }
});

test("the error names the record, the byte and the remedy, and the file stays as it is", async (t) => {
  const path = join(await folder(t), "j");
  const whole = await killedJournal(path, [["a"], ["b"], ["c"]]);
  const broken = Buffer.from(whole);
  const at = whole.indexOf('"b"');
  broken[at + 1] = 0x58;
  await writeFile(path, broken);
  const start = whole.lastIndexOf("\n", at) + 1;
  const record = whole.subarray(0, at).toString().split("\n").length;
  await assert.rejects(replayed(path), (error) => {
    assert.ok(isCorrupt(error));
    assert.deepEqual(error.details.metadata, { path, record: String(record), offset: String(start) });
    assert.match(
      error.message,
      /restore the file from a backup. Where there is none, move the file aside and start without/,
    );
    return true;
  });
  assert.deepEqual(await readFile(path), broken);
});

test("a group whose pages reached the disk out of order is torn, not corrupt: it was not acknowledged", async (t) => {
  const path = join(await folder(t), "j");
  const group = Array.from({ length: 5 }, (_, index) => `${index} ${"x".repeat(3000)}`);
  const killed = await killedJournal(path, [["kept"], group]);
  const whole = killed.subarray(0, sealOf(killed));
  const start = whole.indexOf('"0 xxx');
  // A page that never arrived reads as zeros, the pages behind it exist.
  const page = Buffer.from(whole).fill(0, start + 3500, start + 5500);
  await writeFile(path, page);
  assert.deepEqual(await replayed(path), ["kept", group[0]]);
  // The same hole before the last sync is damage.
  await writeFile(
    path,
    Buffer.from(await killedJournal(join(await folder(t), "k"), [group, ["later"]])).fill(0, 3500, 5500),
  );
  await assert.rejects(replayed(path), isCorrupt);
});

test("garbage behind the last record is cut off, at any length", async (t) => {
  const path = join(await folder(t), "j");
  const whole = await killedJournal(path, [["a"]]);
  for (const garbage of ["\n", "\n\n\0\0\n", "nonsense\nmore\n", Buffer.alloc(6 * 1024 * 1024, 0x41)]) {
    await writeFile(path, whole);
    await appendFile(path, garbage);
    const warnings: string[] = [];
    const log = Object.assign(Object.create(silentLog) as typeof silentLog, {
      warn: (_: unknown, message: string) => warnings.push(message),
    });
    assert.deepEqual(await replayed(path, { log }), ["a"]);
    assert.equal(warnings.length, 1);
    assert.deepEqual(await replayed(path), ["a"]);
  }
});

test("a tail of zeros, which a preallocated block gives after a power cut, is cut off", async (t) => {
  const path = join(await folder(t), "j");
  const whole = await killedJournal(path, [["a"], ["b"], ["c"]]);
  await writeFile(path, whole);
  await truncate(path, whole.length + 4096);
  assert.deepEqual(await replayed(path), ["a", "b", "c"]);
});

test("an empty file, another kind of journal and a newer version are refused", async (t) => {
  const path = join(await folder(t), "j");
  await writeFile(path, "");
  await assert.rejects(replayed(path), isCorrupt);
  await rm(path);
  await (await Journal.open(path, { ...options, kind: "other" })).close();
  await assert.rejects(replayed(path), (error) => (error as SocleError).reason === "JOURNAL_VERSION");
  await rm(path);
  await mkdir(path);
  await assert.rejects(replayed(path), (error) => (error as SocleError).kind === "unavailable");
});

test("a record that is too large is refused and the journal goes on", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  await assert.rejects(
    journal.append("é".repeat(2 * 1024 * 1024 + 1)),
    (error) => (error as SocleError).reason === "RECORD_TOO_LARGE",
  );
  await journal.append("small");
  await journal.close();
  assert.deepEqual(await replayed(path), ["small"]);
});
