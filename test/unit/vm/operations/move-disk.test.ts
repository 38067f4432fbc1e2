import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { noSnapshots, snapshotsText, type Snapshots } from "../../../../agent/vm/model/snapshots.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { detachDisk } from "../../../../agent/vm/operations/detach-disk.ts";
import { moveDisk } from "../../../../agent/vm/operations/move-disk.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

const MIB = 2 ** 20;
const DATA = `socle-${WorkStage.id}-data.qcow2`;
const LAYER = `socle-${WorkStage.id}-data.aaaaaaaa.qcow2`;
const [here, there] = ["images", "other"].map((pool) => ({ pool, volume: DATA })) as [
  { pool: string; volume: string },
  { pool: string; volume: string },
];

function stage(): WorkStage {
  const on = new WorkStage([root, { ...root, name: "data" }]);
  on.state = "running";
  on.volumes.set(`images/${DATA}`, 64 * MIB);
  on.files.set("data", pathOf(here));
  on.show();
  return on;
}
const admission = { creations: () => [] } as unknown as Admission;
const vmOf = (on: WorkStage) => on.table.get(WorkStage.id) ?? assert.fail();
async function intentOf(on: WorkStage, pool: string) {
  const asked = { disk: "data", pool };
  const prepared = (await moveDisk.prepare?.(asked, vmOf(on), on.context, () => undefined)) ?? asked;
  return moveDisk.admit?.(prepared, vmOf(on), { ...admission, table: on.table }) ?? assert.fail();
}
const outcome = (end: Promise<unknown>): Promise<unknown> =>
  end.catch((thrown: unknown) => toSocleError(thrown).reason);
const move = async (on: WorkStage, pool: string): Promise<unknown> =>
  await outcome(moveDisk.run(on.context, await intentOf(on, pool), on.run()));
const detach = (on: WorkStage): ReturnType<NonNullable<typeof detachDisk.admit>> =>
  detachDisk.admit?.({ disk: "data", deleteVolume: true }, vmOf(on), { ...admission, table: on.table }) ??
  assert.fail();

test("a move behind an enlargement is refused before it does anything", async () => {
  const on = stage();
  const intent = await intentOf(on, "other");
  on.volumes.set(`images/${DATA}`, 96 * MIB);
  assert.equal(await outcome(moveDisk.run(on.context, intent, on.run())), "VM_CHANGED");
  assert.deepEqual(on.did, []);
  // Asked again, it has the new size.
  assert.deepEqual(await move(on, "other"), { disk: "data", pool: "other", flattened: "false" });
  assert.equal(on.volumes.get(`other/${DATA}`), 96 * MIB);
});

test("a disk moves back into a pool that kept its old volume", async () => {
  const on = stage();
  on.before = (effect) => {
    if (effect === `remove images/${DATA}`) throw new SocleError("conflict", "KEPT", "the pool refuses");
  };
  const kept = await move(on, "other");
  assert.deepEqual(kept, { disk: "data", pool: "other", flattened: "false", old_volume: "kept" });
  on.show();
  // While the pool refuses, nothing happens.
  on.did.length = 0;
  assert.equal(await move(on, "images"), "KEPT");
  assert.deepEqual(
    on.did.filter((name) => !name.startsWith("write")),
    [],
  );
  on.before = () => undefined;
  const plan = await moveDisk.plan?.(on.context, await intentOf(on, "images"), vmOf(on));
  assert.equal(plan?.["pool"], "images");
  assert.deepEqual(await move(on, "images"), { disk: "data", pool: "images", flattened: "false" });
  assert.equal(on.files.get("data"), pathOf(here));
  assert.deepEqual([...on.volumes.keys()], [`images/${DATA}`]);
  assert.equal(on.facts.snapshots, undefined, "no volume waits for its deletion");
});

test("another volume of the name stays, also in a plan", async () => {
  const on = stage();
  on.volumes.set(`other/${DATA}`, MIB);
  const intent = await intentOf(on, "other");
  await assert.rejects(async () => await moveDisk.plan?.(on.context, intent, vmOf(on)), {
    reason: "VOLUME_EXISTS",
  });
  assert.equal(await move(on, "other"), "VOLUME_EXISTS");
  assert.equal(on.volumes.get(`other/${DATA}`), MIB);
});

test("a disk that uses another file than its volume is not moved", async () => {
  const on = stage();
  on.files.set("data", "/elsewhere/data.qcow2");
  assert.equal(await move(on, "other"), "DISKS_REPLACED");
  assert.deepEqual(on.did, []);
});

test("a detachment behind a move does nothing", async () => {
  const on = stage();
  const intent = detach(on);
  assert.deepEqual(intent.volume, here);
  await move(on, "other");
  on.did.length = 0;
  assert.equal(await outcome(detachDisk.run(on.context, intent, on.run())), "VM_CHANGED");
  assert.deepEqual(on.did, []);
  assert.equal(on.files.get("data"), pathOf(there));
});

test("a layer that a guest may write to stays when its disk is detached, and when a disk of the name moves", async () => {
  const on = stage();
  const inDoubt = { disk: "data", volume: LAYER, inDoubt: true } as const;
  const note = (snapshots: Snapshots): void => on.note({ snapshots: snapshotsText(snapshots) ?? "" });
  note({ ...noSnapshots, loose: [inDoubt] });
  on.volumes.set(`images/${LAYER}`, MIB);
  assert.equal(
    await outcome(detachDisk.run(on.context, detach(on), on.run())).then((end) => typeof end),
    "object",
  );
  const left = { disk: "data", pool: "images", volume: LAYER, capacityBytes: 64 * MIB, inDoubt: true };
  assert.deepEqual(on.facts.snapshots?.extra, [left]);
  // A new disk of that name.
  const { snapshots = noSnapshots } = on.facts;
  const next = stage();
  next.note({ snapshots: snapshotsText(snapshots) ?? "" });
  next.volumes.set(`images/${LAYER}`, MIB);
  assert.equal(typeof (await move(next, "other")), "object");
  assert.deepEqual(next.facts.snapshots?.extra, [left]);
  assert.ok(next.volumes.has(`images/${LAYER}`));
});

test("a move ends once readers see that the old volume is none of the VM's any more", async () => {
  const on = stage();
  const waits: ((vm: Vm | undefined) => boolean)[] = [];
  const until = (_id: string, is: (vm: Vm | undefined) => boolean) => Promise.resolve(void waits.push(is));
  Object.assign(on.table, { until });
  await move(on, "other");
  on.show();
  const after = vmOf(on);
  const extra = [{ disk: "data", ...here, capacityBytes: 64 * MIB }];
  const before = { ...after, snapshots: { ...noSnapshots, extra } };
  assert.deepEqual(
    [before, after].map((vm) => waits.every((is) => is(vm))),
    [false, true],
  );
});
