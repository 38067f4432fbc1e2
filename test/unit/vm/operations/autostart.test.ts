import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import type { HostBoot } from "../../../../agent/state/records/host-record.ts";
import { Autostart, type AutostartOptions } from "../../../../agent/vm/operations/autostart.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { failed, OwnStartsStage } from "../../../support/vm/own-starts-stage.ts";

const autostart = { autostart: true };

/** Runs autostart on a stage whose host has booted; `record`: as the agent found it. */
function begin(
  t: TestContext,
  stage: OwnStartsStage,
  {
    boot,
    bootId = "this boot",
    flagged = [],
    refusals = 0,
  }: {
    boot: HostBoot | undefined;
    bootId?: string;
    flagged?: readonly string[];
    refusals?: number;
  },
) {
  let left = refusals;
  const record = {
    boot,
    setBoot(next: HostBoot): Promise<void> {
      if ((left -= 1) >= 0) return Promise.reject(new SocleError("exhausted", "STATE_UNWRITABLE", "full"));
      record.boot = next;
      return Promise.resolve();
    },
  };
  const switchedOff: string[] = [];
  const { operations, starts, table, publish, clock } = stage;
  const options = {
    bootId,
    record,
    operations,
    starts,
    table,
    publish,
    clock,
    log: silentLog,
    libvirt: { call: () => Promise.resolve({ domains: flagged.map((uuid) => ({ uuid })) }) },
    domains: { setAutostart: (id: string) => Promise.resolve(void switchedOff.push(id)) },
  };
  const end = new AbortController();
  const service = new Autostart(options as unknown as AutostartOptions);
  const run = service.run(end.signal, () => undefined);
  t.after(async () => {
    end.abort();
    await run;
  });
  table.completed(1);
  return { record, service, switchedOff };
}

const before: HostBoot = { id: "the boot before", autostarted: true };

test("VMs with autostart start once after a boot: the highest priority first, each delay after the starts before", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("plain", "stopped", {});
  stage.put("runs", "running", autostart);
  stage.put("b", "stopped", autostart);
  stage.put("a", "stopped", autostart);
  stage.put("first", "stopped", { ...autostart, startPriority: 9 });
  stage.put("late", "stopped", { ...autostart, startPriority: 5, startDelaySeconds: 60 });
  const { record } = begin(t, stage, { boot: before });
  await stage.turns();
  assert.deepEqual(stage.started, ["first"]);
  assert.equal(record.boot?.autostarted, undefined);
  await stage.advance(60_000);
  assert.deepEqual(stage.started, ["first", "late", "a", "b"]);
  assert.deepEqual(record.boot, { id: "this boot", autostarted: true });

  stage.put("a", "stopped");
  const again = begin(t, stage, { boot: record.boot });
  await stage.turns();
  assert.equal(stage.started.length, 4);
  assert.equal(again.record.boot?.autostarted, true);
});

test("a tenant's delays hold up no other tenant's VMs, and the provider's VMs start first", async (t) => {
  const stage = new OwnStartsStage();
  const [greedy, other] = ["greedy", "other"].map((tenant) => ({ ...autostart, tenant }));
  for (const name of ["greedy-1", "greedy-2"])
    stage.put(name, "stopped", { ...greedy, startPriority: 1000, startDelaySeconds: 3600 });
  stage.put("other", "stopped", other);
  stage.put("providers", "stopped", autostart);
  const { record } = begin(t, stage, { boot: before });
  await stage.turns();
  assert.deepEqual(stage.started, ["providers", "other"]);
  await stage.advance(3_600_000);
  await stage.advance(3_600_000);
  assert.deepEqual(stage.started, ["providers", "other", "greedy-1", "greedy-2"]);
  assert.equal(record.boot?.autostarted, true);
});

test("a VM that another caller changed since the boot is left alone, also after a restart of the agent", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("stopped-before", "stopped", autostart);
  stage.put("stopped-since", "stopped", autostart);
  const newest = stage.add("stopped-before", "STOP_VM");
  stage.add("stopped-since", "STOP_VM");
  begin(t, stage, { boot: { id: "this boot", newestOperation: newest.id } });
  await stage.turns();
  assert.deepEqual(stage.started, ["stopped-before"]);

  // It went off by itself, and the agent died before it recorded the end.
  stage.put("stopped-before", "stopped");
  begin(t, stage, { boot: { id: "this boot", newestOperation: newest.id } });
  await stage.turns();
  assert.deepEqual(stage.started, ["stopped-before"]);
});

test("the first agent of a boot records its newest operation before it starts a VM, as soon as it can", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("vm", "stopped", autostart);
  const newest = stage.add("vm", "STOP_VM");
  const { record } = begin(t, stage, { boot: before, refusals: 2 });
  await stage.advance(5000);
  assert.deepEqual(stage.started, []);
  await stage.advance(5000);
  assert.deepEqual(stage.started, ["vm"]);
  assert.deepEqual(record.boot, { id: "this boot", newestOperation: newest.id, autostarted: true });
});

test("a new state directory starts nothing in this boot", async (t) => {
  const stage = new OwnStartsStage();
  stage.put("vm", "stopped", autostart);
  const { record } = begin(t, stage, { boot: undefined });
  await stage.turns();
  assert.deepEqual(stage.started, []);
  assert.deepEqual(record.boot, { id: "this boot", autostarted: true });
});

test("a failed start is reported, after further attempts if it may pass, and the rest goes on", async (t) => {
  const stage = new OwnStartsStage();
  for (const name of ["broken", "slow", "ok"]) stage.put(name, "stopped", autostart);
  stage.ends.set("broken", () => failed("not_found", "VOLUME_NOT_FOUND"));
  let times = 0;
  stage.ends.set("slow", () => ((times += 1) < 3 ? failed("unavailable", "STORAGE_UNRESPONSIVE") : {}));
  const { service, record } = begin(t, stage, { boot: before });
  await stage.turns();
  assert.deepEqual(stage.started, ["broken", "ok", "slow"]);
  await stage.advance(10_000);
  await stage.advance(10_000);
  assert.deepEqual(stage.started, ["broken", "ok", "slow", "slow", "slow"]);
  assert.equal(service.failures, 1);
  assert.deepEqual(
    stage.events.map(({ kind, vmName, reason }) => [kind, vmName, reason]),
    [["vm_autostart_failed", "broken", "VOLUME_NOT_FOUND"]],
  );
  assert.equal(record.boot?.autostarted, true);
});

test("libvirt's own autostart is switched off only for VMs that the agent starts", async (t) => {
  const stage = new OwnStartsStage();
  const ours = stage.put("ours", "running", autostart);
  const other = stage.put("other", "running", {});
  const { switchedOff } = begin(t, stage, { boot: before, flagged: [ours.id, other.id, "unknown"] });
  await stage.turns();
  assert.deepEqual(switchedOff, [ours.id]);
});

test("a VM whose interrupted merge or move goes on is started after it, unlike one that a person paused", async (t) => {
  const stage = new OwnStartsStage();
  for (const name of ["merging", "moving", "paused", "changed"]) stage.put(name, "paused", autostart);
  stage.add("paused", "DELETE_SNAPSHOT");
  // Of a guest that ran, and that a person has paused meanwhile.
  stage.add("changed", "MOVE_DISK", { state: "running" });
  const steps = [{ name: "note that it is off", startedAtMs: 0 }] as const;
  stage.add("merging", "DELETE_SNAPSHOT", { state: "running", steps });
  const newest = stage.add("moving", "MOVE_DISK", { state: "running", steps });
  begin(t, stage, { boot: { id: "this boot", newestOperation: newest.id } });
  await stage.turns();
  assert.deepEqual(stage.started.toSorted(), ["merging", "moving"]);
});

test("a VM with a rescue system is not started as itself", async (t) => {
  const stage = new OwnStartsStage();
  const vm = stage.put("rescued", "stopped", autostart);
  const rescue = { pool: "p", volume: "v", baseVolume: "b", capacityBytes: 1, startsAfter: true };
  stage.table.put({ ...vm, rescue, etag: "rescued" });
  stage.put("plain", "stopped", autostart);
  begin(t, stage, { boot: before });
  await stage.turns();
  assert.deepEqual(stage.started, ["plain"]);
});

test("a VM whose QEMU runs for a backup alone is started in it at its turn", async (t) => {
  const stage = new OwnStartsStage();
  for (const [name, off, kind] of [
    ["backup", true, "BEGIN_BACKUP"],
    // A guest that was paused, or that a person stopped, under a backup.
    ["paused", undefined, "BEGIN_BACKUP"],
    ["stopped", true, "STOP_VM"],
  ] as const) {
    const vm = stage.put(name, "paused", autostart);
    const open = { id: "0123456789abcdef", createdAtMs: 0, disks: [], leaseMs: 1, scratchBytes: 0 };
    const now = { ...open, phase: "open" as const, ...(off === undefined ? {} : { off }) };
    stage.table.put(withEtag({ ...vm, backups: { open: now, stale: [] } }));
    stage.add(name, kind);
  }
  begin(t, stage, { boot: { id: "this boot" } });
  await stage.turns();
  assert.deepEqual(stage.started, ["backup"]);
});
