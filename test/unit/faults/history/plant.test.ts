import { test } from "node:test";
import { chainBugs } from "../../../faults/chain-bugs.ts";
import { deviceBugs } from "../../../faults/device-bugs.ts";
import { readPlanted, type Edit } from "../../../faults/history/plant.ts";
import { plantedBugs } from "../../../faults/history/planted.ts";
import { imageBugs } from "../../../faults/image-bugs.ts";
import { killBugs } from "../../../faults/kill-bugs.ts";

const all: readonly { readonly name: string; readonly edits: readonly Edit[] }[] = [
  ...plantedBugs,
  ...[...chainBugs, ...deviceBugs, ...killBugs].map(({ what, edit }) => ({ name: what, edits: [edit] })),
  ...Object.entries(imageBugs).flatMap(([name, bugs]) => bugs.map(({ edits }) => ({ name, edits }))),
];

// The tests that find the planted bugs take minutes: a change of the edited agent code fails here first.
for (const { name, edits } of all)
  test(`the planted bug ${name} matches the agent's code`, async () => {
    for (const { file } of edits) await readPlanted(edits, `agent/${file}`);
  });
