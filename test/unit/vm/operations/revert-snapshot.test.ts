import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { backupsText } from "../../../../agent/vm/model/backups.ts";
import { layerName, snapshotsText } from "../../../../agent/vm/model/snapshots.ts";
import { revertSnapshot } from "../../../../agent/vm/operations/revert-snapshot.ts";
import { pathOf, WorkStage } from "../../../support/vm/work-stage.ts";

const MIB = 2 ** 20;
const pool = "images";
const [FIRST, LAYER, NEXT] = [
  `socle-${WorkStage.id}-root.qcow2`,
  layerName(WorkStage.id, "root", "aaaaaaaa"),
  layerName(WorkStage.id, "root", "bbbbbbbb"),
];
const BACKUP = "0123456789abcdef";

/** A VM that is off, with a snapshot and the checkpoint of a backup. */
function stage(): WorkStage {
  const on = new WorkStage();
  const snapshot = { id: "aaaaaaaa", name: "one", createdAtMs: 1, volumes: { root: FIRST } };
  const snapshots = { snapshots: [snapshot], current: "aaaaaaaa", active: { root: LAYER }, loose: [] };
  const disks = [{ disk: "root", capacityBytes: 64 * MIB, bitmap: true as const }];
  on.note({
    snapshots: snapshotsText(snapshots) ?? "",
    backups: backupsText({ whole: { id: BACKUP, createdAtMs: 1, disks }, stale: [] }) ?? "",
  });
  for (const volume of [FIRST, LAYER]) on.volumes.set(`${pool}/${volume}`, 64 * MIB);
  on.files.set("root", pathOf({ pool, volume: LAYER }));
  const { domains } = on.context;
  // The earlier run has deleted the checkpoint.
  Object.assign(domains, {
    backups: { existing: () => Promise.resolve([]), drop: () => Promise.resolve() },
  });
  Object.assign(domains.layers, {
    switchTo: (_id: string, overlays: readonly { disk: string; path: string }[]) => {
      on.did.push(`switch while ${on.state}`);
      for (const { disk, path } of overlays) on.files.set(disk, path);
      return Promise.resolve();
    },
  });
  return on;
}

test("a revert goes on after a crash with its own paused QEMU, which is no guest: the VM stays off", async () => {
  for (const force of [false, true]) {
    const on = stage();
    const layers = [{ disk: "root", pool, volume: NEXT, capacityBytes: 64 * MIB }];
    Object.assign(on, { state: "paused", stateReason: "STARTING_UP" });
    on.show();
    const run = on.run({ done: ["claim volumes", "make layers", "note that it is off"] });
    const end = await revertSnapshot.run(on.context, { id: "aaaaaaaa", name: "one", force, layers }, run);
    assert.deepEqual(end, { snapshot_id: "aaaaaaaa", snapshot: "one", restarted: "false" });
    const effects = on.did.filter((name) => /^(start|destroy|switch)/u.test(name));
    assert.deepEqual([effects, on.state], [["destroy", "switch while stopped"], "stopped"]);
    assert.equal(on.files.get("root"), pathOf({ pool, volume: NEXT }));
  }
});

test("a revert whose guest does not start says that it has the snapshot's disks, and leaves no volume behind", async () => {
  const on = stage();
  const layers = [{ disk: "root", pool, volume: NEXT, capacityBytes: 64 * MIB }];
  // As libvirt does if QEMU ends meanwhile.
  on.before = (effect) => {
    if (effect === "start") throw new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "process exited");
  };
  const run = on.run({ done: ["claim volumes", "make layers", "mark run"] });
  const asked = { id: "aaaaaaaa", name: "one", force: true, layers };
  await assert.rejects(Promise.resolve(revertSnapshot.run(on.context, asked, run)), {
    kind: "conflict",
    reason: "VM_NOT_STARTED",
    message: /^VM web has the disks of snapshot one, but did not start: process exited/u,
  });
  assert.equal(on.files.get("root"), pathOf({ pool, volume: NEXT }));
  assert.deepEqual([...on.volumes.keys()].sort(), [`${pool}/${NEXT}`, `${pool}/${FIRST}`].sort());
});
