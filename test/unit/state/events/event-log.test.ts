import assert from "node:assert/strict";
import { appendFile, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { EventLog, type SubscribeFrom } from "../../../../agent/state/events/event-log.ts";
import { EventSegments, reserveBlock } from "../../../../agent/state/events/event-segments.ts";
import { encodeLine } from "../../../../agent/state/journal/format.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { eventually } from "../../../support/wait.ts";
import { folder } from "../../../support/state/folder.ts";

const open = (directory: string, maxEvents = 1000, agentEpoch = 1): Promise<EventLog> =>
  EventLog.open({ directory, maxEvents, agentEpoch, clock: systemClock, log: silentLog });

/** Sequences (or "overflow") of the next `count` items. */
async function take(log: EventLog, from: SubscribeFrom, count: number): Promise<(number | "overflow")[]> {
  const taken: (number | "overflow")[] = [];
  const signal = AbortSignal.timeout(60_000);
  for await (const event of log.subscribe(from, signal)) {
    taken.push(event.kind === "overflow" ? "overflow" : event.sequence);
    if (taken.length >= count) break;
  }
  return taken;
}

const never = new AbortController().signal;

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

const refusedWith = (reason: string) => (error: unknown) =>
  error instanceof SocleError && error.kind === "out_of_range" && error.reason === reason;

async function written(directory: string, text: string): Promise<void> {
  const isWritten = async (): Promise<boolean> => {
    const names = await readdir(join(directory, "events"));
    // A file may be gone by now: the ring drops its oldest.
    const read = (name: string) => readFile(join(directory, "events", name), "utf8").catch(() => "");
    const files = await Promise.all(names.map(read));
    return files.some((file) => file.includes(text));
  };
  await eventually(isWritten, { what: `an event with ${text} on the disk`, intervalMs: 5 });
}

test("a subscriber gets held events, then live ones, none missing, none twice", async (t) => {
  const log = await open(await folder(t));
  for (let i = 0; i < 50; i += 1) log.append({ kind: "vm_defined" });
  const taking = take(log, { afterSequence: 20 }, 80);
  for (let i = 0; i < 50; i += 1) {
    log.append({ kind: "vm_state_changed", vmId: "a" });
    if (i % 7 === 0) await new Promise(setImmediate);
  }
  assert.deepEqual(await taking, range(21, 100));
  assert.equal(log.newestSequence, 100);
  assert.equal(log.oldestSequence, 1);
  await log.flush();
});

test("a clean restart continues with the next number and still holds the events", async (t) => {
  const directory = await folder(t);
  const before = await open(directory, 1000, 7);
  before.append({ kind: "vm_defined", vmId: "a", details: { x: "1" } });
  before.append({ kind: "vm_removed", vmId: "a" });
  await before.flush();
  const after = await open(directory, 1000, 8);
  assert.equal(after.append({ kind: "resync" }).sequence, 3);
  const seen = [];
  for await (const event of after.subscribe({}, AbortSignal.timeout(60_000))) {
    seen.push(event);
    if (seen.length === 3) break;
  }
  assert.deepEqual(
    seen.map((event) => (event.kind === "overflow" ? event : [event.sequence, event.agentEpoch, event.kind])),
    [
      [1, 7, "vm_defined"],
      [2, 7, "vm_removed"],
      [3, 8, "resync"],
    ],
  );
  await after.flush();
});

test("after a crash no number is used again, and a resync names the events that may be lost", async (t) => {
  const directory = await folder(t);
  const crashed = await open(directory);
  t.after(() => crashed.flush());
  for (let i = 0; i < 10; i += 1) crashed.append({ kind: "vm_defined", vmId: `v${i}` });
  await written(directory, '"v9"');
  // The last of them was published but, because of a crash, did not reach the file.
  const [name = ""] = await readdir(join(directory, "events"));
  const path = join(directory, "events", name);
  const lines = (await readFile(path, "utf8")).split("\n");
  await writeFile(path, lines.slice(0, -2).join("\n") + "\n" + (lines.at(-2) ?? "").slice(0, 30));

  const after = await open(directory);
  const events = [];
  for await (const event of after.subscribe({ afterSequence: 9 }, AbortSignal.timeout(60_000))) {
    events.push(event);
    break;
  }
  const [resync] = events;
  assert.ok(resync?.kind === "resync" && resync.reason === "EVENTS_LOST");
  assert.equal(resync.details?.["lost_from"], "10");
  assert.equal(Number(resync.details["lost_to"]), resync.sequence - 1);
  assert.ok(resync.sequence > 10);
  // A subscriber that received number 10 comes back and gets a resync.
  assert.deepEqual(await take(after, { afterSequence: 10 }, 1), [resync.sequence]);
  await after.flush();
  const later = await open(directory);
  assert.equal(later.append({ kind: "resync" }).sequence, resync.sequence + 1);
  assert.deepEqual(await take(later, { afterSequence: 8 }, 2), [9, resync.sequence]);
  await later.flush();
});

test("a number that is too old is refused with the oldest held, a future number is refused", async (t) => {
  const directory = await folder(t);
  const log = await open(directory, 100);
  for (let i = 0; i < 250; i += 1) log.append({ kind: "vm_defined" });
  assert.equal(log.oldestSequence, 151);
  assert.throws(
    () => log.subscribe({ afterSequence: 149 }, AbortSignal.timeout(1)),
    (error) =>
      refusedWith("EVENTS_EXPIRED")(error) &&
      (error as SocleError).details.metadata?.["oldest_sequence"] === "151",
  );
  assert.throws(
    () => log.subscribe({ afterSequence: 251 }, AbortSignal.timeout(1)),
    refusedWith("SEQUENCE_AHEAD"),
  );
  assert.deepEqual(await take(log, { afterSequence: 150 }, 1), [151]);
  assert.deepEqual(await take(log, {}, 1), [151]);
  await log.flush();
});

test("a subscriber that is too slow gets an overflow and continues with the current event", async (t) => {
  const log = await open(await folder(t), 100);
  log.append({ kind: "vm_defined" });
  const abort = new AbortController();
  const events = log.subscribe({}, abort.signal)[Symbol.asyncIterator]();
  assert.equal(((await events.next()).value as { sequence: number }).sequence, 1);
  for (let i = 0; i < 500; i += 1) log.append({ kind: "vm_defined" });
  assert.deepEqual((await events.next()).value, { kind: "overflow" });
  log.append({ kind: "vm_removed" });
  assert.equal(((await events.next()).value as { sequence: number }).sequence, 502);
  const waiting = events.next();
  abort.abort();
  assert.equal((await waiting).done, true);
  await log.flush();
});

test("old files are removed, the ring stays complete across restarts", async (t) => {
  const directory = await folder(t);
  let log = await open(directory, 300);
  for (let round = 0; round < 20; round += 1) {
    for (let i = 0; i < 100; i += 1) log.append({ kind: "vm_defined" });
    await written(directory, `"sequence":${(round + 1) * 100},`);
  }
  await log.flush();
  const names = await readdir(join(directory, "events"));
  assert.ok(names.length <= 4, `${names.length} files`);
  log = await open(directory, 300);
  assert.equal(log.oldestSequence, 1701);
  assert.deepEqual(await take(log, { afterSequence: 1700 }, 300), range(1701, 2000));
  assert.throws(
    () => log.subscribe({ afterSequence: 1699 }, AbortSignal.timeout(1)),
    refusedWith("EVENTS_EXPIRED"),
  );
  await log.flush();
});

test("events beyond a reserved block are published once the next block is durable", async (t) => {
  const count = reserveBlock + 1000;
  const log = await open(await folder(t), 100_000);
  for (let i = 0; i < count; i += 1) log.append({ kind: "vm_defined" });
  assert.equal(log.newestSequence, reserveBlock);
  assert.deepEqual(await take(log, {}, count), range(1, count));
  await log.flush();
});

test("a damaged event loses those before it, never the start, and no subscriber skips it unnoticed", async (t) => {
  const directory = await folder(t);
  const before = await open(directory);
  for (let i = 0; i < 20; i += 1) before.append({ kind: "vm_defined", vmId: `v${i}` });
  await before.flush();
  const [name = ""] = await readdir(join(directory, "events"));
  const path = join(directory, "events", name);
  const bytes = await readFile(path);
  bytes[bytes.indexOf('"v11"') + 2] = 0x51;
  await writeFile(path, bytes);
  const after = await open(directory);
  assert.equal(after.oldestSequence, 13);
  assert.throws(
    () => after.subscribe({ afterSequence: 5 }, AbortSignal.timeout(1)),
    refusedWith("EVENTS_EXPIRED"),
  );
  assert.deepEqual(await take(after, { afterSequence: 12 }, 8), range(13, 20));
  assert.equal(after.append({ kind: "resync" }).sequence, 21);
  await after.flush();
});

/** A log whose disk fails, the log's messages about it, and a function that repairs the disk. */
async function refused(t: TestContext) {
  const directory = await folder(t);
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const errors: string[] = [];
  const log = await EventLog.open({
    directory,
    maxEvents: 1000,
    agentEpoch: 1,
    clock,
    log: Object.assign(Object.create(silentLog) as typeof silentLog, {
      error: (_: unknown, message: string) => errors.push(message),
    }),
  });
  for (let i = 0; i < 255; i += 1) log.append({ kind: "vm_defined" });
  await written(directory, '"sequence":255,');
  // The next file cannot be created: its directory is a file now.
  await rename(join(directory, "events"), join(directory, "aside"));
  await writeFile(join(directory, "events"), "");
  for (let i = 0; i < 2; i += 1) {
    log.append({ kind: "vm_defined", vmId: `refused${i}` });
    await new Promise(setImmediate);
  }
  await eventually(
    () => {
      if (errors.length === 0) log.append({ kind: "vm_defined" });
      return errors.length > 0;
    },
    { what: "the error", intervalMs: 2 },
  );
  const mend = async (): Promise<void> => {
    await rm(join(directory, "events"));
    await rename(join(directory, "aside"), join(directory, "events"));
    nowMs = 20_000;
  };
  return { directory, log, errors, mend };
}

test("a failing disk does not stop the publishing, and missed events are written once it is repaired", async (t) => {
  const { directory, log, errors, mend } = await refused(t);
  assert.equal(errors.length, 1);
  for (let i = 0; i < 3000; i += 1) log.append({ kind: "vm_removed" });
  const { newestSequence } = log;
  assert.ok(newestSequence > 3256, "published beyond the reserved block");
  await mend();
  log.append({ kind: "vm_defined", vmId: "well" });
  await written(directory, '"well"');
  await log.flush();
  const after = await open(directory);
  assert.equal(after.newestSequence, newestSequence + 1);
  await after.flush();
});

test("a retry of the disk writes nothing more once the log is flushed", async (t) => {
  const { directory, log, mend } = await refused(t);
  await mend();
  const started = t.mock.method(EventSegments.prototype, "startSegment");
  started.mock.mockImplementationOnce(() => Promise.reject(new Error("not yet")));
  log.append({ kind: "vm_defined" });
  await Promise.all([log.flush(), log.tryAgain()]);
  assert.equal(started.mock.callCount(), 2, "by the append and by the end");
  const after = await open(directory);
  assert.equal(after.newestSequence, log.newestSequence, "it ended well");
  await after.flush();
});

test("an unused file of the same name keeps its marks", async (t) => {
  const directory = await folder(t);
  for (let start = 0; start < 3; start += 1) await (await open(directory)).flush();
  const [name = ""] = await readdir(join(directory, "events"));
  await appendFile(join(directory, "events", name), "torn");
  const log = await open(directory);
  assert.equal(log.append({ kind: "resync" }).sequence, 1);
  await log.flush();
});

test("a subscriber gets an event before anything else runs: it waits for no disk", async (t) => {
  const log = await open(await folder(t));
  const abort = new AbortController();
  let newest = 0n;
  const following = (async () => {
    for await (const event of log.subscribe({ fromNow: true }, abort.signal))
      if (event.kind !== "overflow") newest = BigInt(event.sequence);
  })();
  for (let i = 0; i < 500; i += 1) {
    const { sequence } = log.append({ kind: "vm_state_changed" });
    // While promises run, no file, timer or socket callback runs.
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
    assert.equal(newest, BigInt(sequence));
  }
  abort.abort();
  await following;
  await log.flush();
});

test("a number of another log is refused: after a rollback no subscriber misses events under reused numbers", async (t) => {
  const directory = await folder(t);
  const log = await open(directory);
  const { logId } = log;
  for (let i = 0; i < 5; i += 1) log.append({ kind: "vm_defined" });
  await log.flush();
  const rolledBack = await open(directory);
  assert.equal(rolledBack.logId, logId, "a start alone changes nothing");
  assert.deepEqual(await take(rolledBack, { afterSequence: 3, logId }, 2), [4, 5]);
  await rolledBack.beginAnew();
  assert.notEqual(rolledBack.logId, logId);
  assert.equal(rolledBack.recent(1)[0]?.kind, "resync");
  assert.throws(
    () => rolledBack.subscribe({ afterSequence: 3, logId }, never),
    (error) => {
      assert.ok(refusedWith("EVENT_LOG_REPLACED")(error));
      assert.equal((error as SocleError).details.metadata?.["log_id"], rolledBack.logId);
      return true;
    },
  );
  assert.deepEqual(
    await take(rolledBack, { afterSequence: 3 }, 2),
    [4, 5],
    "a subscriber without a log id is not checked",
  );
  await rolledBack.flush();
  const after = await open(directory);
  assert.equal(after.logId, rolledBack.logId);
  await after.flush();
});

test("after a failed sync of the event log no number is given to two events, and later ones are written", async (t) => {
  const directory = await folder(t);
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const options = { directory, maxEvents: 1000, agentEpoch: 1, clock, log: silentLog };
  const log = await EventLog.open(options);
  const { failing } = await failingDisk(t, { of: /\/events\// });
  failing.datasync = true;
  // Half a block: the next mark is due, and needs a sync.
  for (let index = 0; index <= reserveBlock / 2; index += 1) log.append({ kind: "vm_defined" });
  await log.tryAgain();
  while (log.failure === undefined) await new Promise(setImmediate);
  assert.equal(log.failure.reason, "STATE_UNWRITABLE");
  const newest = log.newestSequence;
  failing.datasync = 0;
  nowMs += 60_000;
  await log.tryAgain();
  assert.equal(log.failure, undefined);
  const { sequence } = log.append({ kind: "vm_removed", vmId: "kept" });
  assert.equal(sequence, newest + 1);
  await written(directory, "kept");
  // Without a flush, as a kill leaves it.
  const after = await EventLog.open(options);
  assert.ok(after.append({ kind: "resync" }).sequence > sequence);
  assert.deepEqual(
    after
      .recent(4 * reserveBlock)
      .filter(({ vmId }) => vmId === "kept")
      .map(({ sequence: at }) => at),
    [sequence],
  );
  await after.flush();
});

test("an invalid event or mark loses only itself", async (t) => {
  const directory = await folder(t);
  const before = await open(directory);
  before.append({ kind: "vm_defined", vmId: "first" });
  await before.flush();
  const [name = ""] = (await readdir(join(directory, "events"))).filter((each) => each.endsWith(".log"));
  const event = { agentEpoch: 1, timeMs: 1, kind: "vm_defined" };
  for (const record of [
    { ...event, sequence: "2" },
    { ...event, sequence: 2, details: { x: 5 } },
    { reserved: 1e300 },
    { clean: true, next: "x" },
    null,
    { ...event, sequence: 2, vmId: "second" },
  ])
    await appendFile(join(directory, "events", name), encodeLine(JSON.stringify(record), 0));
  const log = await open(directory);
  const ids = log.recent(4 * reserveBlock).map(({ vmId }) => vmId);
  assert.deepEqual(ids.slice(0, 2), ["first", "second"]);
  assert.ok(log.append({ kind: "resync" }).sequence > 2);
  await log.flush();
});
