import assert from "node:assert/strict";
import { cp, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Journal } from "../../../../agent/state/journal/journal.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { folder } from "../../../support/state/folder.ts";
import { options, replayed } from "../../../support/state/journal-stage.ts";
import { smallDisk } from "../../../support/small-disk.ts";

test("a full disk refuses changes with a remedy; with space they go on, and nothing acknowledged is lost", async (t) => {
  const directory = await smallDisk(t);
  if (directory === undefined) return;
  const path = join(directory, "j");
  const journal = await Journal.open(path, options);
  const kept: unknown[] = [];
  await journal.append("first");
  kept.push("first");
  await writeFile(join(directory, "filler"), Buffer.alloc(2 * 1024 * 1024)).catch(() => undefined);
  let refusal: SocleError | undefined;
  for (let i = 0; i < 20 && refusal === undefined; i += 1) {
    const record = `${i} ${"x".repeat(1500)}`;
    await journal.append(record).then(
      () => kept.push(record),
      (error: unknown) => (refusal = error as SocleError),
    );
  }
  assert.equal(refusal?.kind, "exhausted");
  assert.equal(refusal.reason, "JOURNAL_FAILED");
  assert.match(refusal.message, /free space there/);
  assert.equal(journal.failure, refusal);
  await assert.rejects(
    journal.append("y".repeat(1500)),
    (error) => (error as SocleError).kind === "exhausted",
  );
  await journal.tryAgain();
  assert.equal(journal.failure.reason, "JOURNAL_FAILED", "it is still full");
  await rm(join(directory, "filler"));
  await journal.tryAgain();
  assert.equal(journal.failure, undefined, "there is space, without a change by any caller");
  await journal.append("again");
  kept.push("again");
  await journal.close();
  assert.equal((await stat(path)).size, journal.bytes);
  assert.deepEqual(await replayed(path), kept);
});

const isFailed = (error: unknown): boolean =>
  error instanceof SocleError && error.kind === "unavailable" && error.reason === "JOURNAL_FAILED";
const isUnknown = (error: unknown): boolean =>
  error instanceof SocleError && error.kind === "outcome_unknown" && error.reason === "JOURNAL_FAILED";

test("a record refused by a failed sync is not read back, and every later append is refused for good", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  await journal.append("kept");
  const { failing, restore } = await failingDisk(t);
  failing.datasync = 1;
  const first = assert.rejects(journal.append("a"), isFailed);
  await Promise.resolve();
  await Promise.all([first, assert.rejects(journal.append("b"), isFailed)]);
  restore();
  await assert.rejects(journal.append("c"), isFailed);
  journal.appendLazily("d");
  await journal.tryAgain();
  assert.match(journal.failure?.message ?? "", /check the disk, then restart the agent/);
  assert.deepEqual(await replayed(path), ["kept"], "as a killed agent leaves it");
  await journal.close();
  assert.deepEqual(await replayed(path), ["kept"]);
});

test("a disk that is full at the sync fails for good: its pages may be gone", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC" });
  failing.datasync = 1;
  await assert.rejects(journal.append("a"), (error) => (error as SocleError).kind === "exhausted");
  restore();
  await journal.tryAgain();
  assert.match(journal.failure?.message ?? "", /free space there, then restart the agent/);
  await journal.close();
  assert.deepEqual(await replayed(path), []);
});

test("where records of a failed sync cannot be cut off, the outcome is unknown; waiting ones are refused", async (t) => {
  for (const call of ["truncate", "datasync"] as const) {
    const path = join(await folder(t), "j");
    const journal = await Journal.open(path, options);
    const { failing, restore } = await failingDisk(t);
    failing.datasync = 1;
    failing[call] = true;
    const first = assert.rejects(journal.append("a"), isUnknown);
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
    await Promise.all([first, assert.rejects(journal.append("b"), isFailed)]);
    restore();
    await journal.close();
    assert.equal((await replayed(path)).includes("b"), false);
  }
});

test("a write that fails late is cut off before it is refused", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  const { failing } = await failingDisk(t, { tornWrites: true });
  failing.write = 1;
  await assert.rejects(journal.append("late"), isFailed);
  await journal.close();
  assert.deepEqual(await replayed(path), []);
});

test("records that a failed sync left in memory are on the disk before they are replayed", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  const disk = await failingDisk(t);
  disk.failing.datasync = true;
  disk.failing.truncate = true;
  await assert.rejects(journal.append("left"), isUnknown);
  await journal.close();
  disk.failing.truncate = 0;
  await assert.rejects(
    Journal.open(path, options),
    (error) => (error as SocleError).reason === "JOURNAL_UNREADABLE",
    "nothing acts on a record that may be lost",
  );
  disk.restore();
  assert.deepEqual(await replayed(path), ["left"]);
});

test("a journal that is deleted, moved or replaced is noticed before the next record is acknowledged", async (t) => {
  for (const how of ["deleted", "moved", "replaced", "directory"]) {
    const directory = join(await folder(t), "state");
    await mkdir(directory);
    const path = join(directory, "j");
    const journal = await Journal.open(path, options);
    await journal.append("kept");
    if (how === "deleted") await rm(path);
    else if (how === "directory") await rename(directory, `${directory}.old`);
    else await rename(path, `${path}.old`);
    if (how === "replaced") await writeFile(path, "another's");
    await assert.rejects(journal.append("lost"), (error) => {
      assert.ok(error instanceof SocleError && error.kind === "unavailable" && error.reason === "STATE_LOST");
      assert.match(error.message, /was deleted, moved or replaced.*put the state directory back/);
      return true;
    });
    assert.equal(journal.failure?.reason, "STATE_LOST");
    await journal.close();
    if (how === "replaced") assert.equal(await readFile(path, "utf8"), "another's");
    if (how === "directory") await rename(`${directory}.old`, directory);
    else if (how !== "deleted") await rename(`${path}.old`, path);
    assert.deepEqual(await replayed(path), how === "deleted" ? [] : ["kept"]);
  }
});

test("a copy that replaces the journal during a sync leaves the outcome of that record unknown", async (t) => {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  await mkdir(directory);
  const path = join(directory, "j");
  const journal = await Journal.open(path, options);
  const { failing, restore } = await failingDisk(t);
  failing.datasync = async () => {
    await cp(directory, copy, { recursive: true });
    await rename(directory, join(base, "aside"));
    await rename(copy, directory);
  };
  await assert.rejects(journal.append("a"), { kind: "outcome_unknown" });
  await assert.rejects(journal.append("b"), { kind: "unavailable", reason: "STATE_LOST" });
  restore();
  await journal.close();
  assert.deepEqual(await replayed(path), ["a"]);
});
