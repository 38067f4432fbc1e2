// Events in files that the file system cannot read: the agent starts, and no number means two events.
import assert from "node:assert/strict";
import { mkdir, readdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { EventLog } from "../../../../agent/state/events/event-log.ts";
import { folder } from "../../../support/state/folder.ts";

const open = (directory: string): Promise<EventLog> =>
  EventLog.open({ directory, maxEvents: 1000, agentEpoch: 1, clock: systemClock, log: silentLog });

const never = new AbortController().signal;

test("an unreadable event file loses its events, and no number is used again under the same log id", async (t) => {
  const directory = await folder(t);
  for (const vmId of ["first", "second"]) {
    const log = await open(directory);
    log.append({ kind: "vm_defined", vmId });
    await log.flush();
  }
  const before = await open(directory);
  const { logId, newestSequence } = before;
  await before.flush();
  const files = (await readdir(join(directory, "events"))).filter((name) => name.endsWith(".log")).sort();
  assert.ok(files.length > 1);
  for (const name of [files[0] ?? "", files.at(-1) ?? ""]) {
    const path = join(directory, "events", name);
    await rename(path, join(directory, "good"));
    await mkdir(path);
    const log = await open(directory);
    assert.equal(log.failure, undefined);
    assert.notEqual(log.logId, logId);
    assert.throws(() => log.subscribe({ afterSequence: 1, logId }, never), { reason: "EVENT_LOG_REPLACED" });
    assert.ok(log.append({ kind: "vm_defined", vmId: "third" }).sequence > newestSequence);
    await log.flush();
    await rmdir(path);
    await rename(join(directory, "good"), path);
  }
});

test("events stay in memory where their directory cannot be used, and the files stay as they are", async (t) => {
  const directory = await folder(t);
  const before = await open(directory);
  before.append({ kind: "vm_defined", vmId: "kept" });
  await before.flush();
  const events = join(directory, "events");
  await rename(events, `${events}.good`);
  await writeFile(events, "");
  const log = await open(directory);
  assert.equal(log.failure?.reason, "STATE_UNWRITABLE");
  assert.match(
    log.failure.message,
    /events cannot be used \(EEXIST.*\): events stay in memory; check the disk/,
  );
  assert.notEqual(log.logId, before.logId);
  for (let index = 0; index < 3; index += 1) log.append({ kind: "vm_defined" });
  const received: number[] = [];
  for await (const event of log.subscribe({}, AbortSignal.timeout(60_000))) {
    if (event.kind !== "overflow") received.push(event.sequence);
    if (received.length === 3) break;
  }
  assert.deepEqual(received, [1, 2, 3]);
  await log.tryAgain();
  assert.equal(log.failure.reason, "STATE_UNWRITABLE");
  const { logId } = log;
  await log.beginAnew();
  assert.notEqual(log.logId, logId);
  await log.flush();
  await rm(events);
  await rename(`${events}.good`, events);
  const after = await open(directory);
  assert.deepEqual([after.failure, after.logId], [undefined, before.logId]);
  assert.deepEqual(
    after.recent(9).map(({ vmId }) => vmId),
    ["kept"],
  );
  await after.flush();
});

test("a start fails when neither the host record nor the event log has the agent's epoch", async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, "events"), "");
  const options = { directory, maxEvents: 9, agentEpoch: undefined, clock: systemClock, log: silentLog };
  await assert.rejects(EventLog.open(options), { reason: "STATE_UNWRITABLE" });
});
