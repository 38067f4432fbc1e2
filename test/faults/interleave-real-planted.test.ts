import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { CampaignRun } from "./campaign.ts";
import { copyWith, isFromTheFirst } from "./history/plant.ts";
import { plantedBugs } from "./history/planted.ts";
import { realScheduleOf, RealStage } from "./history/real/real-stage.ts";

const HISTORIES_AT_MOST = isFromTheFirst ? 100 : 40;
const STAGES = 2;

/**
 * A seed fixes the requests and faults, not the timing of a real libvirt and machine: the seed that mostly shows the bug is
 * repeated after each other seed.
 */
const seedOf = (firstSeed: number, turn: number): number =>
  isFromTheFirst ? firstSeed + turn : firstSeed + (turn % 2 === 0 ? 0 : (turn + 1) / 2);

const planted = plantedBugs.flatMap(({ realSeed, ...bug }) =>
  realSeed === undefined ? [] : [{ ...bug, firstSeed: isFromTheFirst ? 1 : realSeed }],
);

describe(
  "the checker finds planted bugs in real histories",
  { concurrency: STAGES, skip: libvirtdUnavailable(), timeout: isFromTheFirst ? 7_200_000 : 2_400_000 },
  () => {
    const run = new CampaignRun("planted", HISTORIES_AT_MOST);
    const idle: RealStage[] = [];
    after(() => run.end());
    for (const { name, what, edits, rules, firstSeed } of planted) {
      test(`${name}: ${what}`, async (t) => {
        const stage = idle.pop() ?? (await RealStage.open(run));
        try {
          const root = await copyWith(edits, ["scripts/build.mjs"], (remove) => t.after(remove));
          await promisify(execFile)(process.execPath, [join(root, "scripts/build.mjs"), join(root, "built")]);
          const bundles = { bundle: join(root, "built/socle.js"), previous: undefined };
          for (let turn = 0; turn < HISTORIES_AT_MOST; turn += 1) {
            const seed = seedOf(firstSeed, turn);
            const { violations } = await stage.play(realScheduleOf(seed), bundles);
            const caught = violations.find(({ rule }) => rules.includes(rule));
            if (caught === undefined) continue;
            t.diagnostic(
              `${name}: found in seed ${seed}, after ${turn + 1} real histories, by "${caught.rule}"`,
            );
            return;
          }
          assert.fail(
            `${name} was not found in ${HISTORIES_AT_MOST} real histories from seed ${firstSeed} on`,
          );
        } finally {
          idle.push(stage);
        }
      });
    }
  },
);
