import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rename, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { HostRecord } from "../../../../agent/state/records/host-record.ts";
import { Position } from "../../../../agent/state/records/position.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { folder } from "../../../support/state/folder.ts";

test("the epoch counts every start, and the operator's settings outlive them", async (t) => {
  const directory = await folder(t);
  const first = await HostRecord.open(directory);
  assert.equal(first.agentEpoch, 1);
  assert.deepEqual(first.scheduling, { state: "active", reason: "" });
  await first.setScheduling({ state: "cordoned", reason: "new fans" });
  assert.equal(first.scheduling.state, "cordoned");
  const second = await HostRecord.open(directory);
  assert.equal(second.agentEpoch, 2);
  assert.deepEqual(second.scheduling, { state: "cordoned", reason: "new fans" });
  assert.deepEqual(await readdir(directory), ["host.json"]);
  assert.equal((await stat(join(directory, "host.json"))).mode & 0o777, 0o600);
});

test("the host's id is kept once it is decided", async (t) => {
  const directory = await folder(t);
  const first = await HostRecord.open(directory);
  assert.equal(first.hostId, undefined);
  const id = "0d7d2a08-6c56-4d36-8f0e-4b2a4f3a9a11";
  await Promise.all([first.setHostId(id), first.setScheduling({ state: "cordoned", reason: "x" })]);
  const second = await HostRecord.open(directory);
  assert.deepEqual([second.hostId, second.scheduling.reason], [id, "x"]);
});

test("the highest control epoch is kept, and never lowered", async (t) => {
  const directory = await folder(t);
  const first = await HostRecord.open(directory);
  assert.equal(first.controlEpoch, 0);
  const raised = first.raiseControlEpoch(7);
  assert.equal(first.controlEpoch, 7, "it counts before it is durable");
  await raised;
  await first.raiseControlEpoch(6);
  await first.setScheduling({ state: "active", reason: "" });
  assert.equal((await HostRecord.open(directory)).controlEpoch, 7);
});

test("a control epoch that could not be written is written with the next", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  await mkdir(join(directory, "host.json.new"));
  await assert.rejects(record.raiseControlEpoch(3));
  await rmdir(join(directory, "host.json.new"));
  await record.raiseControlEpoch(3);
  assert.equal((await HostRecord.open(directory)).controlEpoch, 3);
});

test("every flipped bit of the file is refused or has no effect", async (t) => {
  const directory = await folder(t);
  const first = await HostRecord.open(directory);
  await first.setHostId("0d7d2a08-6c56-4d36-8f0e-4b2a4f3a9a11");
  await first.raiseControlEpoch(41);
  const path = join(directory, "host.json");
  const good = await readFile(path);
  for (let bit = 0; bit < good.length * 8; bit += 1) {
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await writeFile(path, bad);
    const opened = await HostRecord.open(directory).catch((thrown: unknown) => thrown);
    if (opened instanceof HostRecord) {
      const { agentEpoch, controlEpoch, hostId, scheduling } = opened;
      const facts = [agentEpoch, controlEpoch, hostId, scheduling.state];
      assert.deepEqual(facts, [2, 41, first.hostId, "active"], `bit ${bit}`);
    } else {
      assert.ok(opened instanceof SocleError && opened.reason === "HOST_RECORD_CORRUPT", `bit ${bit}`);
    }
  }
});

test("a refused lower control epoch is in no other change, and none after a restart", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  await record.raiseControlEpoch(100);
  const { failing } = await failingDisk(t, { of: /host\.json/ });
  const third = (): Promise<void> => Promise.resolve(void (failing.write = 1));
  failing.write = () => Promise.resolve(void (failing.write = third));
  const [before, meanwhile, reset] = await Promise.allSettled([
    record.setScheduling({ state: "cordoned", reason: "a" }),
    record.setScheduling({ state: "cordoned", reason: "b" }),
    record.resetControlEpoch(5),
  ]);
  assert.deepEqual(
    [before.status, meanwhile.status, reset.status, record.controlEpoch],
    ["fulfilled", "fulfilled", "rejected", 100],
  );
  const written = await readFile(join(directory, "host.json"), "utf8");
  assert.equal((JSON.parse(written) as { controlEpoch: number }).controlEpoch, 100);
  await record.resetControlEpoch(5);
  assert.deepEqual([record.controlEpoch, (await HostRecord.open(directory)).controlEpoch], [5, 5]);
});

test("a control epoch found elsewhere counts if it is later: after more resets, or higher after as many", async (t) => {
  for (const [own, resets, found, isOwn, expected] of [
    [1, 0, { epoch: 7, resets: 0 }, true, { epoch: 7, resets: 0 }],
    [7, 0, { epoch: 1, resets: 0 }, true, { epoch: 7, resets: 0 }],
    [7, 0, { epoch: 2, resets: 1 }, true, { epoch: 2, resets: 1 }],
    [2, 1, { epoch: 7, resets: 0 }, true, { epoch: 2, resets: 1 }],
    [9, 0, { epoch: 7, resets: 3 }, false, { epoch: 9, resets: 3 }],
    [2, 2, { epoch: 7, resets: 0 }, false, { epoch: 7, resets: 2 }],
  ] as const) {
    const directory = await folder(t);
    const before = await HostRecord.open(directory);
    for (let count = 0; count < resets; count += 1) await before.resetControlEpoch(own);
    await before.raiseControlEpoch(own);
    const record = await HostRecord.open(directory);
    await record.followControlFence(found, { isOwn, isBeforeThisRun: true });
    for (const one of [record, await HostRecord.open(directory)])
      assert.deepEqual([one.controlFence, one.controlEpoch], [expected, expected.epoch]);
  }
});

const ofOwnLease = { isOwn: true, isBeforeThisRun: true };

test("a lease with more resets undercuts no scheduler that was accepted in this run", async (t) => {
  for (const [kept, accepted] of [
    [5, 7],
    [9, 9],
  ] as const) {
    const directory = await folder(t);
    await (await HostRecord.open(directory)).raiseControlEpoch(kept);
    const record = await HostRecord.open(directory);
    await record.raiseControlEpoch(accepted);
    await record.followControlFence({ epoch: 6, resets: 1 }, ofOwnLease);
    for (const one of [record, await HostRecord.open(directory)])
      assert.deepEqual([one.controlFence, one.controlEpoch], [{ epoch: accepted, resets: 1 }, accepted]);
  }
});

test("a reset in this run is later than the lease from before it, and not later than changes since", async (t) => {
  for (const [found, isBeforeThisRun, expected] of [
    [{ epoch: 9, resets: 0 }, true, { epoch: 4, resets: 1 }],
    [{ epoch: 9, resets: 1 }, true, { epoch: 4, resets: 2 }],
    [{ epoch: 9, resets: 4 }, true, { epoch: 4, resets: 5 }],
    [{ epoch: 9, resets: 1 }, false, { epoch: 9, resets: 1 }],
    [{ epoch: 2, resets: 2 }, false, { epoch: 4, resets: 2 }],
  ] as const) {
    const directory = await folder(t);
    const record = await HostRecord.open(directory);
    await record.raiseControlEpoch(12);
    await record.resetControlEpoch(3);
    await record.raiseControlEpoch(4);
    for (let looks = 1; looks <= 2; looks += 1)
      await record.followControlFence(found, { isOwn: true, isBeforeThisRun });
    for (const one of [record, await HostRecord.open(directory)])
      assert.deepEqual([one.controlFence, one.controlEpoch], [expected, expected.epoch]);
  }
});

test("a raise during the write of a reset or of a lease's fence is written after it, and counts throughout", async (t) => {
  type Write = (record: HostRecord) => Promise<void>;
  const reset: Write = (record) => record.resetControlEpoch(5);
  const follow =
    (epoch: number, resets: number): Write =>
    (record) =>
      record.followControlFence({ epoch, resets }, ofOwnLease);
  for (const [write, raised, during, after] of [
    [reset, 60, 60, { epoch: 60, resets: 1 }],
    [follow(50, 0), 60, 60, { epoch: 60, resets: 0 }],
    [follow(50, 2), 60, 60, { epoch: 60, resets: 2 }],
    [follow(6, 1), 40, 40, { epoch: 40, resets: 1 }],
    // A raise to the durable value waits for no write, and the reset comes after it.
    [reset, 40, 40, { epoch: 5, resets: 1 }],
  ] as const) {
    const directory = await folder(t);
    await (await HostRecord.open(directory)).raiseControlEpoch(40);
    const record = await HostRecord.open(directory);
    const { failing, restore } = await failingDisk(t, { of: /host\.json\.new$/ });
    let raise = Promise.resolve();
    const seen: number[] = [];
    failing.datasync = () => {
      raise = record.raiseControlEpoch(raised);
      seen.push(record.controlEpoch);
      failing.datasync = () => Promise.resolve(void seen.push(record.controlEpoch));
      return Promise.resolve();
    };
    await write(record);
    await raise;
    restore();
    assert.deepEqual(new Set(seen), new Set([during]));
    for (const one of [record, await HostRecord.open(directory)])
      assert.deepEqual([one.controlFence, one.controlEpoch], [after, after.epoch]);
  }
});

test("a lease's fence that could not be written counts, and is written by the next try", async (t) => {
  for (const found of [
    { epoch: 7, resets: 0 },
    { epoch: 7, resets: 1 },
  ]) {
    const directory = await folder(t);
    const record = await HostRecord.open(directory);
    await mkdir(join(directory, "host.json.new"));
    await assert.rejects(record.followControlFence(found, ofOwnLease));
    assert.equal(record.controlEpoch, 7);
    await rmdir(join(directory, "host.json.new"));
    await record.followControlFence(found, ofOwnLease);
    assert.deepEqual(record.controlFence, found);
    assert.deepEqual((await HostRecord.open(directory)).controlFence, found);
  }
});

test("a reset that is called during the write of a lease's fence comes after it", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  const { failing } = await failingDisk(t, { of: /host\.json\.new$/ });
  let reset = Promise.resolve();
  failing.datasync = () => Promise.resolve(void (reset = record.resetControlEpoch(3)));
  await record.followControlFence({ epoch: 50, resets: 4 }, ofOwnLease);
  await reset;
  assert.deepEqual([record.controlFence, record.controlEpoch], [{ epoch: 3, resets: 5 }, 3]);
  const [, again] = await Promise.all([record.resetControlEpoch(7), record.resetControlEpoch(8)]);
  assert.equal(again, undefined);
  assert.deepEqual(record.controlFence, { epoch: 8, resets: 7 });
});

test("a missing record is not created anew while the other files exist", async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, "operations.journal"), "");
  await assert.rejects(
    HostRecord.open(directory),
    (error) => error instanceof SocleError && error.reason === "HOST_RECORD_CORRUPT",
  );
});

test("an epoch that would not be read again is not written: above 2^53-1, or not a number", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  for (const epoch of [2 ** 53, 1.5, -1, NaN]) {
    const isInvalid = (error: unknown): boolean => error instanceof SocleError && error.kind === "invalid";
    await assert.rejects(record.raiseControlEpoch(epoch), isInvalid);
    await assert.rejects(record.resetControlEpoch(epoch), isInvalid);
  }
  assert.equal(record.controlEpoch, 0);
  const health = { latches: [], acknowledgements: [{ requestId: "a", condition: "b", atMs: NaN }] };
  await assert.rejects(record.setHealth(health), /would not be read again/);
  await record.setScheduling({ state: "cordoned", reason: "x" });
  assert.equal((await HostRecord.open(directory)).scheduling.reason, "x");
});

test("settings in quick succession end with the last, on the disk too", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  await Promise.all(["a", "b", "c"].map((reason) => record.setScheduling({ state: "cordoned", reason })));
  assert.equal(record.scheduling.reason, "c");
  assert.equal((await HostRecord.open(directory)).scheduling.reason, "c");
});

test("a failed write keeps the previous setting, and the next write may succeed", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  await mkdir(join(directory, "host.json.new"));
  await assert.rejects(
    record.setScheduling({ state: "cordoned", reason: "x" }),
    (error) => error instanceof SocleError && error.reason === "STATE_UNWRITABLE",
  );
  assert.equal(record.scheduling.state, "active");
  await rmdir(join(directory, "host.json.new"));
  await record.setScheduling({ state: "cordoned", reason: "y" });
  assert.equal(record.scheduling.reason, "y");
});

test("a record that is removed or replaced under the agent is not overwritten, and changes are refused", async (t) => {
  for (const replace of [true, false]) {
    const directory = await folder(t);
    const path = join(directory, "host.json");
    const record = await HostRecord.open(directory);
    await rename(path, join(directory, "kept"));
    if (replace) await writeFile(path, "another's");
    await assert.rejects(
      record.setScheduling({ state: "cordoned", reason: "x" }),
      (error) => error instanceof SocleError && error.reason === "STATE_LOST",
    );
    assert.equal(record.failure?.reason, "STATE_LOST");
    assert.match(record.failure.message, /put the state directory back as it was/);
    assert.equal(await readFile(path, "utf8").catch(() => "none"), replace ? "another's" : "none");
    await rename(join(directory, "kept"), path);
    await record.tryAgain();
    assert.equal(record.failure, undefined, "it is back as it was");
  }
});

test("a setting whose rename may not be durable is outcome_unknown, and the next write decides it", async (t) => {
  const directory = await folder(t);
  const record = await HostRecord.open(directory);
  const { failing } = await failingDisk(t);
  failing.sync = 1;
  await assert.rejects(
    record.setScheduling({ state: "cordoned", reason: "x" }),
    (error) => error instanceof SocleError && error.kind === "outcome_unknown",
  );
  await record.tryAgain();
  assert.equal(record.scheduling.state, "active");
  assert.equal((await HostRecord.open(directory)).scheduling.state, "active");
});

test("a damaged file is refused, not created anew: an epoch must never recur", async (t) => {
  const directory = await folder(t);
  for (const text of ["", "{", '{"version":2}', '{"version":1,"agentEpoch":-1}']) {
    await writeFile(join(directory, "host.json"), text);
    await assert.rejects(HostRecord.open(directory), (error) => {
      assert.ok(error instanceof SocleError && error.reason === "HOST_RECORD_CORRUPT");
      assert.match(error.message, /host\.json .*backup/);
      return true;
    });
  }
});

test("the generation rises with every change and followers see it", async () => {
  const position = new Position({ agentEpoch: 3 });
  const end = new AbortController();
  const changes = position.changes.subscribe(end.signal);
  assert.equal(position.generation, 0);
  assert.equal(position.bump(), 1);
  assert.equal(position.bump(), 2);
  end.abort();
  const seen: unknown[] = [];
  for await (const change of changes) seen.push(change.kind === "item" ? change.value : change.kind);
  assert.deepEqual(seen, [1, 2]);
});

test("a file of an earlier version, with a checksum and without later fields, is read", async (t) => {
  const directory = await folder(t);
  const earlier = { version: 1, agentEpoch: 4, scheduling: { state: "cordoned", reason: "disk" } };
  const sum = crc32(JSON.stringify(earlier)).toString(16).padStart(8, "0");
  await writeFile(join(directory, "host.json"), JSON.stringify({ ...earlier, crc32: sum }));
  const record = await HostRecord.open(directory);
  assert.deepEqual([record.agentEpoch, record.scheduling.state, record.controlEpoch], [5, "cordoned", 0]);
});
