import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { layerName, snapshotsText, type Snapshots } from "../../../../agent/vm/model/snapshots.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { deleteSnapshot } from "../../../../agent/vm/operations/delete-snapshot.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

const ID = "00000000-0000-4000-8000-000000000001";
const [one, leaf] = ["aaaaaaaa", "bbbbbbbb"];
/** The present disks are based on the first; the other is a branch of it. */
const snapshots: Snapshots = {
  snapshots: [
    { id: one, name: "one", createdAtMs: 1, volumes: { root: `socle-${ID}-root.qcow2` } },
    { id: leaf, name: "leaf", createdAtMs: 2, parent: one, volumes: { root: layerName(ID, "root", leaf) } },
  ],
  current: one,
  active: { root: layerName(ID, "root", "cccccccc") },
  loose: [],
};

/** The reason for which a deletion is refused. */
function refusal(snapshot: string, savedState: boolean): string {
  const spec = checkSpec(
    {
      ...{ id: ID, name: "web", vcpus: 1, memoryBytes: 2 ** 30 },
      disks: [{ name: "root", source: { kind: "new", pool: "images", capacityBytes: 2 ** 20 } }],
    },
    { bridges: [], allowSpoofing: false },
  );
  const { id, name, tenant, vcpus, memoryBytes } = spec;
  const vm = withEtag({
    ...{
      id,
      name,
      tenant,
      vcpus,
      memoryBytes,
      spec,
      snapshots,
      savedState,
      state: "stopped",
      stateReason: "",
    },
    ...{ presence: "present", observedAtMs: 1, managed: true },
    ...{ labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] },
  });
  try {
    // The admission reads nothing of its surroundings.
    deleteSnapshot.admit?.({ snapshot }, vm, {} as Admission);
    return "none";
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
}

test("a suspended VM keeps its snapshots, also one outside of its present chain", () => {
  assert.equal(refusal("leaf", true), "VM_HAS_SAVED_STATE");
  assert.equal(refusal("leaf", false), "none");
  assert.equal(refusal("one", false), "SNAPSHOT_HAS_BRANCHES");
});

test("a deletion whose agent died after the last merge ends its paused QEMU: the VM stays off", async () => {
  const on = new WorkStage();
  const gone = { id: one, name: "one", createdAtMs: 1, volumes: {}, deleting: true as const };
  const merged = { snapshots: [gone], current: one, active: {}, loose: [] };
  on.note({ snapshots: snapshotsText(merged) ?? "" });
  Object.assign(on, { state: "paused", stateReason: "STARTING_UP" });
  on.show();
  const run = on.run({ done: ["mark snapshot", "note that it is off", "start paused", "merge root"] });
  await deleteSnapshot.run(on.context, { id: one, name: "one" }, run);
  assert.deepEqual([on.state, on.facts.snapshots?.snapshots ?? []], ["stopped", []]);
  assert.ok(!on.did.includes("start"), on.did.join());
});
