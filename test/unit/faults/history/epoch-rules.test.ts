import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../../faults/history/checker.ts";
import type { RequestBegin } from "../../../faults/history/history.ts";
import { HistoryBuilder } from "../../../support/history/history-builder.ts";

const STEP = 1_000_000;
const earned = "only permitted changes raise the control epoch";
const audited = "each raise of the control epoch is audited";

const build = (): HistoryBuilder => new HistoryBuilder();
const rulesOf = (history: HistoryBuilder): string[] => check(history.history).map(({ rule }) => rule);

function looks(history: HistoryBuilder, epoch: number, isAudited = true): void {
  history.recorder.add({ event: "control_epoch", epoch, isAudited });
}

/** A scheduler's change that the agent accepts. */
function changes(history: HistoryBuilder, controlEpoch: number, more: Partial<RequestBegin> = {}): void {
  history.ok(history.request("StartVm", { requestId: `r-${controlEpoch}`, controlEpoch, ...more }));
}

test("a change raises the control epoch by 1,000,000 at most, also from zero", () => {
  const raised = (from: number, to: number): string[] => {
    const history = build();
    if (from > 0) {
      changes(history, from);
      looks(history, from);
    }
    changes(history, to);
    looks(history, to);
    return rulesOf(history);
  };
  assert.deepEqual(raised(0, STEP), []);
  assert.deepEqual(raised(0, STEP + 1), [earned]);
  assert.deepEqual(raised(7, STEP + 7), []);
  assert.deepEqual(raised(7, STEP + 8), [earned]);
  assert.deepEqual(raised(7, Number.MAX_SAFE_INTEGER), [earned]);
});

test("several changes between two reads may have raised the control epoch further", () => {
  const raised = (...requested: readonly number[]): string[] => {
    const history = build();
    for (const epoch of requested) changes(history, epoch);
    looks(history, Math.max(...requested));
    return rulesOf(history);
  };
  assert.deepEqual(raised(STEP, 2 * STEP), []);
  assert.deepEqual(raised(1, STEP + 2), [earned]);
  const ofTenant = build();
  changes(ofTenant, STEP, { tenant: "a" });
  changes(ofTenant, 2 * STEP);
  looks(ofTenant, 2 * STEP);
  assert.deepEqual(rulesOf(ofTenant), [earned]);
});

test("a change refused for too large a step has raised nothing, unless it was sent again", () => {
  const history = build().refused("StartVm", "CONTROL_EPOCH_TOO_FAR", { requestId: "r", controlEpoch: 9 });
  looks(history, 9);
  assert.deepEqual(rulesOf(history), [earned]);
  const again = build().refused("StartVm", "CONTROL_EPOCH_TOO_FAR", { requestId: "r", controlEpoch: 9 });
  changes(again, 9);
  looks(again, 9);
  assert.deepEqual(rulesOf(again), []);
});

test("a change without a reply yet may have raised the control epoch", () => {
  const history = build();
  const seq = history.request("StartVm", { requestId: "r", controlEpoch: 9 });
  looks(history, 9);
  history.recorder.add({ event: "answer", seq, outcome: "refused", reason: "CONTROL_EPOCH_STALE" });
  assert.deepEqual(rulesOf(history), []);
});

test("a raise without an entry in the audit log is a violation, unless the state is an older copy", () => {
  const raised = (rollsBack: boolean, isAudited: boolean): string[] => {
    const history = build();
    changes(history, 7);
    if (rollsBack) history.recorder.add({ event: "fault", fault: "state_rolled_back" });
    looks(history, 7, isAudited);
    return rulesOf(history);
  };
  assert.deepEqual(raised(false, true), []);
  assert.deepEqual(raised(false, false), [audited]);
  assert.deepEqual(raised(true, false), []);
});
