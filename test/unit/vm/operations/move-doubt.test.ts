import assert from "node:assert/strict";
import { test } from "node:test";
import { maxOperationText } from "../../../../agent/api/convert/errors.ts";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { PivotNotes } from "../../../../agent/vm/hypervisor/block-jobs.ts";
import { extraOf } from "../../../../agent/vm/model/snapshots.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { moveDisk } from "../../../../agent/vm/operations/move-disk.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

// A move whose libvirt died at the switch of a running guest, and what the next run of the operation does.

const MIB = 2 ** 20;
const DATA = `socle-${WorkStage.id}-data.qcow2`;
const [old, copy] = [
  { pool: "images", volume: DATA },
  { pool: "other", volume: DATA },
];
const [OLD, COPY] = [`images/${DATA}`, `other/${DATA}`];
const ROOT = `images/socle-${WorkStage.id}-root.qcow2`;
const volumesOf = (on: WorkStage): string[] => [...on.volumes.keys()].filter((name) => name !== ROOT);

function stage(more: object = {}): WorkStage {
  const on = new WorkStage([root, { ...root, name: "data" }], more);
  on.volumes.set(OLD, 64 * MIB);
  on.volumes.set(ROOT, 64 * MIB);
  on.files.set("data", pathOf(old));
  return on;
}

const lost = (): SocleError => new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "no reply");
const outcome = (end: Promise<unknown>): Promise<unknown> =>
  end.then(
    () => "done",
    (thrown: unknown) => toSocleError(thrown),
  );

/** The first run has ended while libvirt switched the guest. `again`: the next run. */
async function cutOff(
  more: object = {},
): Promise<{ on: WorkStage; again: (run?: Partial<WorkRun>) => Promise<unknown> }> {
  const on = stage(more);
  on.state = "running";
  on.show();
  const vm = on.table.get(WorkStage.id) ?? assert.fail();
  const admission = { creations: () => [], table: on.table } as unknown as Admission;
  const intent =
    moveDisk.admit?.({ disk: "data", pool: "other", capacityBytes: 64 * MIB }, vm, admission) ??
    assert.fail();
  on.before = (effect) => {
    if (effect !== "copy data") return;
    on.before = () => undefined;
    throw lost();
  };
  const first = await outcome(moveDisk.run(on.context, intent, on.run()));
  assert.equal((first as SocleError).kind, "outcome_unknown");
  on.did.length = 0;
  // Other steps are recorded lazily: nothing of them may be in the journal.
  const done = ["claim volume", "note the switch"];
  const again = (run: Partial<WorkRun> = {}): Promise<unknown> =>
    outcome(moveDisk.run(on.context, intent, { ...on.run({ done }), ...run }));
  return { on, again };
}

/** Nothing was written, started or deleted, and the error names both volumes. */
function staysInDoubt(on: WorkStage, end: unknown): void {
  const { kind, reason, message } = end as SocleError;
  assert.deepEqual([kind, reason], ["outcome_unknown", "MOVE_IN_DOUBT"]);
  for (const path of [pathOf(old), pathOf(copy)]) assert.ok(message.includes(path), message);
  assert.ok(
    message.length + 600 < maxOperationText,
    `it is not cut, also with longer paths: ${message.length}`,
  );
  assert.match(message, /goes on within a minute once the VM is off/);
  assert.match(
    message,
    /virsh vol-delete socle-\S+-data\.qcow2 other\) before the disk moves into that pool again/,
  );
  assert.doesNotMatch(message, /ls -l|changed last|pool-start/);
  assert.deepEqual(on.did, []);
  assert.deepEqual(volumesOf(on), [OLD, COPY]);
}

function guestEnds(on: WorkStage): void {
  on.state = "stopped";
  on.mirrors.clear();
  on.show();
}

test("a guest that ended while libvirt switched it to the copy keeps both volumes", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  staysInDoubt(on, await again());
  // Also once the operation is cancelled.
  const signal = AbortSignal.abort(new SocleError("cancelled", "CANCELLED", "by a person"));
  staysInDoubt(on, await again({ signal }));
  // Another client starts the guest from the old volume.
  on.state = "running";
  on.show();
  staysInDoubt(on, await again());
});

test("a guest whose copy is gone without a trace keeps both volumes while it runs", async () => {
  const { on, again } = await cutOff();
  on.mirrors.clear();
  staysInDoubt(on, await again());
});

test("a guest that QEMU shows to write to the copy, which libvirt lost, has moved, and starts from it", async () => {
  const { on, again } = await cutOff();
  on.mirrors.clear();
  on.inQemu.set("data", pathOf(copy));
  assert.equal(await again(), "done");
  assert.ok(on.did.includes(`define data ${pathOf(copy)} qcow2`), on.did.join());
  assert.ok(!on.did.includes("copy data"), on.did.join());
  assert.equal(on.spec.disks[1]?.source.kind === "new" && on.spec.disks[1].source.pool, "other");
  // libvirt shows the old volume as in use until the next start.
  assert.deepEqual(volumesOf(on), [OLD, COPY]);
  assert.deepEqual(
    extraOf(on.facts.snapshots).map(({ pool }) => pool),
    ["images"],
  );
});

test("a guest that QEMU shows to write to the old volume stays in doubt: it may have been started again", async () => {
  const { on, again } = await cutOff();
  on.mirrors.clear();
  const end = await again();
  staysInDoubt(on, end);
  assert.match((end as SocleError).message, /QEMU writes to \/images\/.*unless the guest was started again/);
});

test("a move in doubt goes on once a person has named the copy as the disk's file", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  on.files.set("data", pathOf(copy));
  assert.equal(await again(), "done");
  assert.ok(!on.did.includes("copy data"), on.did.join());
  assert.deepEqual(volumesOf(on), [COPY]);
  assert.deepEqual(extraOf(on.facts.snapshots), []);
});

test("a move goes on for a VM that crashed and is to be restarted, and whose old volume is gone", async () => {
  const { on, again } = await cutOff({ crashPolicy: "restart" });
  on.stateReason = "CRASHED";
  guestEnds(on);
  staysInDoubt(on, await again());
  on.files.set("data", pathOf(copy));
  on.volumes.delete(OLD);
  assert.equal(await again(), "done");
  assert.ok(!on.did.includes("start"), on.did.join());
  assert.deepEqual(volumesOf(on), [COPY]);
});

test("a move whose copy is in the spec is made, whatever libvirt shows of the copy", async () => {
  const { on, again } = await cutOff();
  on.files.set("data", pathOf(copy));
  on.before = (effect) => {
    if (effect === `remove ${OLD}`) throw lost();
  };
  assert.equal(((await again()) as SocleError).kind, "outcome_unknown");
  // As while its pool is away.
  guestEnds(on);
  on.volumes.delete(COPY);
  on.before = () => undefined;
  const { devices } = on.context.domains;
  const refuses = () => Promise.reject(new SocleError("conflict", "SOME_REFUSAL", "libvirt refuses"));
  Object.assign(devices, { requireResponsive: refuses });
  const refused = (await again()) as SocleError;
  assert.deepEqual([refused.kind, refused.reason], ["outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN"]);
  Object.assign(devices, { requireResponsive: () => Promise.resolve() });
  assert.equal(await again(), "done");
  assert.deepEqual(volumesOf(on), []);
});

test("a copy that is not found, as while its pool is away, is no choice of the old volume", async () => {
  const { on, again } = await cutOff();
  guestEnds(on);
  on.volumes.delete(COPY);
  const { kind, reason, message } = (await again()) as SocleError;
  assert.deepEqual([kind, reason], ["outcome_unknown", "MOVE_IN_DOUBT"]);
  assert.match(message, /not found in pool other/);
  assert.match(message, /First start .*virsh pool-start other\).* the move goes on by itself/);
  assert.deepEqual(on.did, []);
  assert.deepEqual(
    extraOf(on.facts.snapshots).map(({ inDoubt }) => inDoubt),
    [true],
  );
  // Once its pool is there, libvirt shows the switch.
  on.volumes.set(COPY, 64 * MIB);
  on.files.set("data", pathOf(copy));
  assert.equal(await again(), "done");
  assert.deepEqual(volumesOf(on), [COPY]);
});

test("a copy stays if another client removed the domain while the guest was switched to it", async () => {
  const { on, again } = await cutOff();
  Object.assign(on.context.domains, { state: () => Promise.resolve(undefined) });
  Object.assign(on.context.domains, { document: () => Promise.resolve(undefined) });
  const { reason, message } = (await again()) as SocleError;
  assert.equal(reason, "VM_NOT_FOUND");
  assert.match(message, /copy .* stays/);
  assert.deepEqual(volumesOf(on), [OLD, COPY]);
});

test("a move goes on if libvirt shows the switch, or the copy that still runs", async () => {
  for (const isSwitched of [true, false]) {
    const { on, again } = await cutOff();
    if (isSwitched) on.files.set("data", pathOf(copy));
    if (isSwitched) on.mirrors.clear();
    assert.equal(await again(), "done");
    assert.equal(on.did.includes("copy data"), !isSwitched);
    assert.deepEqual(volumesOf(on), [COPY]);
    assert.deepEqual(extraOf(on.facts.snapshots), []);
  }
});

test("a copy that still runs is completed, also if the move is cancelled or fails: its cancellation may switch the guest", async () => {
  const { on, again } = await cutOff();
  on.before = (effect) => {
    if (effect === "copy data") throw new SocleError("conflict", "SOME_REFUSAL", "libvirt refuses");
  };
  const signal = AbortSignal.abort(new SocleError("cancelled", "CANCELLED", "by a person"));
  assert.equal(((await again({ signal })) as SocleError).kind, "outcome_unknown");
  assert.deepEqual(volumesOf(on), [OLD, COPY]);
  assert.ok(on.mirrors.has("data"), "not cancelled");
  on.before = () => undefined;
  assert.equal(await again({ signal }), "done");
  assert.deepEqual(volumesOf(on), [COPY]);
});

/** A move whose switch libvirt refuses, and whose copy is gone then. `taken`: begins to take the note back. */
async function refusedSwitch(more: { taken?: (on: WorkStage) => void; step?: Partial<WorkRun["step"]> }) {
  const on = stage();
  on.state = "running";
  on.show();
  const run = on.run();
  Object.assign(on.context.domains.layers, {
    copy: async (...[, disk, , , pivot]: [string, string, object, object, PivotNotes]) => {
      await pivot.ask();
      assert.ok(pivot.isAsked());
      assert.equal(extraOf(on.facts.snapshots)[0]?.inDoubt, true);
      on.mirrors.delete(disk);
      more.taken?.(on);
      await pivot.refused();
      assert.ok(!pivot.isAsked());
      throw new SocleError("conflict", "MOVE_FAILED", "the pool is full");
    },
  });
  const vm = on.table.get(WorkStage.id) ?? assert.fail();
  const admission = { creations: () => [], table: on.table } as unknown as Admission;
  const asked = { disk: "data", pool: "other", capacityBytes: 64 * MIB };
  const intent = moveDisk.admit?.(asked, vm, admission) ?? assert.fail();
  const step = Object.assign(run.step, more.step);
  const end = (await outcome(moveDisk.run(on.context, intent, { ...run, step }))) as SocleError;
  return { on, end: [end.kind, end.reason] };
}

test("a switch that libvirt refused for certain ends the move, and the guest's other changes go on", async () => {
  const undone: string[] = [];
  const undoDurably = (name: string, work: () => Promise<void>) => {
    undone.push(name);
    return work();
  };
  const { on, end } = await refusedSwitch({ step: { undoDurably } });
  assert.deepEqual(end, ["conflict", "MOVE_FAILED"]);
  assert.deepEqual(undone, ["note the switch"], "a power loss brings the note back otherwise");
  assert.deepEqual(volumesOf(on), [OLD]);
  assert.deepEqual(extraOf(on.facts.snapshots), []);
});

test("a note of a switch that cannot be taken back hides no refusal of it: the agent stops, or libvirt is away", async () => {
  const stops = new SocleError("unavailable", "AGENT_STOPPING", "the agent stopped before this step");
  const { on, end } = await refusedSwitch({ step: { undoDurably: () => Promise.reject(stops) } });
  assert.deepEqual(end, ["conflict", "MOVE_FAILED"]);
  assert.deepEqual(volumesOf(on), [OLD]);
  const away = await refusedSwitch({
    taken(on) {
      on.before = (effect) => {
        if (effect !== "write metadata") return;
        on.before = () => undefined;
        throw new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirt is away");
      };
    },
  });
  assert.deepEqual(away.end, ["conflict", "MOVE_FAILED"]);
  assert.deepEqual(volumesOf(away.on), [OLD]);
  assert.deepEqual(extraOf(away.on.facts.snapshots), []);
});

test("a copy for a VM that is off is never in doubt: no guest writes", async () => {
  const on = stage();
  const vm = on.table.get(WorkStage.id) ?? assert.fail();
  const admission = { creations: () => [], table: on.table } as unknown as Admission;
  const asked = { disk: "data", pool: "other", capacityBytes: 64 * MIB };
  const intent = moveDisk.admit?.(asked, vm, admission) ?? assert.fail();
  on.before = (effect) => {
    if (effect === "copy data") throw lost();
  };
  await assert.rejects(async () => await moveDisk.run(on.context, intent, on.run()), lost());
  on.before = () => undefined;
  guestEnds(on);
  const done = ["claim volume", "note that it is off"];
  assert.equal(await outcome(moveDisk.run(on.context, intent, on.run({ done }))), "done");
  assert.deepEqual(volumesOf(on), [COPY]);
});
