import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { KvmWitness } from "../../../../agent/vm/hypervisor/kvm-witness.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { vm as anyVm } from "../../../support/api/fakes.ts";

const vm = (changes: Partial<Vm>): Vm => anyVm("a", { name: "web", accelerator: "kvm", ...changes });
const stoppedByKvm = vm({ state: "paused", stateReason: "INTERNAL_ERROR" });

/** A witness on a clock that the test advances. */
function rig(): { witness: KvmWitness; verdicts: string[]; pass: (ms: number) => void } {
  let nowMs = 0;
  const verdicts: string[] = [];
  const witness = new KvmWitness(
    {
      reportKvmFailure: ({ evidence }) => void verdicts.push(`failure: ${evidence}`),
      reportKvmStartFailure: ({ evidence }) => void verdicts.push(`start failure: ${evidence}`),
      reportKvmSuccess: ({ running, isNew }) =>
        void verdicts.push(`${running} run${isNew ? ", one is new" : ""}`),
    },
    { ...systemClock, monotonicMs: () => nowMs },
  );
  return { witness, verdicts, pass: (ms) => (nowMs += ms) };
}

test("an internal error soon after a guest's start proves a KVM failure, once", () => {
  const { witness, verdicts, pass } = rig();
  witness.started("a");
  pass(5000);
  witness.saw(stoppedByKvm);
  witness.saw(stoppedByKvm);
  assert.deepEqual(verdicts, [
    "failure: VM web was stopped by an internal error of KVM 5.0 s after its start, without a request; no other guest shows that KVM works",
  ]);
});

test("errors that prove nothing about KVM are not reported", () => {
  for (const seen of [
    vm({ state: "paused", stateReason: "USER" }),
    vm({ state: "paused", stateReason: "IO_ERROR" }),
    vm({ state: "stopped", stateReason: "SHUTDOWN" }),
    vm({ state: "paused", stateReason: "INTERNAL_ERROR", accelerator: "tcg" }),
  ]) {
    const { witness, verdicts, pass } = rig();
    witness.started("a");
    pass(5000);
    witness.saw(seen);
    assert.deepEqual(verdicts, [], seen.stateReason);
  }
  const late = rig();
  late.witness.started("a");
  late.pass(61_000);
  late.witness.saw(stoppedByKvm);
  const unseen = rig();
  unseen.witness.saw(stoppedByKvm);
  assert.deepEqual([...late.verdicts, ...unseen.verdicts], []);
});

test("a running KVM guest proves that KVM works while it runs, and reports one success per start", () => {
  const { witness, verdicts, pass } = rig();
  const vms = { all: () => [vm({})] };
  witness.started("a");
  witness.started("gone");
  witness.sampled(vms);
  pass(30_000);
  witness.sampled(vms);
  witness.sampled(vms);
  assert.deepEqual(verdicts, ["1 run, one is new", "1 run"]);
  witness.sampled({ all: () => [vm({ state: "stopped" })] });
  witness.sampled({ all: () => [vm({ presence: "unknown" })] });
  witness.sampled({ all: () => [vm({ accelerator: "tcg" })] });
  assert.equal(verdicts.length, 2);
});

test("one guest that KVM stops proves no failure while another guest runs on the host", () => {
  const others = [vm({ id: "b" }), vm({ id: "c" })];
  const { witness, verdicts, pass } = rig();
  witness.sampled({ all: () => others });
  pass(30_000);
  witness.sampled({ all: () => others });
  witness.started("a");
  pass(3600);
  witness.saw(stoppedByKvm);
  assert.deepEqual(verdicts, ["2 run"]);
  // Neither guest runs any more, so neither proves that KVM works.
  witness.saw(vm({ id: "b", state: "stopped" }));
  witness.started("c");
  witness.started("a");
  pass(3600);
  witness.saw(stoppedByKvm);
  assert.match(verdicts.at(-1) ?? "", /^failure: VM web was stopped .* 3\.6 s after its start/);
});
