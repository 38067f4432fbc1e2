import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { CrashRestarts } from "../../../../agent/vm/operations/crash-restarts.ts";
import { failed, OwnStartsStage } from "../../../support/vm/own-starts-stage.ts";

const restart = { crashPolicy: "restart" };
const HOUR_MS = 3_600_000;

async function begin(t: TestContext, stage: OwnStartsStage, mostPerHour = 3): Promise<CrashRestarts> {
  const { operations, starts, table, publish, clock } = stage;
  const log = silentLog;
  const service = new CrashRestarts({ operations, starts, table, publish, mostPerHour, clock, log });
  const end = new AbortController();
  const run = service.run(end.signal, () => undefined);
  t.after(async () => {
    end.abort();
    await run;
  });
  table.completed(1);
  await stage.turns();
  return service;
}

const crash = (stage: OwnStartsStage, name: string): void => void stage.put(name, "stopped", {}, "CRASHED");
const kinds = (stage: OwnStartsStage): string[] => stage.events.map(({ kind }) => kind);

test("a crashed VM is started again with growing delays, until it has crashed too often within an hour", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("vm", "running", restart);
  const service = await begin(t, stage);
  for (const [times, delayMs] of [1000, 10_000, 20_000].entries()) {
    crash(stage, "vm");
    await stage.advance(delayMs - 1);
    assert.equal(stage.started.length, times);
    await stage.advance(1);
    assert.equal(stage.started.length, times + 1);
  }
  crash(stage, "vm");
  await stage.advance(600_000);
  assert.equal(stage.started.length, 3);
  assert.deepEqual(kinds(stage), [
    ...Array.from({ length: 3 }, () => "vm_crash_restarted"),
    "vm_crash_restarts_exhausted",
  ]);
  assert.deepEqual(service.counts, { restarts: 3, exhausted: 1 });

  // The journal has them: an agent that starts now does not begin anew.
  await begin(t, stage);
  await stage.advance(600_000);
  assert.equal(stage.started.length, 3);
  await stage.advance(HOUR_MS);
  assert.equal(stage.started.length, 4);
});

test("a VM without the policy stays off, as one that was shut down or powered off", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("plain", "running", {});
  for (const name of ["shut", "destroyed"]) stage.put(name, "running", restart);
  await begin(t, stage);
  crash(stage, "plain");
  stage.put("shut", "stopped", {}, "SHUTDOWN");
  stage.put("destroyed", "stopped", {}, "DESTROYED");
  await stage.advance(HOUR_MS);
  assert.deepEqual(stage.started, []);
});

test("a stop, a suspension and a deletion win, also one that began before the crash or during the delay", async (t) => {
  const stage = new OwnStartsStage();
  for (const name of ["stopping", "late", "suspended", "deleted"]) stage.put(name, "running", restart);
  await begin(t, stage);
  stage.add("stopping", "STOP_VM", { state: "running" });
  stage.add("suspended", "SUSPEND_VM", { state: "outcome_unknown" });
  for (const name of ["stopping", "late", "suspended", "deleted"]) crash(stage, name);
  await stage.advance(500);
  stage.add("late", "STOP_VM");
  stage.add("deleted", "DELETE_VM", { state: "running" });
  await stage.advance(HOUR_MS);
  assert.deepEqual(stage.started, []);
});

test("a VM that was off stays off when a QEMU that merged its snapshots or moved its disk crashes", async (t) => {
  const stage = new OwnStartsStage();
  const work = { merged: "DELETE_SNAPSHOT", moved: "MOVE_DISK" } as const;
  for (const name of Object.keys(work)) {
    stage.put(name, "stopped", restart, "SHUTDOWN");
    stage.add(name, "START_VM");
  }
  await begin(t, stage);
  const steps = [{ name: "note that it is off", outcome: "done", startedAtMs: 0, endedAtMs: 0 }] as const;
  for (const [name, kind] of Object.entries(work)) {
    stage.add(name, kind, { state: "failed", steps });
    stage.put(name, "paused", restart);
    crash(stage, name);
  }
  await stage.advance(HOUR_MS);
  assert.deepEqual(stage.started, []);
});

test("a VM that was off before its rescue stays off when the rescue system had crashed", async (t) => {
  const stage = new OwnStartsStage();
  for (const name of ["off", "ran"]) {
    stage.put(name, "stopped", restart, "CRASHED");
    stage.add(name, "START_VM");
    stage.add(name, "RESCUE_VM");
    stage.add(name, "UNRESCUE_VM", { result: { started: String(name === "ran") } });
  }
  await begin(t, stage);
  await stage.advance(HOUR_MS);
  assert.deepEqual(stage.started, ["ran"], "its own system crashed");
});

test("a guest that a person resumed in the QEMU of a backup is started again after a crash", async (t) => {
  const stage = new OwnStartsStage();
  const steps = [{ name: "note that it is off", outcome: "done", startedAtMs: 0, endedAtMs: 0 }] as const;
  for (const name of ["resumed", "paused", "failed"]) {
    stage.put(name, "paused", restart);
    stage.add(name, "BEGIN_BACKUP", { steps });
  }
  await begin(t, stage);
  stage.add("resumed", "RESUME_VM");
  stage.add("failed", "RESUME_VM", { state: "failed" });
  for (const name of ["resumed", "paused", "failed"]) crash(stage, name);
  await stage.advance(HOUR_MS);
  assert.deepEqual(stage.started, ["resumed"]);
});

test("a failed stop does not keep a VM off; a change of the VM is waited for", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("vm", "running", restart);
  await begin(t, stage);
  stage.add("vm", "STOP_VM", { state: "failed" });
  const change = stage.add("vm", "ATTACH_DISK", { state: "running" });
  crash(stage, "vm");
  await stage.advance(1000);
  await stage.advance(1000);
  assert.deepEqual(stage.started, []);
  stage.end(change, "succeeded");
  await stage.advance(1000);
  await stage.advance(1000);
  assert.deepEqual(stage.started, ["vm"]);
});

test("a restart that fails is repeated, and counts", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("vm", "running", restart);
  stage.ends.set("vm", () => {
    stage.put("vm", "stopped", {}, "FAILED");
    return failed("internal", "LIBVIRT_INTERNAL_ERROR");
  });
  await begin(t, stage, 2);
  crash(stage, "vm");
  await stage.advance(1000);
  await stage.advance(10_000);
  assert.deepEqual(stage.started, ["vm", "vm"]);
  // Another agent takes it over where the first one ended.
  const again = await begin(t, stage, 2);
  assert.deepEqual(again.counts, { restarts: 0, exhausted: 1 });
});

test("a VM that crashed while no agent ran is started if the journal shows that it should run", async (t) => {
  const stage = new OwnStartsStage();
  for (const name of ["started", "stopped", "forgotten"]) stage.put(name, "stopped", restart, "CRASHED");
  stage.add("started", "START_VM");
  stage.add("stopped", "STOP_VM");
  await begin(t, stage);
  await stage.advance(HOUR_MS);
  assert.deepEqual(stage.started, ["started"]);
});

test("a rescue system that crashes is not started again as the VM", async (t) => {
  const stage = new OwnStartsStage();
  const vm = stage.put("vm", "running", restart);
  await begin(t, stage);
  const rescue = { pool: "p", volume: "v", baseVolume: "b", capacityBytes: 1, startsAfter: true };
  stage.table.put({ ...vm, rescue, isRescued: true, etag: "rescued" });
  await stage.turns();
  stage.table.put({ ...vm, rescue, state: "stopped", stateReason: "CRASHED", etag: "crashed" });
  await stage.advance(600_000);
  assert.deepEqual(stage.started, []);
});
