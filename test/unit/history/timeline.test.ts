import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../faults/history/checker.ts";
import { HistoryBuilder, VM } from "./told-history.ts";

test("a destroy whose answer is lost ends the guest that runs at its end, unless its daemon ended before", () => {
  const rulesOf = (endsWithDaemon: boolean): string[] => {
    const history = new HistoryBuilder().created().accepted("s", "StopVm");
    const { recorder } = history;
    recorder.add({ event: "effect", effect: 99, call: "destroy", by: "agent", vm: VM });
    history.foreign("destroy").foreign("start");
    if (endsWithDaemon) recorder.add({ event: "fault", fault: "libvirt_down" });
    recorder.add({ event: "effect_end", effect: 99, outcome: "lost", changed: true });
    history.ended("s", "StopVm").accepted("d", "DeleteVm");
    history.effect("volume_delete", { vm: undefined, volume: `images/socle-${VM}-disk.qcow2` } as never);
    history.effect("undefine").ended("d", "DeleteVm");
    return check(history.history).map(({ rule }) => rule);
  };
  assert.deepEqual(rulesOf(false), []);
  assert.deepEqual(rulesOf(true), ["every effect has its operation", "an end is true"]);
});
