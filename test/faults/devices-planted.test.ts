import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { deviceBugs } from "./device-bugs.ts";
import { lifeOfADisk, sufferChanges } from "./device-changes.ts";
import { copyWith } from "./history/plant.ts";

suite("the devices campaign finds planted bugs", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  /** Of an agent that has all of them. */
  let violations: string;
  const cleanups: (() => Promise<void>)[] = [];

  before(async () => {
    const edits = deviceBugs.map(({ edit }) => edit);
    const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => cleanups.push(remove));
    await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
    const run = new CampaignRun("devices-planted", lifeOfADisk.length);
    cleanups.push(() => run.end());
    await sufferChanges(run, join(root, "built/socle.js"));
    violations = run.violations.join("\n");
  });
  after(async () => {
    for (const cleanUp of cleanups.reverse()) await cleanUp();
  });

  for (const { what, found } of deviceBugs) test(what, () => assert.match(violations, found));
});
