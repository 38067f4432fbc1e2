import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { createSnapshot } from "../../../../agent/vm/operations/create-snapshot.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";
import { steps } from "../../../support/vm/steps.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

const MIB = 2 ** 20;
const first = { pool: "images", volume: `socle-${WorkStage.id}-root.qcow2` };

/** A snapshot of a running guest whose libvirt died while it switched the disks, which it does not show. */
function stage() {
  const on = new WorkStage([root]);
  on.state = "running";
  on.volumes.set(`images/${first.volume}`, 64 * MIB);
  on.files.set("root", pathOf(first));
  on.show();
  const vm = on.table.get(WorkStage.id) ?? assert.fail();
  const admission = { creations: () => [], table: on.table } as unknown as Admission;
  const intent = createSnapshot.admit?.({ name: "one", quiesce: false }, vm, admission) ?? assert.fail();
  const [layer = assert.fail()] = intent.layers;
  const LAYER = `images/${layer.volume}`;
  const has = (): boolean => on.volumes.has(LAYER);
  const ends = (): void => {
    on.state = "stopped";
    on.show();
  };
  const outcome = async (run: WorkRun): Promise<SocleError | "done"> => {
    try {
      await createSnapshot.run(on.context, intent, run);
      return "done";
    } catch (thrown) {
      return toSocleError(thrown);
    }
  };
  const made = ["claim volumes", "make layers"];
  const again = (more: Partial<WorkRun> = {}, done = [...made, "note that it runs"]) =>
    outcome({ ...on.run({ done, cutOff: ["switch disks"] }), ...more });
  return { on, layer, LAYER, has, ends, made, again, first: () => outcome(on.run()) };
}
const refuses = (effect: string): void => {
  if (effect === "switch disks") throw new SocleError("conflict", "LIBVIRT_OPERATION_FAILED", "refused");
};
const cancelled = AbortSignal.abort(new SocleError("cancelled", "CANCELLED", "by a person"));
/** As the steps of a cancelled operation. */
const cancelledSteps = (): WorkRun["step"] => {
  let goesOn = false;
  const step = <T>(_name: string, work: (report: () => void) => Promise<T>): Promise<T> => {
    if (!goesOn) cancelled.throwIfAborted();
    return work(() => undefined);
  };
  const goOn = (): void => void (goesOn = true);
  return Object.assign(step, { ...steps(), durable: step, goOn, commit: () => cancelled.throwIfAborted() });
};

test("a guest that ended while libvirt switched it to a layer keeps the layer, also if the snapshot fails or is cancelled", async () => {
  const { on, layer, LAYER, has, ends, again } = stage();
  on.volumes.set(LAYER, 64 * MIB);
  ends();
  on.before = refuses;
  const end = await again();
  assert.ok(end !== "done" && end.kind === "outcome_unknown");
  assert.ok(has(), "the guest's last writes");
  // Once libvirt takes it, the definition names the layer, which is not made again.
  on.before = () => undefined;
  on.did.length = 0;
  assert.equal(await again({ signal: cancelled, step: cancelledSteps() }), "done");
  assert.equal(on.files.get("root"), pathOf(layer));
  assert.ok(has());
  assert.ok(!on.did.includes(`make ${LAYER}`), on.did.join());
});

test("a switch that is in doubt once its guest is off is no failure, also in the first run", async () => {
  const { on, layer, has, ends, first, again } = stage();
  on.before = (effect) => {
    if (effect !== "switch disks") return;
    ends();
    throw new SocleError("conflict", "SWITCH_IN_DOUBT", "libvirt was lost");
  };
  const end = await first();
  assert.ok(end !== "done" && end.kind === "outcome_unknown", String(end));
  assert.ok(has());
  on.before = () => undefined;
  assert.equal(await again(), "done");
  assert.equal(on.files.get("root"), pathOf(layer));
});

test("a snapshot of a stopped VM is undone if it fails or is cancelled, although libvirt was asked", async () => {
  for (const more of [{}, { signal: cancelled, step: cancelledSteps() }]) {
    const { on, LAYER, has, ends, made, again } = stage();
    on.volumes.set(LAYER, 64 * MIB);
    ends();
    on.before = refuses;
    const end = await again(more, made);
    assert.ok(end !== "done" && end.kind !== "outcome_unknown", String(end));
    assert.ok(!has());
  }
});

test("a layer stays that is not found, or whose guest was removed, after libvirt was asked", async () => {
  const away = stage();
  away.ends();
  const end = await away.again();
  assert.ok(end !== "done" && end.kind === "outcome_unknown");
  assert.deepEqual(away.on.did, [], "it is not made again");
  const removed = stage();
  removed.on.volumes.set(removed.LAYER, 64 * MIB);
  const none = () => Promise.resolve(undefined);
  Object.assign(removed.on.context.domains, { state: none, document: none });
  const gone = await removed.again();
  assert.ok(gone !== "done" && gone.reason === "VM_NOT_FOUND" && gone.message.includes(removed.layer.volume));
  assert.ok(removed.has());
});

test("a resumed snapshot of a running guest that is cancelled keeps the layers, to which QEMU may write", async () => {
  const { on, LAYER, has, again } = stage();
  on.volumes.set(LAYER, 64 * MIB);
  const end = await again({ signal: cancelled, step: cancelledSteps() });
  assert.ok(end !== "done" && end.kind === "cancelled", String(end));
  assert.ok(has());
  assert.equal(on.facts.snapshots?.loose[0]?.inDoubt, true);
});

test("a layer is noted in doubt before libvirt is asked to switch a running guest, and no more once it is certain", async () => {
  const { on, LAYER, has, first } = stage();
  const isInDoubt = () => on.facts.snapshots?.loose.map(({ volume, inDoubt }) => [volume, inDoubt]);
  const seen: unknown[] = [];
  on.before = (effect) => {
    if (effect !== "switch disks") return;
    seen.push(isInDoubt(), on.mark?.phase);
    throw new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "no reply");
  };
  on.mark = undefined;
  const end = await first();
  assert.ok(end !== "done" && end.kind === "outcome_unknown");
  assert.deepEqual(seen, [[[LAYER.slice("images/".length), true]], "run"]);
  // A person settles it as not done: the next removal of a snapshot finds this.
  assert.deepEqual(isInDoubt(), seen[0]);
  assert.ok(has());
  for (const isRefused of [true, false]) {
    const certain = stage();
    certain.on.before = isRefused ? refuses : () => undefined;
    assert.equal((await certain.first()) === "done", !isRefused);
    assert.equal(certain.has(), !isRefused);
    assert.deepEqual(certain.on.facts.snapshots?.loose ?? [], []);
  }
});

test("a layer that a guest may have written to is not put over the guest that another client started since", async () => {
  const { on, LAYER, has, again, made } = stage();
  on.volumes.set(LAYER, 64 * MIB);
  // Its run ended, and another one began from the definition's stamps.
  on.mark = { operation: on.run().operationId, phase: "begun" };
  const end = await again({ cutOff: new Set() });
  assert.ok(end !== "done" && end.reason === "SWITCH_IN_DOUBT", String(end));
  assert.ok(!on.did.includes("switch disks"), on.did.join());
  assert.ok(has());
  assert.equal(on.facts.snapshots?.loose[0]?.inDoubt, true);
  // In the same run libvirt is asked again.
  const same = stage();
  same.on.volumes.set(same.LAYER, 64 * MIB);
  assert.equal(await same.again(), "done");
  // Without a request no guest has written to it.
  const unasked = stage();
  unasked.on.volumes.set(unasked.LAYER, 64 * MIB);
  unasked.on.mark = undefined;
  assert.equal(await unasked.again({}, made), "done");
});
