import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isFromTheFirst } from "./history/plant.ts";
import { plantedBugs } from "./history/planted.ts";
import { playSimulated } from "./history/simulated/players.ts";
import type { Finding } from "./history/simulated/simulate.ts";

const HISTORIES_AT_MOST = 400;

describe("the checker finds every planted bug", { concurrency: 2, timeout: 1_700_000 }, () => {
  for (const { name, what, edits, rules, seed = 1 } of plantedBugs) {
    test(`${name}: ${what}`, async (t) => {
      const found: Finding[] = [];
      const histories = await playSimulated({
        firstSeed: isFromTheFirst ? 1 : seed,
        count: HISTORIES_AT_MOST,
        seedsAtOnce: HISTORIES_AT_MOST,
        workers: 1,
        edits,
        untilCaught: rules,
        onFinding: (finding) => found.push(finding),
      });
      const caught = found.find(({ rule }) => rules.includes(rule));
      assert.ok(caught !== undefined, `${name} was not found in ${histories} histories from seed ${seed} on`);
      t.diagnostic(
        `${name}: found in seed ${caught.seed}, after ${histories} histories, by "${caught.rule}"`,
      );
    });
  }
});
