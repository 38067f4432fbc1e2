import assert from "node:assert/strict";
import { test } from "node:test";
import { noSnapshots, snapshotsText } from "../../../../agent/vm/model/snapshots.ts";
import { isRecorded } from "../../../../agent/vm/operations/recorded.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

/** Whether the disk of a guest is as libvirt shows it, for its XML, its definition and its QEMU. */
async function recorded(files: { shown: string; next?: string; inQemu?: string }, inDoubt = false) {
  const on = new WorkStage();
  on.state = "running";
  on.files.set("root", files.shown);
  if (files.next !== undefined) on.defined.set("root", files.next);
  if (files.inQemu !== undefined) on.inQemu.set("root", files.inQemu);
  const volume = `socle-${WorkStage.id}-root.00000001.qcow2`;
  const loose = [{ disk: "root", volume, inDoubt: true as const }];
  if (inDoubt) on.note({ snapshots: snapshotsText({ ...noSnapshots, loose }) ?? "" });
  return await isRecorded(on.context, WorkStage.id);
}

test("a running guest's disk is taken as libvirt shows it only if QEMU does not show another file", async () => {
  assert.equal(await recorded({ shown: "/old" }), true, "QEMU is not asked");
  assert.equal(await recorded({ shown: "/old", next: "/new", inQemu: "/new" }), false);
  assert.equal(await recorded({ shown: "/old", next: "/new", inQemu: "json:{}" }), false, "not known");
  // Another client changed the definition alone.
  assert.equal(await recorded({ shown: "/old", next: "/new" }), true);
});

test("the next start gets a volume in doubt that QEMU writes to", async () => {
  const on = new WorkStage();
  on.state = "running";
  on.files.set("root", "/old");
  const volume = `socle-${WorkStage.id}-root.00000001.qcow2`;
  const loose = [{ disk: "root", volume, inDoubt: true as const }];
  on.note({ snapshots: snapshotsText({ ...noSnapshots, loose }) ?? "" });
  on.volumes.set(`images/${volume}`, 1);
  on.inQemu.set("root", `/images/${volume}`);
  assert.equal(await isRecorded(on.context, WorkStage.id), false);
  assert.equal(on.defined.get("root"), `/images/${volume}`);
});

test("a disk whose switch was in doubt is asked for, also if the definition names the file that libvirt shows", async () => {
  assert.equal(await recorded({ shown: "/old", inQemu: "/new" }, true), false);
  assert.equal(await recorded({ shown: "/old" }, true), true);
});
