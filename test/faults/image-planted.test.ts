import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { imageBugs } from "./image-bugs.ts";
import { sufferImages } from "./image-play.ts";
import { copyWith } from "./history/plant.ts";

const TRIES = 3;

suite("the image campaign finds planted bugs", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  for (const [what, planted] of Object.entries(imageBugs))
    test(what, async (t) => {
      const edits = planted.flatMap((each) => each.edits);
      const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => t.after(remove));
      await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
      const run = new CampaignRun("image-planted", TRIES);
      t.after(() => run.end());
      await sufferImages(run, join(root, "built/socle.js"));
      for (const { found } of planted) assert.match(run.violations.join("\n"), found);
    });
});
