import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { deleteWork } from "../../../agent/vm/delete-work.ts";
import { noOtherNames } from "../../../agent/vm/storage-names.ts";
import { VmTable } from "../../../agent/vm/vm-table.ts";
import type { WorkContext, WorkRun } from "../../../agent/vm/work.ts";
import { steps } from "./steps.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";

const step = steps();
const run: WorkRun = {
  operationId: "0193a0c0-0000-7000-8000-000000000001",
  vmId: ID,
  instance: "i",
  createdAtMs: 0,
  step,
  signal: new AbortController().signal,
  hasEnded: () => false,
  resumed: false,
  done: new Set(),
};
const intent = { kind: "DELETE_VM", volumes: [], force: true } as const;
const own = { origin: () => Promise.resolve({ isManaged: true, instance: "i" }) };

test("a guest that stops by itself when it is about to be deleted by force is deleted, its plug not pulled", async () => {
  const done: string[] = [];
  let isOff = false;
  const domains = {
    state: () => Promise.resolve({ state: isOff ? "stopped" : "running", stateReason: "" }),
    destroy: () => Promise.resolve(done.push("destroy")),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: {
      ...own,
      runNumber: () => {
        isOff = true;
        return Promise.resolve(undefined);
      },
    },
  };
  const context = { domains, table: new VmTable(), log: silentLog } as unknown as WorkContext;
  assert.deepEqual(await deleteWork(() => [])(context, intent, run), { volumes_deleted: "0" });
  assert.deepEqual(done, ["undefine"]);
});

test("the watermark is raised before the domain goes, which does not go where that is not certain", async () => {
  const done: string[] = [];
  const domains = {
    state: () => Promise.resolve({ state: "stopped", stateReason: "" }),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: own,
  };
  const raise = (): Promise<void> => Promise.resolve(void done.push("raise"));
  const stage = { domains, table: new VmTable(), log: silentLog, watermark: { raise } };
  await deleteWork(() => [])(stage as unknown as WorkContext, intent, run);
  assert.deepEqual(done, ["raise", "undefine"]);
  const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  const failing = { ...stage, watermark: { raise: () => Promise.reject(away) } };
  await assert.rejects(deleteWork(() => [])(failing as unknown as WorkContext, intent, run), {
    kind: "outcome_unknown",
  });
  assert.deepEqual(done, ["raise", "undefine"]);
});

test("a guest that is started while the watermark is raised is not deleted without force, though its disks are kept", async () => {
  const done: string[] = [];
  let state = "stopped";
  const domains = {
    state: () => Promise.resolve({ state, stateReason: "" }),
    undefine: () => Promise.resolve(done.push("undefine")),
    destroy: () => Promise.resolve(done.push("destroy")),
    stamps: own,
  };
  const raise = (): Promise<boolean> => {
    state = "running";
    return Promise.resolve(true);
  };
  const context = { domains, table: new VmTable(), log: silentLog, watermark: { raise } };
  await assert.rejects(
    deleteWork(() => [])(context as unknown as WorkContext, { ...intent, force: false }, run),
    { kind: "conflict" },
  );
  assert.deepEqual(done, []);
});

test("a guest that is started as its domain goes runs on where its disks are kept, but for force", async () => {
  for (const force of [false, true]) {
    const done: string[] = [];
    let state = "stopped";
    const domains = {
      state: () => Promise.resolve({ state, stateReason: "" }),
      undefine: () => {
        state = "running";
        return Promise.resolve(done.push("undefine"));
      },
      destroy: () => Promise.resolve(done.push("destroy")),
      stamps: own,
    };
    const context = { domains, table: new VmTable(), log: silentLog } as unknown as WorkContext;
    const deleted = deleteWork(() => [])(context, { ...intent, force }, run);
    if (force) await deleted;
    else await assert.rejects(deleted, { reason: "VM_RUNNING", message: /started while it was deleted/ });
    assert.deepEqual(done, force ? ["undefine", "destroy"] : ["undefine"]);
  }
});

test("a domain that has come under the id meanwhile stays", async () => {
  const done: string[] = [];
  const another = { origin: () => Promise.resolve({ isManaged: true, instance: "j" }) };
  const domains = {
    state: () => Promise.resolve({ state: "stopped", stateReason: "" }),
    undefine: () => Promise.resolve(done.push("undefine")),
    stamps: another,
  };
  const context = { domains, table: new VmTable(), log: silentLog } as unknown as WorkContext;
  await assert.rejects(deleteWork(() => [])(context, intent, run), { reason: "VM_REPLACED" });
  const resumed = { ...run, resumed: true, standing: undefined };
  assert.deepEqual(await deleteWork(() => [])(context, intent, resumed), { volumes_deleted: "0" });
  assert.deepEqual(done, []);
});

test("a guest that is started while its own disks are deleted is not ended without force, and stays to be deleted", async () => {
  for (const force of [false, true]) {
    const done: string[] = [];
    let state = "stopped";
    const domains = {
      state: () => Promise.resolve({ state, stateReason: "" }),
      undefine: () => Promise.resolve(done.push("undefine")),
      destroy: () => {
        state = "stopped";
        return Promise.resolve(done.push("destroy"));
      },
      stamps: { ...own, begin: () => Promise.resolve() },
    };
    const volumes = {
      dependents: () => Promise.resolve({ paths: [], overlays: [] }),
      names: { of: () => Promise.resolve(noOtherNames) },
      remove: () => {
        state = "running";
        return Promise.resolve(done.push("remove"));
      },
    };
    const table = new VmTable();
    table.completed(1);
    const context = { domains, volumes, table, log: silentLog } as unknown as WorkContext;
    const withDisk = { ...intent, force, volumes: [{ pool: "images", volume: "data.qcow2" }] };
    const deleted = deleteWork(() => [])(context, withDisk, run);
    if (force) await deleted;
    else await assert.rejects(deleted, { reason: "VM_RUNNING" });
    assert.deepEqual(done, force ? ["remove", "undefine", "destroy"] : ["remove"]);
  }
});
