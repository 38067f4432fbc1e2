import assert from "node:assert/strict";
import { test } from "node:test";
import { maxOperationText } from "../../../../agent/api/convert/errors.ts";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { PivotNotes } from "../../../../agent/vm/hypervisor/block-jobs.ts";
import { layerName, snapshotsText, type Snapshots } from "../../../../agent/vm/model/snapshots.ts";
import { deleteSnapshot } from "../../../../agent/vm/operations/delete-snapshot.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

// A deletion of a snapshot whose libvirt died as a running guest was switched to the file below its layer, and what the next
// run of the operation does.

const MIB = 2 ** 20;
const { id: VM } = WorkStage;
const ID = "aaaaaaaa";
const baseOf = (disk: string) => ({ pool: "images", volume: `socle-${VM}-${disk}.qcow2` });
const topOf = (disk: string) => ({ pool: "images", volume: layerName(VM, disk, "bbbbbbbb") });
const DISKS = ["root", "data"];
const named = (of: typeof baseOf): Record<string, string> =>
  Object.fromEntries(DISKS.map((disk) => [disk, of(disk).volume]));
const snapshots: Snapshots = {
  snapshots: [{ id: ID, name: "one", createdAtMs: 1, volumes: named(baseOf) }],
  current: ID,
  active: named(topOf),
  loose: [],
};
const ALL = DISKS.flatMap((disk) => [`images/${baseOf(disk).volume}`, `images/${topOf(disk).volume}`]);
const BASES = DISKS.map((disk) => `images/${baseOf(disk).volume}`);
const DONE = ["mark snapshot", "note the switch of root", "merge root", "note the switch of data"];

const lost = (): SocleError => new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "no reply");
const refusal = (reason = "SOME_REFUSAL"): SocleError => new SocleError("conflict", reason, "it is refused");
const cancelled = () => AbortSignal.abort(new SocleError("cancelled", "CANCELLED", "by a person"));
const outcome = (end: Promise<unknown>): Promise<unknown> =>
  end.then(
    () => "done",
    (thrown: unknown) => toSocleError(thrown),
  );
const deletes = (on: WorkStage, run: WorkRun): Promise<unknown> =>
  outcome(deleteSnapshot.run(on.context, { id: ID, name: "one" }, run));

/** A running guest whose disks have a layer above the snapshot. */
function stage(more: object = {}): WorkStage {
  const on = new WorkStage([root, { ...root, name: "data" }], more);
  for (const disk of DISKS) on.files.set(disk, pathOf(topOf(disk)));
  for (const volume of ALL) on.volumes.set(volume, 64 * MIB);
  on.state = "running";
  on.note({ snapshots: snapshotsText(snapshots) ?? "" });
  return on;
}

/** The first run has ended while libvirt switched the second disk. `again`: the next run. */
async function cutOff(more: object = {}) {
  const on = stage(more);
  on.before = (effect) => {
    if (effect !== "merge data") return;
    on.before = () => undefined;
    throw lost();
  };
  assert.equal(((await deletes(on, on.run())) as SocleError).kind, "outcome_unknown");
  assert.ok(on.did.includes("merge root"), on.did.join());
  on.did.length = 0;
  const again = (run: Partial<WorkRun> = {}): Promise<unknown> =>
    deletes(on, { ...on.run({ done: DONE }), ...run });
  return { on, again };
}

function guestEnds(on: WorkStage): void {
  on.state = "stopped";
  on.mirrors.clear();
  on.show();
}

/** Nothing was merged, started or deleted, and the error names both files. */
function staysInDoubt(on: WorkStage, end: unknown): string {
  const { kind, reason, message } = end as SocleError;
  assert.deepEqual([kind, reason], ["outcome_unknown", "MERGE_IN_DOUBT"], String(end));
  for (const path of [pathOf(baseOf("data")), pathOf(topOf("data"))])
    assert.ok(message.includes(path), message);
  assert.ok(message.length + 600 < maxOperationText, `it is not cut: ${message.length}`);
  assert.match(message, /file below is right if QEMU had switched, and else the layer/);
  assert.match(
    message,
    /virsh edit .* goes on within a minute once the VM is off.* settle \S+ --as not-done/,
  );
  assert.deepEqual(on.did, []);
  assert.deepEqual([...on.volumes.keys()], ALL);
  return message;
}

const isDeleted = (on: WorkStage): void => {
  assert.deepEqual([...on.volumes.keys()], BASES);
  assert.deepEqual(on.facts.snapshots?.snapshots ?? [], []);
  assert.deepEqual(on.facts.snapshots?.active ?? {}, {});
};

test("a guest that ended while libvirt switched it to the file below a layer keeps both", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  assert.match(staysInDoubt(on, await again()), /Start the guest from neither/);
  staysInDoubt(on, await again({ signal: cancelled() }));
  // Another client starts the guest from the layer.
  on.state = "running";
  on.show();
  assert.match(staysInDoubt(on, await again()), /unless the guest was started again since/);
});

test("a guest that QEMU shows to write to the file below, which libvirt lost, is merged, and starts from that", async () => {
  const { on, again } = await cutOff();
  on.mirrors.clear();
  on.inQemu.set("data", pathOf(baseOf("data")));
  assert.equal(await again(), "done");
  assert.ok(on.did.includes(`define data ${pathOf(baseOf("data"))} qcow2`), on.did.join());
  assert.ok(!on.did.includes("merge data"), on.did.join());
  assert.deepEqual(on.facts.snapshots?.snapshots ?? [], []);
  assert.deepEqual(on.facts.snapshots?.active ?? {}, {});
  // libvirt shows the layer as in use until the next start: it is deleted later.
  assert.ok(on.volumes.has(`images/${topOf("data").volume}`));
  assert.ok(on.facts.snapshots?.loose.some(({ volume }) => volume === topOf("data").volume));
});

test("a guest that ends in the run that switches it is not started for another merge", async () => {
  const on = stage();
  on.before = (effect) => {
    if (effect !== "merge data") return;
    guestEnds(on);
    throw refusal("VM_STATE_CONFLICT");
  };
  const end = (await deletes(on, on.run())) as SocleError;
  assert.equal(end.reason, "MERGE_IN_DOUBT", String(end));
  assert.ok(!on.did.includes("start"), on.did.join());
});

test("a raw file below a layer is compared and named as such: its bytes are the guest's", async () => {
  const on = new WorkStage([{ ...root, source: { ...root.source, format: "raw" } }]);
  const [base, top] = [{ pool: "images", volume: `socle-${VM}-root.raw` }, topOf("root")];
  on.files.set("root", pathOf(top));
  for (const { volume } of [base, top]) on.volumes.set(`images/${volume}`, 64 * MIB);
  const one = {
    id: ID,
    name: "one",
    createdAtMs: 1,
    volumes: { root: base.volume },
    deleting: true as const,
  };
  const noted: Snapshots = { snapshots: [one], current: ID, active: { root: top.volume }, loose: [] };
  on.note({ snapshots: snapshotsText(noted) ?? "" });
  const again = () => deletes(on, on.run({ done: DONE.slice(0, 2) }));
  const { message } = (await again()) as SocleError;
  assert.match(message, /qemu-img compare -f qcow2 -F raw\).*the layer is qcow2, the file below is raw/);
  on.files.set("root", pathOf(base));
  assert.equal(await again(), "done");
  assert.ok(on.did.includes(`define root ${pathOf(base)} raw`), on.did.join());
});

test("a deletion in doubt goes on once a person has named the file below, also of a VM that is to be restarted", async () => {
  const { on, again } = await cutOff({ crashPolicy: "restart" });
  on.stateReason = "CRASHED";
  guestEnds(on);
  staysInDoubt(on, await again());
  on.files.set("data", pathOf(baseOf("data")));
  assert.equal(await again(), "done");
  assert.ok(!on.did.includes("start") && !on.did.includes("merge data"), on.did.join());
  assert.ok(on.did.includes(`define data ${pathOf(baseOf("data"))} qcow2`), on.did.join());
  isDeleted(on);
});

test("a person who settles it as not done keeps the layer: the next deletion merges it", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  staysInDoubt(on, await again());
  assert.equal(await deletes(on, on.run()), "done");
  assert.ok(on.did.includes("merge data"), on.did.join());
  isDeleted(on);
});

test("a deletion goes on if libvirt shows the switch, or the merge that still runs", async () => {
  for (const isSwitched of [true, false]) {
    const { on, again } = await cutOff();
    if (isSwitched) on.files.set("data", pathOf(baseOf("data")));
    if (isSwitched) on.mirrors.clear();
    assert.equal(await again(), "done");
    assert.equal(on.did.includes("merge data"), !isSwitched);
    isDeleted(on);
  }
});

test("a merge whose switch may have been asked is completed, also if the deletion is cancelled or fails", async () => {
  const { on, again } = await cutOff();
  let goesOn = 0;
  const run = on.run({ done: DONE });
  const step = Object.assign(run.step, { goOn: () => void (goesOn += 1) });
  on.before = (effect) => {
    if (effect === "merge data") throw refusal();
  };
  const end = (await again({ signal: cancelled(), step })) as SocleError;
  assert.equal(end.kind, "outcome_unknown", String(end));
  assert.equal(goesOn, 1, "its steps are not cancelled");
  assert.deepEqual([...on.volumes.keys()], ALL);
  on.before = () => undefined;
  assert.equal(await again(), "done");
  isDeleted(on);
});

test("a file below that is not found, as while its pool is away, is no choice of the layer", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  const [base] = BASES.slice(1);
  on.volumes.delete(base ?? "");
  const { reason, message } = (await again()) as SocleError;
  assert.equal(reason, "MERGE_IN_DOUBT");
  assert.match(
    message,
    /not found in pool images\).*First start .*virsh pool-start images\).*the deletion goes on/,
  );
  assert.deepEqual(on.did, []);
});

test("a deletion in doubt has no end while libvirt or the VM's metadata cannot be read", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  const { domains } = on.context;
  const document = domains.document.bind(domains);
  for (const error of [refusal("SPEC_UNREADABLE"), lost()]) {
    Object.assign(domains, { document: () => Promise.reject(error) });
    assert.equal(((await again()) as SocleError).kind, "outcome_unknown");
  }
  Object.assign(domains, { document });
  staysInDoubt(on, await again());
  // Another client has removed the domain.
  Object.assign(domains, { document: () => Promise.resolve(undefined) });
  assert.equal(((await again()) as SocleError).reason, "VM_NOT_FOUND");
  assert.deepEqual([...on.volumes.keys()], ALL);
});

test("a switch that libvirt refused for certain ends the deletion, and the next one merges", async () => {
  const on = stage();
  const undone: string[] = [];
  const { layers } = on.context.domains;
  const merge = layers.merge.bind(layers);
  Object.assign(layers, {
    merge: async (...[, disk, , , pivot]: [string, string, object, object, PivotNotes]) => {
      await pivot.ask();
      assert.ok(pivot.isAsked());
      on.mirrors.delete(disk);
      await pivot.refused();
      assert.ok(!pivot.isAsked());
      throw refusal("MERGE_FAILED");
    },
  });
  const run = on.run();
  const undoDurably = (name: string, work: () => Promise<void>) => {
    undone.push(name);
    return work();
  };
  const end = (await deletes(on, { ...run, step: Object.assign(run.step, { undoDurably }) })) as SocleError;
  assert.deepEqual([end.kind, end.reason], ["conflict", "MERGE_FAILED"]);
  assert.deepEqual(undone, ["note the switch of root"], "a power loss brings the note back otherwise");
  Object.assign(layers, { merge });
  assert.equal(await deletes(on, on.run()), "done");
  isDeleted(on);
});

test("a failure after the switch of one disk is no doubt of the others", async () => {
  const { on, again } = await cutOff();
  on.mirrors.clear();
  Object.assign(on.context.domains.layers, { merge: () => Promise.reject(refusal()) });
  const end = (await again({ done: new Set(DONE.slice(0, 3)) })) as SocleError;
  assert.deepEqual([end.kind, end.reason], ["conflict", "SOME_REFUSAL"]);
});

test("a merge for a VM that is off, or of a file that the guest does not write to, is never in doubt", async () => {
  const begun: string[] = [];
  const noting = (on: WorkStage): WorkRun => {
    const run = on.run();
    const durable = <T>(name: string, work: () => Promise<T>): Promise<T> => {
      begun.push(name);
      return work();
    };
    return { ...run, step: Object.assign(run.step, { durable }) };
  };
  const off = stage();
  guestEnds(off);
  assert.equal(await deletes(off, noting(off)), "done");
  isDeleted(off);
  const on = stage();
  const two = { id: "bbbbbbbb", name: "two", createdAtMs: 2, parent: ID, volumes: named(topOf) };
  const above: Snapshots = {
    ...{ snapshots: [...snapshots.snapshots, two], current: "bbbbbbbb", loose: [] },
    active: Object.fromEntries(DISKS.map((disk) => [disk, layerName(VM, disk, "cccccccc")])),
  };
  on.note({ snapshots: snapshotsText(above) ?? "" });
  assert.equal(await deletes(on, noting(on)), "done");
  assert.deepEqual(
    begun.filter((name) => name.startsWith("note the switch")),
    [],
  );
  // And the other way round.
  const runs = stage();
  assert.equal(await deletes(runs, noting(runs)), "done");
  assert.deepEqual(
    begun.filter((name) => name.startsWith("note the switch")),
    ["note the switch of root", "note the switch of data"],
  );
});
