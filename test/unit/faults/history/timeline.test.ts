import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../../faults/history/checker.ts";
import { HistoryBuilder, VM } from "../../../support/history/history-builder.ts";

const rulesOf = (history: HistoryBuilder): string[] => check(history.history).map(({ rule }) => rule);
const build = (): HistoryBuilder => new HistoryBuilder();

test("a destroy with a lost reply ends the guest that runs at its end, unless its daemon ended before", () => {
  const rulesIf = (endsWithDaemon: boolean): string[] => {
    const history = build().created().accepted("s", "StopVm");
    const { recorder } = history;
    recorder.add({ event: "effect", effect: 99, call: "destroy", by: "agent", vm: VM });
    history.foreign("destroy").foreign("start");
    if (endsWithDaemon) recorder.add({ event: "fault", fault: "libvirt_down" });
    recorder.add({ event: "effect_end", effect: 99, outcome: "lost", changed: true });
    history.ended("s", "StopVm").accepted("d", "DeleteVm");
    history.effect("volume_delete", { vm: undefined, volume: `images/socle-${VM}-disk.qcow2` } as never);
    history.effect("undefine").ended("d", "DeleteVm");
    return rulesOf(history);
  };
  assert.deepEqual(rulesIf(false), []);
  assert.deepEqual(rulesIf(true), ["every effect belongs to one operation", "an outcome is true"]);
});

test("a destroy ends the guest that runs at its end, and the VM being deleted is gone", () => {
  const history = build().created().accepted("d", "DeleteVm");
  const slow = { effect: 100, call: "destroy", by: "agent", vm: VM } as const;
  history.recorder.add({ event: "effect", ...slow });
  history.foreign("destroy").foreign("start");
  history.recorder.add({ event: "effect_end", effect: 100, outcome: "ok", changed: true });
  assert.deepEqual(rulesOf(history.effect("undefine").ended("d", "DeleteVm")), []);
});

test("a guest started while its domain is undefined keeps running", () => {
  const history = build().created().foreign("guest_stopped").accepted("d", "DeleteVm");
  history.recorder.add({ event: "effect", effect: 100, call: "undefine", by: "agent", vm: VM });
  history.foreign("start");
  history.recorder.add({ event: "effect_end", effect: 100, outcome: "ok", changed: true });
  history.ended("d", "DeleteVm", "failed").accepted("s", "StartVm").ended("s", "StartVm");
  assert.deepEqual(rulesOf(history), []);
});

test("a start with a lost reply leaves a guest running that was started by hand meanwhile", () => {
  const history = build().created().foreign("guest_stopped").accepted("a", "StartVm");
  history.recorder.add({ event: "effect", effect: 100, call: "start", by: "agent", vm: VM });
  history.foreign("start");
  history.recorder.add({ event: "effect_end", effect: 100, outcome: "lost", changed: false });
  history.ended("a", "StartVm").accepted("b", "StartVm").ended("b", "StartVm");
  assert.deepEqual(rulesOf(history), []);
});
