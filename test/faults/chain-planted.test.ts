import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { chainBugs } from "./chain-bugs.ts";
import { sufferChain } from "./chain-play.ts";
import { lifeOfAChain } from "./chain-victim.ts";
import { copyWith } from "./history/plant.ts";

suite("the chain campaign finds planted bugs", { skip: libvirtdUnavailable(), timeout: 1_200_000 }, () => {
  /** Of an agent that has all of them. */
  let violations: string;
  const cleanups: (() => Promise<void>)[] = [];

  before(async () => {
    const edits = chainBugs.map(({ edit }) => edit);
    const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => cleanups.push(remove));
    await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
    const tillDeletion = 1 + lifeOfAChain.findIndex(([act]) => act === "UNSNAP");
    const run = new CampaignRun("chain-planted", tillDeletion);
    cleanups.push(() => run.end());
    await sufferChain(run, {
      bundle: join(root, "built/socle.js"),
      vms: ["runs"],
      // Other faults may end a backup, which then shows nothing.
      faults: ["agent"],
      // What is wrong stays so.
      settledWithinMs: 3000,
    });
    violations = run.violations.join("\n");
  });
  after(async () => {
    for (const cleanUp of cleanups.reverse()) await cleanUp();
  });

  for (const { what, found } of chainBugs) test(what, () => assert.match(violations, found));
});
