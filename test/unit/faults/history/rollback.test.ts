import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../../faults/history/checker.ts";
import { HistoryBuilder } from "../../../support/history/history-builder.ts";

interface Between {
  /** The stop's record before the rollback. */
  readonly endShown?: boolean;
  readonly guestEnds?: boolean;
  readonly marks?: "run" | "complete" | "nothing";
}

/** A deletion was interrupted, a stop ran, and the state goes back to before the stop. */
function rulesWith({ endShown = false, guestEnds = true, marks = "run" }: Between): string[] {
  const history = new HistoryBuilder().created().accepted("d", "DeleteVm");
  history
    .effect("set_metadata", { stamp: { operation: "d", phase: "run" } })
    .accepted("s", "StopVm", { force: false });
  if (marks !== "nothing") history.effect("set_metadata", { stamp: { operation: "s", phase: marks } });
  history.effect("shutdown");
  if (guestEnds) history.foreign("guest_stopped");
  if (endShown) history.ended("s", "StopVm");
  history.recorder.add({ event: "fault", fault: "state_rolled_back" });
  history.restart();
  if (!guestEnds) history.effect("destroy");
  history.effect("undefine");
  return check(history.history).map(({ rule }) => rule);
}

const outOfTurn = ["operations of a VM neither overlap nor repeat"];

test("an older state may continue an operation when the later operation left no trace", () => {
  assert.deepEqual(rulesWith({}), []);
});

test("an older state that continues after a visible end of a later operation is a violation", () => {
  assert.deepEqual(rulesWith({ endShown: true }), outOfTurn);
});

test("an older state that continues despite a later operation's mark is a violation", () => {
  assert.deepEqual(rulesWith({ marks: "complete" }), outOfTurn);
  assert.deepEqual(rulesWith({ guestEnds: false }), outOfTurn);
});

test("an older state that continues after a later operation without a mark is a violation", () => {
  assert.deepEqual(rulesWith({ marks: "nothing" }), outOfTurn);
});
