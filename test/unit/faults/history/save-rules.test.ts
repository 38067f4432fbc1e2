import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../../faults/history/checker.ts";
import { HistoryBuilder } from "../../../support/history/history-builder.ts";

const rulesOf = (history: HistoryBuilder): string[] => check(history.history).map(({ rule }) => rule);
const build = (): HistoryBuilder => new HistoryBuilder();

test("a suspension has not failed if it saved the memory, unless another client acted meanwhile", () => {
  const stamped = (operation: string): HistoryBuilder =>
    build()
      .created()
      .accepted("older", "SuspendVm")
      .accepted("s", "SuspendVm")
      .effect("set_metadata", { stamp: { operation, phase: "begun" } })
      .effect("save")
      .restart();
  assert.deepEqual(rulesOf(stamped("s").ended("s", "SuspendVm", "failed")), ["an outcome is true"]);
  assert.deepEqual(rulesOf(stamped("older").ended("s", "SuspendVm", "failed")), []);
  assert.deepEqual(rulesOf(stamped("s").foreign("start").ended("s", "SuspendVm", "failed")), []);
});

test("a suspension has not succeeded without saved memory, nor a discard that left it", () => {
  const stopped = build().created().accepted("s", "SuspendVm").foreign("destroy");
  assert.deepEqual(rulesOf(stopped.ended("s", "SuspendVm")), ["an outcome is true"]);
  const discarded = (remove: boolean): HistoryBuilder => {
    const history = build().created().foreign("save").accepted("d", "DiscardSavedState");
    return (remove ? history.effect("save_remove") : history).ended("d", "DiscardSavedState");
  };
  assert.deepEqual(rulesOf(discarded(true)), []);
  assert.deepEqual(rulesOf(discarded(false)), ["an outcome is true"]);
});

test("a forced stop that ends a suspension's guest comes after the operations before it", () => {
  const cut = (isForced: boolean): HistoryBuilder => {
    const history = build().created().accepted("s", "SuspendVm").accepted("again", "StartVm");
    if (isForced) history.accepted("stop", "StopVm", { force: true });
    history.effect("destroy").ended("s", "SuspendVm", "failed");
    history.effect("start").ended("again", "StartVm");
    return isForced ? history.effect("destroy").ended("stop", "StopVm") : history;
  };
  assert.deepEqual(rulesOf(cut(true)), []);
  assert.deepEqual(rulesOf(cut(false)), ["every effect belongs to one operation"]);
});

test("a guest that was saved while it was paused is paused after its start", () => {
  const restored = (isPaused: boolean): HistoryBuilder => {
    const history = build().created();
    if (isPaused) history.foreign("suspend");
    return history.foreign("save").foreign("start").accepted("p", "PauseVm").ended("p", "PauseVm");
  };
  assert.deepEqual(rulesOf(restored(true)), []);
  assert.deepEqual(rulesOf(restored(false)), ["an outcome is true"]);
});
