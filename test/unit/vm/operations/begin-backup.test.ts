import assert from "node:assert/strict";
import { test } from "node:test";
import { keepQemu } from "../../../../agent/vm/operations/backup-qemu.ts";
import { beginBackup } from "../../../../agent/vm/operations/begin-backup.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

const ID = "0123456789abcdef";
const scratch = `socle-${WorkStage.id}-root.backup-${ID}.qcow2`;
const intent = {
  ...{ id: ID, quiesce: false, leaseMs: 600_000, scratchBytes: 0 },
  disks: [{ disk: "root", pool: "images", scratch, mostBytes: 2 ** 26 }],
};

async function begun(state: "running" | "paused", stateReason: string): Promise<WorkStage> {
  const on = new WorkStage();
  Object.assign(on, { state, stateReason });
  on.show();
  const { domains } = on.context;
  let isOpen = false;
  Object.assign(domains.devices, {
    disk: () => Promise.resolve({ source: { type: "file", path: "/x" }, target: { device: "vda" } }),
  });
  Object.assign(domains, {
    backups: {
      setLease: () => Promise.resolve(),
      capacityBytes: () => Promise.resolve(2 ** 26),
      isOpen: () => Promise.resolve(isOpen),
      begin: () => Promise.resolve(void (isOpen = true)),
      opened: () => Promise.resolve(new Set()),
    },
  });
  await beginBackup.run(on.context, intent, on.run());
  return on;
}

test("a backup of a guest that waits for space already notes that, until the guest is resumed", async () => {
  const open = (on: WorkStage) => on.facts.backups?.open;
  for (const [state, reason] of [
    ["running", "BOOTED"],
    ["paused", "USER"],
  ] as const)
    assert.equal(open(await begun(state, reason))?.wasPaused, undefined, reason);
  const starved = await begun("paused", "IOERROR");
  assert.equal(open(starved)?.wasPaused, true);
  starved.show();
  await keepQemu(starved.context, WorkStage.id);
  assert.deepEqual([open(starved)?.id, open(starved)?.wasPaused], [ID, undefined]);
});
