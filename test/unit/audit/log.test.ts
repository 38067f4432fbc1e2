import assert from "node:assert/strict";
import {
  appendFile,
  cp,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { verifyLog, type AuditLog, type Entry } from "../../../agent/audit/index.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { failingDisk } from "../../support/state/failing-disk.ts";
import { folder } from "../../support/state/folder.ts";
import { fill as fillDisk, smallDisk } from "../../support/small-disk.ts";
import { auditLog, dayMs, keyOf, started, verified } from "../../support/audit/log-of.ts";

const segmentsOf = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => name.startsWith("audit-")).sort();

async function entriesOf(directory: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  await verifyLog(directory, { key: await keyOf(directory), onEntry: ({ entry }) => entries.push(entry) });
  return entries;
}

test("entries keep their order over restarts, in one chain that verifies and is signed to its end", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  assert.equal(await log.record(started("a")), 1);
  log.note({ act: "call_ended", of: 1, outcome: "done" });
  assert.equal(await log.record(started("b")), 3);
  await log.close();
  const again = (await auditLog(directory)).log;
  assert.equal(await again.record(started("c")), 5, "the fourth entry is the checkpoint of the stop");
  await again.close();
  const report = await verified(directory);
  assert.deepEqual(report, { first: 1, last: 6, signedThrough: 5, checkpoints: 2, tornBytes: 0 });
  const entries = await entriesOf(directory);
  assert.deepEqual(
    entries.map(({ act, vm, of }) => [act, vm, of]),
    [
      ["call_admitted", "a", undefined],
      ["call_ended", undefined, 1],
      ["call_admitted", "b", undefined],
      ["checkpoint", undefined, undefined],
      ["call_admitted", "c", undefined],
      ["checkpoint", undefined, undefined],
    ],
  );
  assert.equal(entries[0]?.caller?.certificateSerial, "0A");
  assert.equal(new Set(entries.map(({ nonce }) => nonce)).size, 6);
});

test("an entry is on disk when its record resolves, and concurrent entries share their syncs", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  const syncs = await countingSyncs(async () => {
    const sequences = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => log.record(started(`vm-${i}`))),
    );
    assert.deepEqual(
      sequences,
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
  });
  const kept = await readFile(join(directory, (await segmentsOf(directory))[0] ?? ""), "utf8");
  assert.equal(kept.match(/call_admitted/g)?.length, 1000);
  assert.ok(syncs <= 20, `${syncs} syncs for 1,000 entries at once`);
  await log.close();
});

test("a checkpoint follows an entry within a second, and none follows without a new entry", async (t) => {
  const directory = await folder(t);
  const { log, clock } = await auditLog(directory);
  const end = new AbortController();
  const changes = log.subscribe(end.signal)[Symbol.asyncIterator]();
  await log.record(started("a"));
  await changes.next();
  assert.equal((await verified(directory)).signedThrough, 0);
  clock.advance(999);
  clock.advance(1);
  await changes.next();
  assert.equal((await verified(directory)).signedThrough, 1);
  clock.advance(10_000);
  await log.close();
  end.abort();
  assert.equal((await verified(directory)).last, 2);
});

test("long text is cut, text that is not ASCII is escaped, and all of it reads back", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  await log.record({ act: "call_refused", vm: "naïve\u2028\ud800 \u0000", requestId: "x".repeat(5000) });
  await log.close();
  const [entry] = await entriesOf(directory);
  assert.equal(entry?.vm, "naïve\u2028\ud800 \u0000");
  assert.equal(entry.requestId?.length, 512);
  const text = await readFile(join(directory, (await segmentsOf(directory))[0] ?? ""));
  assert.ok(text.every((byte) => byte < 0x80));
});

test("the log continues in new files, and files past their time are removed and recorded", async (t) => {
  const directory = await folder(t);
  const { log, clock } = await auditLog(directory, { retentionMs: 10 * dayMs });
  for (let day = 0; day < 9; day += 1) {
    await log.record(started(`day-${day}`));
    clock.advance(dayMs);
  }
  assert.equal((await segmentsOf(directory)).length, 9, "no file younger than its time is deleted");
  for (let day = 9; day < 20; day += 1) {
    await log.record(started(`day-${day}`));
    clock.advance(dayMs);
  }
  await log.close();
  const report = await verified(directory);
  assert.equal(report.problem, undefined);
  assert.ok(report.first > 1);
  const vms = (await entriesOf(directory)).flatMap(({ vm }) => (vm === undefined ? [] : [vm]));
  assert.ok(vms.length >= 10 && vms.length <= 12, `${vms.length} days are there`);
  assert.equal(vms.at(-1), "day-19");
});

test("a wall clock one year ahead for a moment does not empty the log", async (t) => {
  const directory = await folder(t);
  const { log, clock } = await auditLog(directory, { segmentBytes: 1000 });
  for (let i = 0; i < 40; i += 1) await log.record(started(`vm-${i}`));
  const before = (await segmentsOf(directory)).length;
  clock.setWall(365 * dayMs);
  await log.record(started("then"));
  clock.setWall(0);
  await log.close();
  assert.ok(before >= 10);
  assert.ok((await segmentsOf(directory)).length >= before - 1);
});

test("with a budget of bytes the oldest files are removed, whatever their age", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory, { segmentBytes: 2000, maxBytes: 10_000 });
  for (let i = 0; i < 100; i += 1) await log.record(started(`vm-${i}`));
  const { bytes } = log.state;
  await log.close();
  assert.ok(bytes <= 13_000, `${bytes} bytes`);
  const report = await verified(directory);
  assert.equal(report.problem, undefined);
  assert.ok(report.first > 50);
});

test("an entry torn by a crash is cut off, and acknowledged entries stay", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  await log.record(started("a"));
  await log.close();
  const [name = ""] = await segmentsOf(directory);
  await appendFile(join(directory, name), `${"0".repeat(64)} {"sequence":3,"ti`);
  assert.ok((await verified(directory)).tornBytes > 0, "no problem while the entry may be being written");
  const again = (await auditLog(directory)).log;
  assert.equal(again.state.damage, undefined);
  assert.equal(await again.record(started("b")), 3);
  await again.close();
  assert.equal((await verified(directory)).problem, undefined);
});

test("an agent killed before its first checkpoint raises no alarm; a missing head afterwards does", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  const unused = await folder(t);
  await cp(directory, unused, { recursive: true });
  await log.record(started("a"));
  const killed = await folder(t);
  const cut = await folder(t);
  const torn = await folder(t);
  for (const copy of [killed, cut, torn]) await cp(directory, copy, { recursive: true });
  await rm(join(cut, "head.json"));
  await writeFile(join(torn, "head.json"), "{");
  await log.close();
  for (const [copy, damage] of [
    [unused, undefined],
    [killed, undefined],
    [cut, "head.json is missing"],
    [torn, "head.json is damaged"],
  ] as const) {
    const again = (await auditLog(copy)).log;
    assert.equal(again.state.damage, damage);
    await again.record(started("b"));
    await again.close();
    const vms = (await entriesOf(copy)).flatMap(({ vm }) => vm ?? []);
    assert.deepEqual(vms, copy === unused ? ["b"] : ["a", "b"]);
    assert.equal((await verified(copy)).problem, undefined);
  }
});

test("a damaged head is damage also where all entries are gone", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  await log.record(started("a"));
  await log.close();
  for (const name of await segmentsOf(directory)) await rm(join(directory, name));
  await writeFile(join(directory, "head.json"), "{");
  const again = (await auditLog(directory)).log;
  assert.equal(again.state.damage, "head.json is damaged");
  await again.close();
});

test("only the agent can read the audit key and the log", async (t) => {
  const directory = join(await folder(t), "audit");
  const { log } = await auditLog(directory);
  await log.record(started("a"));
  await log.close();
  for (const name of ["key.pem", ...(await segmentsOf(directory))])
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
});

/** Records until an entry is refused. */
async function fill(log: AuditLog): Promise<SocleError> {
  for (let i = 0; i < 50; i += 1) {
    try {
      await log.record({ ...started("full"), requestId: "r".repeat(500) });
    } catch (thrown) {
      return thrown as SocleError;
    }
  }
  throw new Error("it never got full");
}

test("on a full disk entries are refused with a remedy; with space they go on, and the gap is recorded", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const directory = join(disk, "audit");
  const { log } = await auditLog(directory);
  await log.record(started("first"));
  await writeFile(join(disk, "filler"), Buffer.alloc(2 * 1024 * 1024)).catch(() => undefined);
  const refusal = await fill(log);
  assert.equal(refusal.kind, "exhausted");
  assert.equal(refusal.reason, "AUDIT_FAILED");
  assert.match(refusal.message, /changes are refused, reads and guests go on; free space there/);
  log.note({ act: "call_ended", of: 1, outcome: "done", reason: "x".repeat(500) });
  await fill(log);
  await log.tryAgain();
  assert.equal(log.failure, refusal);
  await rm(join(disk, "filler"));
  await log.tryAgain();
  assert.equal(log.failure, undefined);
  await log.record(started("again"));
  await log.close();
  const report = await verified(directory);
  assert.equal(report.problem, undefined);
  const acts = (await entriesOf(directory)).filter(({ act }) => act !== "checkpoint");
  const gap = acts.find(({ act }) => act === "log_was_unwritable");
  assert.equal(gap?.times, log.state.refused);
  assert.ok(
    acts.some(({ act, of }) => act === "call_ended" && of === 1),
    "the entry before the full disk is not lost",
  );
});

test("a log that needs a new file opens on a full disk, and begins the file once there is space", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const directory = join(disk, "audit");
  const before = await auditLog(directory);
  await before.log.record(started("first"));
  await before.log.close();
  await rm(join(directory, "head.json"));
  const filler = await fillDisk(disk);
  const { log } = await auditLog(directory);
  assert.equal((await fill(log)).reason, "AUDIT_FAILED");
  assert.equal((await segmentsOf(directory)).length, 1);
  await rm(filler);
  await log.tryAgain();
  assert.equal(log.failure, undefined);
  await log.record(started("again"));
  await log.close();
  assert.equal((await segmentsOf(directory)).length, 2);
  assert.equal((await verified(directory)).problem, undefined);
  assert.ok((await entriesOf(directory)).some(({ act }) => act === "log_found_damaged"));
});

test("an entry refused by a failed sync is not in the log, and every later one is refused for good", async (t) => {
  for (const [code, kind] of [
    ["EIO", "unavailable"],
    ["ENOSPC", "exhausted"],
  ] as const) {
    const directory = await folder(t);
    const { log } = await auditLog(directory);
    await log.record(started("kept"));
    const { failing, restore } = await failingDisk(t, { code });
    const isFailed = (error: unknown): boolean =>
      error instanceof SocleError && error.kind === kind && error.reason === "AUDIT_FAILED";
    failing.datasync = 1;
    await assert.rejects(log.record(started("lost")), isFailed);
    restore();
    await assert.rejects(log.record(started("later")), isFailed);
    await log.tryAgain();
    assert.match(log.failure?.message ?? "", /(check the disk|free space there), then restart the agent/);
    await log.close();
    const again = (await auditLog(directory)).log;
    assert.equal(again.state.damage, undefined);
    await again.close();
    const vms = (await entriesOf(directory)).flatMap(({ vm }) => vm ?? []);
    assert.deepEqual(vms, ["kept"]);
  }
});

test("an entry that cannot be removed from the log again is outcome_unknown", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  await log.record(started("kept"));
  const { failing, restore } = await failingDisk(t);
  failing.datasync = true;
  await assert.rejects(
    log.record(started("lost")),
    (error) => error instanceof SocleError && error.kind === "outcome_unknown",
  );
  restore();
  await log.close();
});

test("a removed audit log is noticed before the next entry is acknowledged", async (t) => {
  const directory = join(await folder(t), "audit");
  const { log } = await auditLog(directory);
  await log.record(started("kept"));
  await rename(directory, `${directory}.old`);
  await assert.rejects(
    log.record(started("lost")),
    (error) => error instanceof SocleError && error.reason === "STATE_LOST",
  );
  await rename(`${directory}.old`, directory);
  await log.close();
  assert.deepEqual(
    (await entriesOf(directory)).map(({ vm }) => vm),
    ["kept"],
  );
});

async function countingSyncs(during: () => Promise<void>): Promise<number> {
  let count = 0;
  const restore = await replaceSync(function (this: unknown, real) {
    count += 1;
    return real.call(this);
  });
  await during().finally(restore);
  return count;
}

/** Replaces fdatasync of every file; the returned function restores it. */
async function replaceSync(
  instead: (this: unknown, real: () => Promise<void>) => Promise<void>,
): Promise<() => void> {
  const probe = await openFile("/dev/null", "r");
  const prototype = Object.getPrototypeOf(probe) as { datasync: () => Promise<void> };
  await probe.close();
  const real = Reflect.get(prototype, "datasync");
  prototype.datasync = function (this: unknown) {
    return instead.call(this, real);
  };
  return () => {
    prototype.datasync = real;
  };
}
