import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { rescueText } from "../../../../agent/vm/model/rescue.ts";
import { rescueVm } from "../../../../agent/vm/operations/rescue.ts";
import { suspendVm } from "../../../../agent/vm/operations/suspend.ts";
import { unrescueVm } from "../../../../agent/vm/operations/unrescue.ts";
import { discardSavedState } from "../../../../agent/vm/operations/discard-saved-state.ts";
import { root, WorkStage } from "../../../support/vm/work-stage.ts";

const MIB = 2 ** 20;
const OVERLAY = `socle-${WorkStage.id}-.rescue.qcow2`;
const disk = {
  name: "rescue",
  readOnly: false,
  source: { kind: "new", pool: "images", baseVolume: "rescue.img", capacityBytes: MIB, format: "qcow2" },
} as const;
const intent = { disk, force: true, gracefulTimeoutMs: 0 } as const;
const noted = rescueText({
  ...{ pool: "images", volume: OVERLAY, baseVolume: "rescue.img" },
  ...{ capacityBytes: MIB, startsAfter: false },
});

function stage(): WorkStage {
  const on = new WorkStage([root]);
  on.volumes.set("images/rescue.img", MIB).set(`images/socle-${WorkStage.id}-root.qcow2`, 64 * MIB);
  return on;
}
const reasonOf = (end: Promise<unknown>): Promise<string> =>
  end.then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );
const rescue = (on: WorkStage, of?: Parameters<WorkStage["run"]>[0]): Promise<string> =>
  reasonOf(rescueVm.run(on.context, intent, on.run(of)));

test("a running VM is stopped for its rescue only after all that may refuse it", async () => {
  const on = stage();
  on.state = "running";
  assert.equal(await rescue(on), "none");
  assert.deepEqual(
    on.did.filter((name) => name !== "write metadata"),
    [`make images/${OVERLAY}`, "destroy", "start another system"],
  );
  const refused = stage();
  refused.state = "running";
  refused.volumes.delete(`images/socle-${WorkStage.id}-root.qcow2`);
  assert.equal(await rescue(refused), "VOLUME_NOT_FOUND");
  assert.ok(!refused.did.includes("destroy"), "the guest ran on");
  assert.equal(refused.facts.rescue, undefined);
});

test("the undo of a rescue starts the VM's own system before it deletes the volume", async () => {
  const on = stage();
  on.state = "running";
  on.before = (effect) => {
    if (effect === "start another system") throw new SocleError("conflict", "REFUSED", "no start");
    if (effect.startsWith("remove")) throw new SocleError("conflict", "KEPT", "the pool refuses");
  };
  assert.equal(await rescue(on), "REFUSED");
  assert.equal(on.did.at(-1), "start", on.did.join());
  assert.equal(on.state, "running");
});

test("a rescue waits in no place that a start needs", () => {
  assert.deepEqual([rescueVm.lane, unrescueVm.lane], ["command", "command"]);
});

test("a rescue never boots beside a saved state, also one that came with the stop", async () => {
  const saved = stage();
  saved.hasSavedState = true;
  assert.equal(await rescue(saved), "VM_HAS_SAVED_STATE");
  assert.deepEqual(saved.did, []);
  const late = stage();
  late.state = "running";
  late.before = (effect) => {
    if (effect === "destroy") late.hasSavedState = true;
  };
  assert.equal(await rescue(late), "VM_HAS_SAVED_STATE");
  assert.ok(!late.did.includes("start another system"));
});

test("the end of a rescue starts nothing beside a saved state, which can be discarded", async () => {
  const on = stage();
  on.note({ rescue: noted.replace('"startsAfter":false', '"startsAfter":true') });
  on.hasSavedState = true;
  const end = unrescueVm.run(on.context, { force: true, gracefulTimeoutMs: 0 }, on.run());
  assert.equal(await reasonOf(end), "VM_HAS_SAVED_STATE");
  assert.deepEqual(on.did, []);
  assert.equal(discardSavedState.acceptsRescued, true);
});

test("a suspension behind a rescue saves nothing", async () => {
  const on = stage();
  on.state = "running";
  on.note({ rescue: noted });
  assert.equal(await reasonOf(suspendVm.run(on.context, {}, on.run())), "VM_RESCUED");
  assert.deepEqual(on.did, []);
});

test("a second rescue that waited, and was interrupted, does not adopt the first one's system", async () => {
  const on = stage();
  assert.equal(await rescue(on), "none");
  const did = [...on.did];
  for (const of of [undefined, { done: [] }, { done: [], cutOff: ["claim volume"] }])
    assert.equal(await rescue(on, of), "VM_RESCUED");
  assert.deepEqual(on.did, did);
  assert.equal(await rescue(on, { done: ["claim volume"] }), "none", "its own one is completed");
});

test("a volume that a VM writes to by then is no base of a rescue system", async () => {
  const on = stage();
  const id = "6f1c2f1e-0000-4000-8000-000000000002";
  const web = on.table.get(WorkStage.id) ?? assert.fail();
  const path = "/images/rescue.img";
  on.table.put({ ...web, id, name: "writer", disks: [{ device: "vda", path }] });
  assert.equal(await rescue(on), "VOLUME_IN_USE");
  assert.deepEqual(on.did, []);
});
