import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import { transfersOf } from "../../../../agent/state/operations/transfers.ts";

const operation = (kind: string, transfer?: Operation["transfer"]): Operation => ({
  id: "op-1",
  kind,
  vmId: "vm-1",
  requestId: "r-1",
  caller: "c",
  tenant: "",
  state: "running",
  progress: 0.5,
  steps: [],
  createdAtMs: 0,
  result: {},
  intent: {},
  ...(transfer !== undefined && { transfer }),
});

test("copies of a kind are added up, without those whose speed is not known", () => {
  const totals = transfersOf([
    operation("MOVE_DISK", { doneBytes: 10, totalBytes: 100, bytesPerSecond: 5 }),
    operation("MOVE_DISK", { doneBytes: 100, totalBytes: 100 }),
    operation("IMPORT_IMAGE", { doneBytes: 7, totalBytes: 5, bytesPerSecond: 1 }),
    operation("STOP_VM"),
    { ...operation("MOVE_DISK", { doneBytes: 0, totalBytes: 50 }), state: "outcome_unknown" },
  ]);
  assert.deepEqual(Object.fromEntries(totals), {
    MOVE_DISK: { running: 2, remainingBytes: 90, bytesPerSecond: 5 },
    IMPORT_IMAGE: { running: 1, remainingBytes: 0, bytesPerSecond: 1 },
  });
});
