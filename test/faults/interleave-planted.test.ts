import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { plantedBugs, type Edit } from "./history/planted.ts";
import { playSimulated } from "./history/simulated/players.ts";
import type { Finding } from "./history/simulated/simulate.ts";

const repository = join(import.meta.dirname, "../..");
/** With PLANTED_FROM_THE_FIRST=1 rare ones are looked for too, however long it takes. */
const isFromTheFirst = process.env["PLANTED_FROM_THE_FIRST"] === "1";
const HISTORIES_AT_MOST = isFromTheFirst ? 8000 : 400;

describe(
  "the checker finds every planted bug",
  { concurrency: 2, timeout: isFromTheFirst ? 7_200_000 : 1_200_000 },
  () => {
    for (const { name, what, edits, rules, rareInHistories } of plantedBugs) {
      test(`${name}: ${what}`, async (t) => {
        const root = await copyOf(t);
        for (const edit of edits) await plant(root, edit);
        if (rareInHistories !== undefined && !isFromTheFirst) {
          t.skip(`shows in one of ${rareInHistories} histories: PLANTED_FROM_THE_FIRST=1 looks for it`);
          return;
        }
        const found: Finding[] = [];
        const histories = await playSimulated({
          firstSeed: 1,
          count: HISTORIES_AT_MOST,
          seedsAtOnce: HISTORIES_AT_MOST,
          workers: 1,
          root,
          untilCaught: rules,
          onFinding: (finding) => found.push(finding),
        });
        const caught = found.find(({ rule }) => rules.includes(rule));
        assert.ok(caught !== undefined, `${name} was not found in ${histories} histories`);
        t.diagnostic(
          `${name}: found in seed ${caught.seed}, after ${histories} histories, by "${caught.rule}"`,
        );
      });
    }
  },
);

/** The repository as far as histories need it. */
async function copyOf(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "socle-planted-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, "test/faults"), { recursive: true });
  for (const path of ["agent", "proto", "test/faults/history", "test/fixtures/xml"])
    await cp(join(repository, path), join(root, path), { recursive: true });
  for (const path of ["package.json", "tsconfig.json"]) await cp(join(repository, path), join(root, path));
  await symlink(join(repository, "node_modules"), join(root, "node_modules"));
  return root;
}

async function plant(root: string, { file, find, replace }: Edit): Promise<void> {
  const path = join(root, "agent", file);
  const text = await readFile(path, "utf8");
  const times = text.split(find).length - 1;
  assert.equal(times, 1, `agent/${file} holds ${times} times: ${find}; adapt test/faults/history/planted.ts`);
  await writeFile(
    path,
    text.replace(find, () => replace),
  );
}
