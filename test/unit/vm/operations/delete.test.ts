import assert from "node:assert/strict";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { deleteVm, type DeleteIntent } from "../../../../agent/vm/operations/delete.ts";
import { noOtherNames } from "../../../../agent/vm/storage/storage-names.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import type { RunContext, WorkRun } from "../../../../agent/vm/operations/work.ts";
import { folder } from "../../../support/state/folder.ts";
import { steps } from "../../../support/vm/steps.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";

const step = steps();
const run: WorkRun = {
  operationId: "0193a0c0-0000-7000-8000-000000000001",
  vmId: ID,
  caller: "caller",
  instance: "i",
  createdAtMs: 0,
  step,
  signal: new AbortController().signal,
  hasEnded: () => false,
  resumed: false,
  done: new Set(),
};
const noCreations = { creations: () => [], socketDirectory: "/run/socle-guests" };
const intent: DeleteIntent = { volumes: [], force: true };
const own = {
  origin: () => Promise.resolve({ isManaged: true, instance: "i" }),
  facts: () => Promise.resolve(undefined),
};

test("a guest that stops before its forced deletion is deleted without a destroy", async () => {
  const done: string[] = [];
  let isOff = false;
  const domains = {
    state: () => Promise.resolve({ state: isOff ? "stopped" : "running", stateReason: "" }),
    destroy: () => Promise.resolve(done.push("destroy")),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: {
      ...own,
      mark: () => {
        isOff = true;
        return Promise.reject(new SocleError("conflict", "LIBVIRT_OPERATION_INVALID", "is not running"));
      },
      runNumber: () => Promise.resolve(undefined),
    },
  };
  const context = { domains, table: new VmTable(), log: silentLog, ...noCreations } as unknown as RunContext;
  assert.deepEqual(await deleteVm.run(context, intent, run), { volumes_deleted: "0" });
  assert.deepEqual(done, ["undefine"]);
});

test("a resumed deletion whose domain is gone succeeds and leaves a new domain with the same id alone", async () => {
  const done: string[] = [];
  const domains = {
    state: () => Promise.resolve({ state: "running", stateReason: "" }),
    destroy: () => Promise.resolve(done.push("destroy")),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: { origin: () => Promise.resolve({ isManaged: false }) },
  };
  const context = { domains, table: new VmTable(), log: silentLog, ...noCreations } as unknown as RunContext;
  const resumed = { ...run, resumed: true, done: new Set(["pull plug", "undefine"]) };
  await deleteVm.run(context, { ...intent, force: false }, resumed);
  assert.deepEqual(done, []);
});

test("the watermark is raised before the undefine, and a failed raise prevents it", async () => {
  const done: string[] = [];
  const domains = {
    state: () => Promise.resolve({ state: "stopped", stateReason: "" }),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: own,
  };
  const raise = (): Promise<void> => Promise.resolve(void done.push("raise"));
  const stage = { domains, table: new VmTable(), log: silentLog, watermark: { raise }, ...noCreations };
  await deleteVm.run(stage as unknown as RunContext, intent, run);
  assert.deepEqual(done, ["raise", "undefine"]);
  const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  const failing = { ...stage, watermark: { raise: () => Promise.reject(away) } };
  await assert.rejects(deleteVm.run(failing as unknown as RunContext, intent, run), {
    kind: "outcome_unknown",
  });
  assert.deepEqual(done, ["raise", "undefine"]);
});

/** A VM that is off until another client starts it at this step of its deletion. */
function startedAt(moment: "raise" | "remove" | "undefine", before = "stopped") {
  const done: string[] = [];
  let state = before;
  const step = (name: string) => (): Promise<unknown> => {
    done.push(name);
    if (name === moment) state = "running";
    if (name === "destroy") state = "stopped";
    return Promise.resolve(true);
  };
  const domains = {
    state: () => Promise.resolve({ state, stateReason: "" }),
    undefine: step("undefine"),
    destroy: step("destroy"),
    stamps: { ...own, begin: () => Promise.resolve() },
  };
  const volumes = {
    dependents: () => Promise.resolve({ paths: [], overlays: [] }),
    names: { of: () => Promise.resolve(noOtherNames) },
    remove: step("remove"),
  };
  const table = new VmTable();
  table.completed(1);
  const watermark = { raise: step("raise") };
  const context = {
    domains,
    volumes,
    table,
    log: silentLog,
    watermark,
    ...noCreations,
  } as unknown as RunContext;
  return { context, done };
}

test("a guest started during its deletion is ended only by force, whatever is left of its disks", async () => {
  const disk = { pool: "images", volume: "data.qcow2" };
  for (const [moment, volumes, gone, left] of [
    ["raise", [], ["raise", "undefine", "destroy"], ["raise"]],
    ["undefine", [], ["raise", "undefine", "destroy"], ["raise", "undefine"]],
    ["remove", [disk], ["raise", "remove", "undefine", "destroy"], ["raise", "remove"]],
    ["undefine", [disk], ["raise", "remove", "undefine", "destroy"], ["raise", "remove", "undefine"]],
  ] as const) {
    const forced = startedAt(moment);
    await deleteVm.run(forced.context, { ...intent, volumes }, run);
    assert.deepEqual(forced.done, gone, moment);
    const patient = startedAt(moment);
    await assert.rejects(deleteVm.run(patient.context, { ...intent, volumes, force: false }, run), {
      reason: "VM_RUNNING",
      message: moment === "raise" ? /stop it first/ : /started while it was deleted/,
    });
    assert.deepEqual(patient.done, left, moment);
  }
});

test("a newer domain with the same id stays", async () => {
  const done: string[] = [];
  const another = { origin: () => Promise.resolve({ isManaged: true, instance: "j" }) };
  const domains = {
    state: () => Promise.resolve({ state: "stopped", stateReason: "" }),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: another,
  };
  const context = { domains, table: new VmTable(), log: silentLog, ...noCreations } as unknown as RunContext;
  await assert.rejects(deleteVm.run(context, intent, run), { reason: "VM_REPLACED" });
  const resumed = { ...run, resumed: true, standing: undefined };
  assert.deepEqual(await deleteVm.run(context, intent, resumed), { volumes_deleted: "0" });
  assert.deepEqual(done, []);
});

test("without libvirt a deletion fails while the domain exists, and is outcome_unknown once it is removed", async () => {
  const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  for (const moment of ["raise", "undefine"] as const) {
    const { context, done } = startedAt("undefine");
    const { domains } = context;
    const look = domains.state.bind(domains);
    const state: typeof look = (id) => (done.includes(moment) ? Promise.reject(away) : look(id));
    const origin: typeof own.origin = () => (done.includes(moment) ? Promise.reject(away) : own.origin());
    Object.assign(domains, { state, stamps: { ...own, origin } });
    await assert.rejects(deleteVm.run(context, intent, run), {
      kind: moment === "raise" ? "unavailable" : "outcome_unknown",
    });
    assert.equal(done.includes("undefine"), moment === "undefine");
  }
});

test("after the domain is removed, neither a key that stays in libvirt nor a cancellation fails the deletion", async () => {
  const refused = new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", "no secrets here");
  for (const error of [refused, new SocleError("cancelled", "CANCELLED", "cancelled")]) {
    const { context, done } = startedAt("raise");
    const keys = { forget: (): Promise<void> => Promise.reject(error) };
    const keyed = { ...intent, keyedParts: ["disk/root"] };
    const deletion = deleteVm.run({ ...context, keys } as unknown as RunContext, keyed, run);
    await assert.rejects(deletion, { kind: "outcome_unknown" });
    assert.ok(done.includes("undefine"));
  }
});

test("the result counts the disks that existed and are deleted", async () => {
  const disks = ["a.qcow2", "b.qcow2", "c.qcow2"].map((volume) => ({ pool: "images", volume }));
  const { context } = startedAt("raise");
  const remove = ({ volume }: { volume: string }): Promise<boolean> => Promise.resolve(volume === "a.qcow2");
  Object.assign(context.volumes, { remove });
  const earlier = new Set(["delete volume b.qcow2"]);
  const deletion = { ...intent, volumes: disks };
  const result = await deleteVm.run(context, deletion, {
    ...run,
    done: earlier,
  });
  assert.equal(result["volumes_deleted"], "2");
  const gone = { ...run, done: earlier, resumed: true, standing: undefined };
  Object.assign(context.volumes, { isThere: () => Promise.resolve(false) });
  const rest = await deleteVm.run(context, deletion, gone);
  assert.equal(rest["volumes_deleted"], "1");
});

test("a VM whose transient domain disappears loses its disks too, and the memory of its snapshots", async (t) => {
  const directory = await folder(t);
  await chmod(directory, 0o700);
  const file = `socle-${ID}.0a0a0a0a.memory`;
  await writeFile(join(directory, file), "memory");
  const noDomain = new SocleError("not_found", "LIBVIRT_NO_DOMAIN", "no domain");
  const volumes = [{ pool: "images", volume: "a.qcow2" }];
  const deletion = { ...intent, volumes, memory: [{ directory, file }] };
  const begin = (): Promise<void> => Promise.reject(noDomain);
  const transient = () => {
    const stage = startedAt("undefine", "running");
    const [mark, runNumber] = [() => Promise.resolve(), () => Promise.resolve(7)];
    Object.assign(stage.context.domains.stamps, { begin, mark, runNumber });
    const memorySnapshots = { isUnderWay: () => Promise.resolve(false) };
    Object.assign(stage.context.domains, { memorySnapshots });
    return stage;
  };
  const { context, done } = transient();
  const result = await deleteVm.run(context, deletion, run);
  assert.deepEqual([done, result["volumes_deleted"]], [["raise", "destroy", "remove"], "1"]);
  assert.deepEqual(await readdir(directory), []);
  const unusable = transient();
  const memory = [{ directory: join(directory, "none"), file }];
  await assert.rejects(deleteVm.run(unusable.context, { ...deletion, memory }, run), {
    reason: "SNAPSHOT_MEMORY_LEFT",
    message: /all else of the VM is deleted/,
  });
  assert.deepEqual(unusable.done, done);
  // Another client removed the domain of a VM that was off: the disks may be needed.
  const removed = startedAt("undefine");
  Object.assign(removed.context.domains.stamps, { begin });
  await assert.rejects(deleteVm.run(removed.context, deletion, run), noDomain);
  assert.deepEqual(removed.done, ["raise"]);
});

test("a deletion with effects cannot be cancelled, and a guest of another domain is not stopped", async () => {
  const { context, done } = startedAt("undefine");
  let commits = 0;
  const committing = Object.assign(steps(), { commit: () => (commits += 1) });
  let looks = 0;
  const origin = (): Promise<unknown> =>
    Promise.resolve({ isManaged: true, instance: (looks += 1) > 2 ? "another" : "i" });
  Object.assign(context.domains.stamps, { origin });
  await deleteVm.run(context, intent, { ...run, step: committing });
  assert.deepEqual([commits, done], [1, ["raise", "undefine"]]);
});

test("a deletion fails and keeps the keys when another client removed the domain and disks are left", async () => {
  const { context } = startedAt("raise");
  const requested: string[] = [];
  const isThere = ({ volume }: { volume: string }): Promise<boolean> => {
    requested.push(volume);
    return Promise.resolve(volume === "b.qcow2");
  };
  const forgotten: string[] = [];
  Object.assign(context.volumes, { isThere });
  Object.assign(context, { keys: { forget: () => Promise.resolve(forgotten.push("key")) } });
  const disks = ["a.qcow2", "b.qcow2", "c.qcow2"].map((volume) => ({ pool: "images", volume }));
  const gone = { ...run, resumed: true, done: new Set(["delete volume a.qcow2"]) };
  const deletion = { ...intent, volumes: disks, keyedParts: ["b"] };
  await assert.rejects(deleteVm.run(context, deletion, gone), ({ kind, reason, message }: SocleError) => {
    assert.deepEqual([kind, reason], ["conflict", "DISKS_NOT_DELETED"]);
    assert.match(message, /still exist: images\/b\.qcow2\./);
    return true;
  });
  assert.deepEqual([requested, forgotten], [["b.qcow2", "c.qcow2"], []]);
  const away = new SocleError("unavailable", "POOL_INACTIVE", "images is not active");
  Object.assign(context.volumes, { isThere: () => Promise.reject(away) });
  await assert.rejects(deleteVm.run(context, deletion, gone), { kind: "outcome_unknown" });
});

test("a cancelled deletion is resumed when an earlier run had an effect", async () => {
  const goesOn = async (more: Partial<WorkRun>): Promise<boolean> => {
    const { context } = startedAt("raise");
    let isGoingOn = false;
    const step = Object.assign(steps(), { goOn: () => (isGoingOn = true) });
    await deleteVm.run(context, intent, { ...run, step, resumed: true, ...more });
    return isGoingOn;
  };
  const standing = { isManaged: true, instance: "i" };
  const begun = { ...standing, config: { operation: run.operationId, phase: "begun" } } as const;
  assert.equal(await goesOn({ standing }), false);
  assert.equal(await goesOn({ standing: begun }), true);
  assert.equal(await goesOn({ standing, done: new Set(["mark run"]) }), true);
  assert.equal(await goesOn({}), true, "its domain is gone");
});
