// How an older copy of a state directory is detected: by a number in it that is never behind the one outside.
import assert from "node:assert/strict";
import { cp, mkdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Watermark } from "../../../../agent/state/records/watermark.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { folder } from "../../../support/state/folder.ts";

/** The values written outside, in order, with the directory's number at that time. */
async function marked(t: TestContext) {
  const directory = await folder(t);
  const mark = await Watermark.open(directory);
  const outside: { written: number; inDirectory: number }[] = [];
  const inDirectory = async (): Promise<number> =>
    Number((await readlink(join(directory, "watermark")).catch(() => "0")).split(" ")[0]);
  mark.publishBy(async () => {
    outside.push({ written: mark.value, inDirectory: await inDirectory() });
    return true;
  });
  return { directory, mark, outside, reopen: () => Watermark.open(directory) };
}

test("the directory is never behind the outside value, and keeps the number over a restart", async (t) => {
  const { mark, outside, reopen } = await marked(t);
  assert.equal(mark.value, 0);
  for (let raises = 0; raises < 3; raises += 1) await mark.raise();
  assert.deepEqual(
    outside,
    [1, 2, 3].map((number) => ({ written: number, inDirectory: number })),
  );
  assert.equal((await reopen()).value, 3);
});

test("any number of concurrent raises share writes, and each has one that began after its call", async (t) => {
  const { mark, outside } = await marked(t);
  const first = mark.raise();
  await new Promise(setImmediate);
  // The first raise's write is in progress, and may be from before these calls.
  const later = Array.from({ length: 100 }, () => mark.raise());
  await first;
  const atFirst = mark.value;
  await Promise.all(later);
  assert.ok(mark.value > atFirst);
  assert.ok(outside.length <= 3, `${outside.length} writes for 101 raises`);
});

test("a failed write outside fails its raise, and the next one begins anew", async (t) => {
  const { mark } = await marked(t);
  const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  let fails = true;
  mark.publishBy(() => (fails ? Promise.reject(away) : Promise.resolve(true)));
  await assert.rejects(mark.raise(), away);
  fails = false;
  await mark.raise();
  assert.equal(mark.value, 2);
});

test("until the number outside was compared, the one in the directory stays: a copy would not be older any more", async (t) => {
  const { mark, reopen } = await marked(t);
  const unread = new SocleError("unavailable", "LEASE_UNREADABLE", "not read yet");
  let isRead = false;
  mark.publishBy(
    () => (isRead ? Promise.resolve(true) : Promise.reject(unread)),
    () => isRead,
  );
  await assert.rejects(mark.raise(), unread);
  assert.equal((await reopen()).value, 0);
  isRead = true;
  await mark.raise();
  assert.equal((await reopen()).value, 1);
});

test("where the directory cannot be written the number stays, and the raise rejects", async (t) => {
  const { directory, mark, outside } = await marked(t);
  await mark.raise();
  await rm(join(directory, "watermark"));
  await mkdir(join(directory, "watermark"));
  await assert.rejects(mark.raise(), { kind: "unavailable", reason: "STATE_LOST" });
  assert.deepEqual(
    outside.map(({ written }) => written),
    [1, 1],
  );
});

test("a copy that replaces the directory keeps its number", async (t) => {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  await mkdir(directory);
  const lost: string[] = [];
  const mark = await Watermark.open(directory, ({ reason }) => lost.push(reason));
  mark.publishBy(() => Promise.resolve(true));
  await mark.raise();
  await cp(directory, copy, { recursive: true, verbatimSymlinks: true });
  await mark.raise();
  await rename(directory, join(base, "aside"));
  await rename(copy, directory);
  await assert.rejects(mark.raise(), { kind: "unavailable", reason: "STATE_LOST" });
  assert.equal(await readlink(join(directory, "watermark")), "1");
  assert.deepEqual(lost, ["STATE_LOST"], "changes are refused from now on");
});

test("a number that a failed raise may have written is not used again", async (t) => {
  const { directory, mark, outside } = await marked(t);
  const { failing, restore } = await failingDisk(t);
  failing.sync = 1;
  await assert.rejects(mark.raise(), { reason: "STATE_UNWRITABLE" });
  assert.equal(mark.failure?.reason, "STATE_UNWRITABLE");
  restore();
  const copied = Number(await readlink(join(directory, "watermark")));
  await mark.tryAgain();
  assert.equal(mark.failure, undefined);
  await mark.raise();
  assert.ok(copied < (outside.at(-1)?.written ?? 0), `${copied} would not be older`);
});

test("operations of an older state are outdated for good, and later ones never are", async (t) => {
  const { mark, reopen } = await marked(t);
  const [old, newest, later] = ["1", "2", "3"].map((digit) => `0000000${digit}-0000-7000-8000-000000000000`);
  assert.ok(old !== undefined && newest !== undefined && later !== undefined);
  assert.equal(mark.isOutdated(old), false);
  await mark.outdate(newest);
  await mark.reach(41);
  await mark.raise();
  const next = await reopen();
  assert.equal(next.value, 42);
  assert.deepEqual(
    [old, newest, later].map((id) => next.isOutdated(id)),
    [true, true, false],
  );
  await next.outdate(old);
  await next.reach(7);
  assert.deepEqual([next.value, next.isOutdated(newest)], [42, true], "neither decreases");
});

test("concurrent raises keep the operations that became outdated meanwhile", async (t) => {
  const { mark, reopen } = await marked(t);
  const newest = "00000002-0000-7000-8000-000000000000";
  await Promise.all([mark.raise(), mark.outdate(newest), mark.reach(41), mark.raise()]);
  const next = await reopen();
  assert.deepEqual([next.isOutdated(newest), mark.isOutdated(newest)], [true, true]);
  assert.equal(next.value, mark.value);
  assert.ok(next.value >= 41);
});

test("a damaged mark is lower than any", async (t) => {
  const { directory, reopen } = await marked(t);
  for (const text of ["x", "-1", "99999999999999999999", "7 8"]) {
    await symlink(text, join(directory, "watermark"));
    assert.equal((await reopen()).value, 0);
    await rm(join(directory, "watermark"));
  }
});
