import { test } from "node:test";
import { readPlanted } from "../../../faults/history/plant.ts";
import { plantedBugs } from "../../../faults/history/planted.ts";

// The tests that find the planted bugs take minutes: a change of the edited agent code fails here first.
for (const { name, edits } of plantedBugs)
  test(`the planted bug ${name} matches the agent's code`, async () => {
    for (const { file } of edits) await readPlanted(edits, `agent/${file}`);
  });
