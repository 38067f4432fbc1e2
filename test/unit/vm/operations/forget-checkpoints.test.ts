import assert from "node:assert/strict";
import { test } from "node:test";
import { backupsText } from "../../../../agent/vm/model/backups.ts";
import { forgetBroken } from "../../../../agent/vm/operations/forget-checkpoints.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

const [WHOLE, STALE] = ["0123456789abcdef", "fedcba9876543210"];

/** The checkpoints that are deleted for a disk in which no bitmap is whole. */
async function forgotten(inBase: readonly { disk: string; bitmap?: true }[]): Promise<readonly string[]> {
  const on = new WorkStage();
  const disks = inBase.map((each) => ({ capacityBytes: 1, ...each }));
  const backups = { whole: { id: WHOLE, createdAtMs: 1, disks }, stale: [STALE] };
  on.note({ backups: backupsText(backups) ?? "" });
  let gone: readonly string[] = [];
  Object.assign(on.context.domains.devices, { disk: () => Promise.resolve({ target: { device: "vda" } }) });
  Object.assign(on.context.domains, {
    backups: {
      existing: (_id: string, names: readonly string[]) => Promise.resolve(names),
      withBitmap: () => Promise.resolve(new Set()),
      forget: (_id: string, names: readonly string[]) => Promise.resolve(void (gone = names)),
    },
  });
  await forgetBroken(on.context, WorkStage.id, "root");
  return gone;
}

test("the base of other disks stays although the disk has no bitmap of it", async () => {
  assert.deepEqual(await forgotten([{ disk: "data", bitmap: true }]), [STALE]);
  assert.deepEqual(await forgotten([{ disk: "root" }]), [STALE]);
  assert.deepEqual(await forgotten([{ disk: "root", bitmap: true }]), [STALE, WHOLE]);
});
