import assert from "node:assert/strict";
import { test } from "node:test";
import { previousFigures, previousStartsIn } from "../../../faults/history/real/previous-release.ts";
import { HistoryBuilder } from "../../../support/history/history-builder.ts";

test("a result reports how often the previous release was started, or why it was not", () => {
  const { recorder, history } = new HistoryBuilder();
  for (const [index, version] of ["previous", "previous", "built"].entries())
    recorder.add({ event: "agent_start", run: index + 1, version });
  assert.equal(previousStartsIn(history), 2);
  assert.deepEqual(previousFigures(2, { bundle: "socle.js" }), { previousStarts: 2 });
  assert.deepEqual(previousFigures(0, { bundle: undefined, why: "this clone is shallow" }), {
    previousStarts: 0,
    noPreviousBecause: "this clone is shallow",
  });
  assert.deepEqual(previousFigures(0, { bundle: "socle.js" }), {
    previousStarts: 0,
    noPreviousBecause: "no history that was played begins with it",
  });
});
