import { chainBugs } from "./chain-bugs.ts";
import { sufferChain } from "./chain-play.ts";
import { lifeOfAChain } from "./chain-victim.ts";
import { findsPlanted } from "./planted-run.ts";

// With a round of the encrypted disk.
const tillDeletion = 2 + lifeOfAChain.findIndex(([act]) => act === "UNSNAP");

findsPlanted("chain", tillDeletion, chainBugs, (run, bundle) =>
  // Other faults may end a backup, which then shows nothing; and what is wrong stays so.
  sufferChain(run, { bundle, vms: ["runs"], faults: ["agent"], settledWithinMs: 3000 }),
);
