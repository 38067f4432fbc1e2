import assert from "node:assert/strict";
import { open as openFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { Journal } from "../../../agent/state/journal.ts";
import { folder } from "./folder.ts";
import { options, replayed } from "./journal-stage.ts";
import { smallDisk } from "../../lab/small-disk.ts";

test("a full disk refuses changes and says what to do; with space they go on, and nothing acknowledged is lost", async (t) => {
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
  assert.equal(journal.failure.reason, "JOURNAL_FAILED", "it is full still");
  await rm(join(directory, "filler"));
  await journal.tryAgain();
  assert.equal(journal.failure, undefined, "there is space, though nobody changes anything");
  await journal.append("again");
  kept.push("again");
  await journal.close();
  assert.equal((await stat(path)).size, journal.bytes);
  assert.deepEqual(await replayed(path), kept);
});

test("after a failed sync every append is refused for good, those that waited too", async (t) => {
  const path = join(await folder(t), "j");
  const journal = await Journal.open(path, options);
  await journal.append("kept");
  const probe = await openFile("/dev/null", "r");
  const prototype = Object.getPrototypeOf(probe) as { datasync: () => Promise<void> };
  await probe.close();
  const real = Reflect.get(prototype, "datasync");
  prototype.datasync = () => Promise.reject(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));
  const isFailed = (error: unknown): boolean =>
    error instanceof SocleError && error.kind === "unavailable" && error.reason === "JOURNAL_FAILED";
  try {
    const first = assert.rejects(journal.append("a"), isFailed);
    await Promise.resolve();
    const waiting = assert.rejects(journal.append("b"), isFailed);
    await Promise.all([first, waiting]);
  } finally {
    prototype.datasync = real;
  }
  await assert.rejects(journal.append("c"), isFailed);
  journal.appendLazily("d");
  await journal.tryAgain();
  assert.match(journal.failure?.message ?? "", /check the disk, then restart the agent/);
  await journal.close();
  const records = await replayed(path);
  assert.equal(records[0], "kept");
});
