import { test } from "node:test";
import { planted } from "../../../faults/history/plant.ts";
import { plantedBugs } from "../../../faults/history/planted.ts";

// The tests that find the bugs take minutes: a change of the agent under an edit shows here first.
for (const { name, edits } of plantedBugs)
  test(`the planted bug ${name} fits the agent's code`, async () => {
    for (const edit of edits) await planted(edit);
  });
