import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { undoAll, type Undo } from "../../../../agent/vm/operations/undo.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";

const cause = new SocleError("conflict", "VOLUME_IN_USE", "it is in use");

/** A clock whose sleeps take no time. */
function stage(): {
  context: Parameters<typeof undoAll>[0];
  run: Pick<WorkRun, "vmId" | "step">;
  undone: string[];
} {
  let nowMs = 0;
  const sleep = (ms: number): Promise<void> => {
    nowMs += ms;
    return Promise.resolve();
  };
  const undone: string[] = [];
  const undo = async (name: string, work: () => Promise<void>): Promise<void> => {
    await work();
    undone.push(name);
  };
  const step = Object.assign(() => Promise.reject(new Error("no step")), {
    undo,
  }) as unknown as WorkRun["step"];
  const clock = { now: () => nowMs, monotonicMs: () => nowMs, sleep };
  return { context: { clock, log: silentLog }, run: { vmId: "vm", step }, undone };
}

const removes = (step: string): Undo => ({ step, remove: () => Promise.resolve() });
const fails = (step: string, error: SocleError): Undo => ({ step, remove: () => Promise.reject(error) });

test("a failed change is undone, last step first, and ends with its error", async () => {
  const { context, run, undone } = stage();
  const steps = [removes("write spec"), removes("make volume"), removes("attach")];
  assert.equal(await undoAll(context, run, steps, cause), cause);
  assert.deepEqual(undone, ["attach", "make volume", "write spec"]);
});

test("a step that libvirt refuses to undo keeps the steps before it, and the error names it", async () => {
  const { context, run, undone } = stage();
  const refusal = new SocleError("conflict", "GUEST_KEEPS_DEVICE", "the guest keeps it");
  const error = await undoAll(context, run, [removes("write spec"), fails("attach", refusal)], cause);
  assert.equal(error.reason, "VOLUME_IN_USE");
  assert.equal(error.message, 'it is in use; "attach" could not be undone: the guest keeps it');
  assert.deepEqual(undone, []);
});

test("while libvirt does not answer for a minute, the outcome is unknown and nothing waits longer", async () => {
  const { context, run, undone } = stage();
  const away = new SocleError("timeout", "LIBVIRT_TIMEOUT", "no answer");
  const steps = [removes("write spec"), fails("attach", away)];
  await assert.rejects(undoAll(context, run, steps, cause), { kind: "outcome_unknown" });
  assert.equal(context.clock.monotonicMs(), 60_000);
  assert.deepEqual(undone, []);
});
