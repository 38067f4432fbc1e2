// Attacks of an attacker with write access to the files, and the first entry that the check rejects.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  AuditLog,
  readHead,
  verifyLog,
  type Checkpoint,
  type Problem,
  type Report,
  type VerifyKey,
} from "../../../agent/audit/index.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { digestOf } from "../../../agent/audit/chain.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { folder } from "../../support/state/folder.ts";
import { auditLog, keyOf, started } from "../../support/audit/log-of.ts";

interface Victim {
  readonly directory: string;
  readonly key: VerifyKey;
  /** The segment files, oldest first. */
  readonly names: readonly string[];
  readonly lines: (segment: number) => Promise<string[]>;
  readonly write: (segment: number, lines: readonly string[]) => Promise<void>;
  readonly check: (anchors?: readonly Checkpoint[]) => Promise<Report>;
}

/**
 * 30 acts in segments of six entries each: five acts and the closing checkpoint; the last segment also holds
 * a checkpoint in its middle, as after a restart.
 */
async function victim(t: TestContext): Promise<Victim> {
  const directory = await folder(t);
  let { log } = await auditLog(directory, { segmentBytes: 2500 });
  for (let i = 1; i <= 27; i += 1) await log.record(started(`vm-${i}`));
  await log.close();
  ({ log } = await auditLog(directory));
  for (let i = 28; i <= 30; i += 1) await log.record(started(`vm-${i}`));
  await log.close();
  const key = await keyOf(directory);
  const names = (await readdir(directory)).filter((name) => name.startsWith("audit-")).sort();
  assert.ok(names.length >= 3);
  const path = (segment: number): string => join(directory, names.at(segment) ?? "");
  const found: Victim = {
    directory,
    key,
    names,
    lines: async (segment) => (await readFile(path(segment), "utf8")).trimEnd().split("\n"),
    write: (segment, lines) => writeFile(path(segment), lines.map((line) => `${line}\n`).join("")),
    check: (anchors = []) => verifyLog(directory, { key, anchors }),
  };
  assert.equal((await found.check()).problem, undefined);
  return found;
}

async function problemOf(report: Promise<Report>): Promise<Problem> {
  const { problem } = await report;
  assert.ok(problem, "the change was not detected");
  return problem;
}

const sequenceOf = (line: string | undefined): number =>
  (JSON.parse(line?.slice(65) ?? "") as { sequence: number }).sequence;

/** Recomputes the hashes behind `from`, as an attacker who knows the format would. */
function chained(lines: readonly string[], from: number): string[] {
  const out = lines.slice(0, from);
  for (const line of lines.slice(from)) {
    const json = line.slice(65);
    const before = (out.at(-1) ?? "").startsWith("{")
      ? (JSON.parse(out[0] ?? "") as { previous: string }).previous
      : (out.at(-1) ?? "").slice(0, 64);
    const digest = digestOf(json);
    const hash = createHash("sha256")
      .update(Buffer.from(before + digest, "hex"))
      .digest("hex");
    out.push(`${hash} ${json}`);
  }
  return out;
}

test("an edited entry is named", async (t) => {
  const { lines, write, check, names } = await victim(t);
  const all = await lines(1);
  const edited = sequenceOf(all[2]);
  await write(1, all.with(2, (all[2] ?? "").replace('"operator"', '"scheduler"')));
  const problem = await problemOf(check());
  assert.equal(problem.sequence, edited);
  assert.equal(problem.file, names[1]);
  assert.equal(problem.line, 3);
  assert.match(problem.what, /was edited/);
});

test("a change of any single byte of a segment is detected", async (t) => {
  const { directory, names, check } = await victim(t);
  const path = join(directory, names[1] ?? "");
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at += 37) {
    const broken = Buffer.from(whole);
    broken[at] = (broken[at] ?? 0) ^ 1;
    await writeFile(path, broken);
    // A segment's start time is no act and is not reported; each entry has its own time.
    const inTime = /"time":"[^"]*$/.test(whole.toString("utf8", 0, at)) && at < whole.indexOf("\n");
    if (!inTime) assert.ok((await check()).problem, `byte ${at} of ${whole.length}`);
  }
});

test("an edit with recomputed hashes does not match the next signed checkpoint", async (t) => {
  const { lines, write, check } = await victim(t);
  const all = await lines(1);
  const edited = sequenceOf(all[2]);
  const changed = all.with(2, (all[2] ?? "").replace('"operator"', '"scheduler"'));
  await write(1, chained(changed, 2));
  const problem = await problemOf(check());
  assert.ok(problem.sequence <= edited, "any entry since the checkpoint before may be the edited one");
  assert.match(problem.what, /hashes recomputed/);
});

test("entries that are swapped, duplicated or removed are named", async (t) => {
  const { lines, write, check } = await victim(t);
  const all = await lines(1);
  const [second = "", third = ""] = [all[2], all[3]];
  const expected = sequenceOf(second);
  for (const forged of [
    all.with(2, third).with(3, second),
    all.toSpliced(2, 1),
    all.toSpliced(2, 0, all[1] ?? ""),
  ]) {
    await write(1, forged);
    assert.equal((await problemOf(check())).sequence, expected);
    await write(1, chained(forged, 2));
    assert.equal((await problemOf(check())).sequence, expected, "with recomputed hashes");
  }
});

test("a truncated log is detected, by entries, by half an entry and by a whole segment", async (t) => {
  const { directory, names, lines, write, check } = await victim(t);
  const last = await lines(-1);
  const newest = sequenceOf(last.at(-1));
  for (const cut of [2, 3]) {
    await write(-1, last.slice(0, -cut));
    const problem = await problemOf(check());
    assert.equal(problem.sequence, newest - cut + 1);
    assert.match(problem.what, /the end was cut off/);
  }
  const path = join(directory, names.at(-1) ?? "");
  await write(-1, last);
  const whole = await readFile(path);
  await writeFile(path, whole.subarray(0, whole.length - (last.at(-1) ?? "").length - 20));
  assert.equal((await problemOf(check())).sequence, newest - 1);
  await rm(path);
  const first = sequenceOf(last[1]);
  assert.equal((await problemOf(check())).sequence, first);
});

test("a deleted segment is detected, the oldest one too", async (t) => {
  for (const gone of [0, 1]) {
    const { directory, names, lines, check } = await victim(t);
    const first = sequenceOf((await lines(gone))[1]);
    await rm(join(directory, names[gone] ?? ""));
    assert.equal((await problemOf(check())).sequence, first);
  }
});

test("swapped or renamed segments are detected", async (t) => {
  const { lines, write, check } = await victim(t);
  const [first, second] = [await lines(0), await lines(1)];
  await write(0, second);
  await write(1, first);
  assert.equal((await problemOf(check())).sequence, 1);
});

test("a log without its head, or with a forged one, is not trusted to its end", async (t) => {
  const { directory, check } = await victim(t);
  const path = join(directory, "head.json");
  const head = await readFile(path, "utf8");
  const checkpoint = JSON.parse(head) as Checkpoint;
  await writeFile(path, JSON.stringify({ ...checkpoint, sequence: checkpoint.sequence - 3 }));
  assert.ok((await check()).problem);
  await rm(path);
  assert.match((await problemOf(check())).what, /head\.json is missing/);
});

test("a log rewritten with another key does not verify as this one", async (t) => {
  const { directory, check } = await victim(t);
  const forged = await folder(t);
  const { log } = await auditLog(forged);
  for (let i = 1; i <= 30; i += 1) await log.record(started(`vm-${i}`));
  await log.close();
  await rm(directory, { recursive: true });
  await cp(forged, directory, { recursive: true });
  const problem = await problemOf(check());
  assert.match(problem.what, /another key/);
  assert.equal(problem.sequence, 1);
});

test("a complete older state is detected by a checkpoint kept elsewhere", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  await log.record(started("kept"));
  await log.close();
  const older = await folder(t);
  await cp(directory, older, { recursive: true });
  const again = (await auditLog(directory)).log;
  await again.record(started("to be hidden"));
  await again.close();
  const anchor = await readHead(directory);
  assert.ok(anchor);
  await rm(directory, { recursive: true });
  await cp(older, directory, { recursive: true });
  const key = await keyOf(directory);
  assert.equal((await verifyLog(directory, { key })).problem, undefined, "the host alone cannot detect it");
  const problem = await problemOf(verifyLog(directory, { key, anchors: [anchor] }));
  assert.equal(problem.sequence, 3);
});

test("an agent that starts on a truncated log records it, and the gap stays visible", async (t) => {
  const { directory, names, lines, write, check } = await victim(t);
  const last = await lines(-1);
  const newest = sequenceOf(last.at(-1));
  await write(-1, last.slice(0, -3));
  const errors: string[] = [];
  const log = await AuditLog.open({
    directory,
    clock: new FakeClock(),
    log: Object.assign(Object.create(silentLog) as typeof silentLog, {
      error: (_fields: object, text: string) => errors.push(text),
    }),
    retentionMs: 1e12,
  });
  assert.match(log.state.damage ?? "", new RegExp(`entries ${newest - 2} to ${newest - 1} are missing`));
  assert.equal(errors.length, 1);
  assert.equal(
    await log.record(started("next")),
    newest + 1,
    "numbers continue behind the last checkpoint's",
  );
  await log.close();
  assert.equal((await problemOf(check())).sequence, newest - 2);
  assert.deepEqual(await lines(-1), last.slice(0, -3), "the damaged part stays as it is");
  assert.equal(
    (await readdir(directory)).filter((name) => name.startsWith("audit-")).length,
    names.length + 1,
  );
});

test("an agent that starts on a log with edited newest entries records it", async (t) => {
  for (const isClever of [false, true]) {
    const { directory, lines, write } = await victim(t);
    const last = await lines(-1);
    const at = last.length - 3;
    const edited = last.with(at, (last[at] ?? "").replace('"operator"', '"scheduler"'));
    await write(-1, isClever ? chained(edited, at) : edited);
    const { log } = await auditLog(directory);
    assert.ok(log.state.damage, isClever ? "with hashes made anew" : "as it is");
    await log.close();
  }
});
