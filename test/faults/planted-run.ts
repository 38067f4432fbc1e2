import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { copyWith, type Edit } from "./history/plant.ts";

/** A bug that a campaign must find, among others of the same agent. */
export interface CampaignBug {
  readonly what: string;
  readonly edit: Edit;
  /** Its violation. */
  readonly found: RegExp;
}

/** Tests that the campaign finds each bug of an agent that has all of them. `play` gets that agent's bundle. */
export function findsPlanted(
  campaign: string,
  count: number,
  bugs: readonly CampaignBug[],
  play: (run: CampaignRun, bundle: string) => Promise<unknown>,
): void {
  const options = { skip: libvirtdUnavailable(), timeout: 1_200_000 };
  suite(`the ${campaign} campaign finds planted bugs`, options, () => {
    let violations: string;
    const cleanups: (() => Promise<void>)[] = [];

    before(async () => {
      const edits = bugs.map(({ edit }) => edit);
      const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => cleanups.push(remove));
      await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
      const run = new CampaignRun(`${campaign}-planted`, count);
      cleanups.push(() => run.end());
      await play(run, join(root, "built/socle.js"));
      violations = run.violations.join("\n");
    });
    after(async () => {
      for (const cleanUp of cleanups.reverse()) await cleanUp();
    });

    for (const { what, found } of bugs) test(what, () => assert.match(violations, found));
  });
}
