import assert from "node:assert/strict";
import { test } from "node:test";
import { scheduleOf, type Action, type Schedule } from "../../../faults/history/simulated/schedule.ts";
import { withSecondTenant } from "../../../faults/history/simulated/second-tenant.ts";
import { shrink, type Played } from "../../../faults/history/simulated/shrink.ts";

const rule = "operations of a VM neither overlap nor repeat";

const isCall = (action: Action, id: number): boolean => action.do === "call" && action.id === id;

test("a schedule is shrunk to the actions that break the rule, on every player", async () => {
  const schedule = scheduleOf(7);
  let plays = 0;
  const play = (tried: Schedule): Promise<Played> => {
    plays += 1;
    const isBroken = [1, 3].every((id) => tried.actions.some((action) => isCall(action, id)));
    return Promise.resolve({ history: [], violations: isBroken ? [{ rule, at: 0, message: "" }] : [] });
  };
  assert.ok(schedule.actions.length > 4);
  const shrunk = await shrink(schedule, rule, { play, mostPlays: 200 });
  assert.deepEqual(
    shrunk?.schedule.actions.map((action) => (action.do === "call" ? action.id : action.do)),
    [1, 3],
  );
  plays = 0;
  await shrink(schedule, rule, { play, mostPlays: 4 });
  assert.equal(plays, 4);
  assert.equal(await shrink(schedule, "reads are monotonic", { play, mostPlays: 4 }), undefined);
});

test("some schedules get calls of a second tenant, and keep all of their own", () => {
  const seeds = Array.from({ length: 200 }, (_, index) => index + 1);
  const added = seeds.filter((seed) => {
    const { actions } = scheduleOf(seed);
    const both = withSecondTenant(scheduleOf(seed)).actions;
    const isSecond = (action: Action): boolean => action.do === "call" && action.caller === 3;
    assert.deepEqual(
      both.filter((action) => !isSecond(action)),
      actions,
    );
    return both.some(isSecond);
  });
  assert.ok(added.length > 30 && added.length < 70, String(added.length));
});
