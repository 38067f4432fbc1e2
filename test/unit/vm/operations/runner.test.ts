// What an operation is refused that waited for another one of its VM.
import assert from "node:assert/strict";
import { test } from "node:test";
import { admission } from "../../../support/vm/admission-stage.ts";
import { root, WorkStage } from "../../../support/vm/work-stage.ts";

test("a change behind an interrupted restoration of a disk does nothing", async (t) => {
  const on = new WorkStage([root]);
  on.volumes.set(`images/socle-${WorkStage.id}-root.qcow2`, 64 * 2 ** 20);
  on.show();
  const { vms, operations } = await admission(t, { context: on.context });
  const resize = async (requestId: string, capacityBytes: number) => {
    const asked = { requestId, vm: WorkStage.id, disk: "root", capacityBytes };
    const { id } = await vms.begin("RESIZE_DISK", asked, "operator");
    return await operations.wait(id, 60_000, new AbortController().signal);
  };
  // The table shows the restoration later than libvirt.
  const { socle } = on;
  on.socle = { ...socle, unstarted: JSON.stringify({ restoring: ["root"] }) };
  assert.equal((await resize("one", 2 ** 27)).error?.reason, "VM_RESTORE_INCOMPLETE");
  assert.deepEqual(on.did, []);
  on.socle = { ...socle, unstarted: JSON.stringify({ restoring: [] }) };
  const { error } = await resize("two", 2 ** 27);
  assert.notEqual(error?.reason, "VM_RESTORE_INCOMPLETE");
});
