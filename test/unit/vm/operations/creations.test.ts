// The id, name and capacity that a creation holds until it has ended.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { folder } from "../../../support/state/folder.ts";
import { refusedAs } from "../../../support/state/operations-stage.ts";
import { admission } from "../../../support/vm/admission-stage.ts";

test("a creation settled while libvirt is unavailable holds its name and capacity until its end is visible", async (t) => {
  const directory = await folder(t);
  const before = await admission(t, { directory });
  const { id } = await before.create({ name: "web" });
  await before.operations.drain(0);
  let isAway = true;
  const record = (): Promise<void> =>
    isAway
      ? Promise.reject(new SocleError("outcome_unknown", "LIBVIRT_UNAVAILABLE", "away"))
      : Promise.resolve();
  const { vms, create, operations, ledger } = await admission(t, { directory, beforeShown: () => record });
  const again = (): ReturnType<typeof create> => create({ name: "web" }, { requestId: "again" });
  const claimedVcpus = (): number | undefined =>
    ledger.capacity.cells[0]?.resources.find(({ resource }) => resource === "cpu")?.claimed;
  await assert.rejects(again(), refusedAs("conflict", "OPERATION_UNSETTLED"));
  await assert.rejects(
    vms.settle(id, "not done", "operator"),
    refusedAs("outcome_unknown", "LIBVIRT_UNAVAILABLE"),
  );
  await assert.rejects(again(), refusedAs("already_exists", "VM_EXISTS"));
  assert.equal(claimedVcpus(), 1);
  isAway = false;
  assert.equal(await vms.endAgain(operations.get(id)), true);
  assert.deepEqual([operations.get(id).state, claimedVcpus()], ["failed", 0]);
  assert.equal((await again()).state, "running");
});
