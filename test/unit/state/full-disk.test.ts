// What opens on a disk without a free byte, and what it writes once there is space again.
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { EventLog } from "../../../agent/state/events/event-log.ts";
import { HostRecord } from "../../../agent/state/records/host-record.ts";
import { openStateDirectory } from "../../../agent/state/records/state-directory.ts";
import { fill, smallDisk } from "../../support/small-disk.ts";

const refusal = (error: unknown): boolean =>
  error instanceof SocleError && error.kind === "exhausted" && error.reason === "STATE_UNWRITABLE";

test("the directory is locked on a full disk too; only a write finds out whether it is writable", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const path = join(disk, "state");
  await (await openStateDirectory(path, silentLog)).release();
  const filler = await fill(disk);
  const state = await openStateDirectory(path, silentLog);
  await assert.rejects(openStateDirectory(path, silentLog), { reason: "STATE_IN_USE" });
  await state.tryAgain();
  assert.ok(refusal(state.failure));
  assert.match(
    state.failure?.message ?? "",
    /cannot be written \(ENOSPC.*\): free space there, or set state\.directory$/,
  );
  await rm(filler);
  await state.tryAgain();
  assert.equal(state.failure, undefined);
  await fill(disk);
  await state.tryAgain();
  assert.ok(refusal(state.failure), "it is full again, without a change by any caller");
  await state.release();
  await (await openStateDirectory(path, silentLog)).release();
  assert.equal((await readdir(path)).length, 1);
});

test("starts on a full disk are counted; a refused write is reported until one succeeds", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const before = await HostRecord.open(disk);
  await before.setScheduling({ state: "cordoned", reason: "fans" });
  const filler = await fill(disk);
  assert.equal((await HostRecord.open(disk)).agentEpoch, before.agentEpoch + 1);
  const record = await HostRecord.open(disk);
  assert.equal(record.agentEpoch, before.agentEpoch + 2);
  assert.equal(record.scheduling.reason, "fans");
  assert.ok(refusal(record.failure));
  await assert.rejects(record.setScheduling({ state: "active", reason: "" }), refusal);
  await record.tryAgain();
  assert.ok(refusal(record.failure));
  await rm(filler);
  await record.tryAgain();
  assert.equal(record.failure, undefined);
  assert.deepEqual(await readdir(disk), ["host.json"]);
  assert.equal((await HostRecord.open(disk)).agentEpoch, before.agentEpoch + 3);
});

test("events are published on a full disk, and none of their numbers twice, however the agent ends", async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const open = (agentEpoch: number): Promise<EventLog> =>
    EventLog.open({ directory: disk, maxEvents: 100, agentEpoch, clock: systemClock, log: silentLog });
  const before = await open(1);
  before.append({ kind: "vm_defined" });
  await before.flush();
  let filler = await fill(disk);
  const killed = await open(2);
  killed.append({ kind: "vm_defined" });
  assert.equal(killed.newestSequence, 2);
  assert.ok(refusal(killed.failure));
  const events = await open(3);
  const [lost] = events.recent(1);
  assert.equal(lost?.reason, "EVENTS_LOST");
  assert.equal(lost.details?.["lost_from"], "2");
  const lastSequence = events.newestSequence;
  await events.tryAgain();
  assert.ok(refusal(events.failure));
  await rm(filler);
  await events.tryAgain();
  assert.equal(events.failure, undefined);
  await events.flush();
  const after = await open(4);
  assert.equal(after.append({ kind: "vm_defined" }).sequence, lastSequence + 1);
  await after.flush();
  filler = await fill(disk);
  const full = await open(5);
  for (let count = 0; count < 200; count += 1) full.append({ kind: "vm_defined" });
  const newest = full.newestSequence;
  await full.flush();
  await rm(filler);
  const last = await open(6);
  assert.ok(last.append({ kind: "vm_defined" }).sequence > newest);
  await last.flush();
});
