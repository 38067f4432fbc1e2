import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { check, describe } from "../../../faults/history/checker.ts";
import { toLines } from "../../../faults/history/history.ts";
import { scheduleOf, type Schedule } from "../../../faults/history/simulated/schedule.ts";
import { simulate } from "../../../faults/history/simulated/simulation.ts";

interface Known {
  /** The past defect of the agent or the checker that this history shows. */
  readonly shows: string;
  /** The complete schedule, since a seed gives another schedule once its generator has changed. */
  readonly schedule: Schedule;
}

const corpus = readFileSync(join(import.meta.dirname, "../../../fixtures/corpus/histories.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Known);

for (const { shows, schedule } of corpus)
  test(`history of seed ${schedule.seed} keeps every rule: ${shows}`, async () => {
    const { history, failures } = await simulate(schedule);
    const violations = [...failures, ...check(history)].map((violation) => describe(history, violation));
    assert.deepEqual(violations, []);
    const acts = schedule.actions.filter(({ do: act }) => act === "call").length;
    assert.ok(history.length > acts, `${history.length} entries after ${acts} calls`);
  });

test("a history depends on its schedule alone, whatever its process played before", async () => {
  const play = async (seed: number): Promise<string> => toLines((await simulate(scheduleOf(seed))).history);
  const first = await play(40);
  for (const seed of [41, 42]) await play(seed);
  assert.equal(await play(40), first);
});
