// Deletions that keep the disks, of a VM that has more of which only it knows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { backupsText } from "../../../../agent/vm/model/backups.ts";
import { rescueText, rescueVolumeName } from "../../../../agent/vm/model/rescue.ts";
import { laterSeed, seedText } from "../../../../agent/vm/model/seed-note.ts";
import { noSnapshots, snapshotsText } from "../../../../agent/vm/model/snapshots.ts";
import { deleteVm, type DeleteIntent } from "../../../../agent/vm/operations/delete.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

const ROOT = `socle-${WorkStage.id}-root.qcow2`;
const disk = { disk: "root", capacityBytes: 1, device: "vda", pool: "images" };
const open = {
  ...{ id: "0123456789abcdef", createdAtMs: 1, leaseMs: 1, scratchBytes: 1, phase: "open" as const },
  disks: [{ ...disk, scratch: `socle-${WorkStage.id}-root.backup-0123456789abcdef.qcow2` }],
};
const extra = [{ disk: "root", pool: "other", volume: ROOT, capacityBytes: 1 }];
const snapshot = { id: "aaaaaaaa", name: "one", createdAtMs: 1, volumes: { root: ROOT } };
const notes = {
  VM_HAS_SNAPSHOTS: {
    snapshots: snapshotsText({ ...noSnapshots, snapshots: [snapshot], current: "aaaaaaaa" }),
  },
  "VM_HAS_SNAPSHOTS (leftover of a move)": { snapshots: snapshotsText({ ...noSnapshots, extra }) },
  VM_RESCUED: {
    rescue: rescueText({
      ...{ pool: "images", volume: rescueVolumeName(WorkStage.id), baseVolume: "b" },
      ...{ capacityBytes: 1, startsAfter: false },
    }),
  },
  VM_HAS_OLD_SEEDS: {
    seed: seedText({ pool: "images", others: [laterSeed(WorkStage.id, "aaaaaaaa")] }),
  },
  BACKUP_OPEN: { backups: backupsText({ open, stale: [] }) },
} as const;

for (const [name, note] of Object.entries(notes)) {
  const reason = name.split(" ")[0];
  test(`a deletion that keeps the disks is refused with ${name}, also if that came first in the queue`, async () => {
    const on = new WorkStage();
    const admit = (): DeleteIntent => {
      const admission = { table: on.table, creations: () => [] } as unknown as Admission;
      const vm = on.table.get(WorkStage.id) ?? assert.fail();
      return deleteVm.admit?.({ keepDisks: true, force: true }, vm, admission) ?? assert.fail();
    };
    const intent = admit();
    // The table shows it later than libvirt.
    on.socle = { ...on.socle, ...(note as object) };
    const end = await deleteVm
      .run(on.context, intent, on.run())
      .catch((thrown: unknown) => toSocleError(thrown));
    assert.equal("reason" in end ? end.reason : end, reason);
    assert.deepEqual(on.did, []);
    on.show();
    assert.throws(admit, { reason });
  });
}
