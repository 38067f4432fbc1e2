import assert from "node:assert/strict";
import { test } from "node:test";
import { Repeats } from "../../../agent/audit/repeats.ts";
import type { Act } from "../../../agent/audit/index.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";

/** Repeats whose windows the test ends. */
function stage() {
  const recorded: Act[] = [];
  const sleepers: { ms: number; wake: () => void }[] = [];
  const clock = {
    now: () => 0,
    monotonicMs: () => 0,
    sleep: (ms: number) => new Promise<void>((wake) => sleepers.push({ ms, wake })),
  };
  const repeats = new Repeats(clock, (act) => recorded.push(act));
  const pass = async (ms: number): Promise<void> => {
    for (const sleeper of sleepers.splice(0)) {
      if (sleeper.ms <= ms) sleeper.wake();
      else sleepers.push(sleeper);
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { recorded, repeats, pass };
}

const refusal = (name: string, reason: string, more: Partial<Act> = {}): Act => ({
  act: "call_refused",
  caller: { name, role: "viewer" },
  method: "/a/B",
  outcome: "denied",
  reason,
  ...more,
});

test("the first repeat of a kind is recorded, then the number of the others", async () => {
  const { recorded, repeats, pass } = stage();
  for (let at = 0; at < 1000; at += 1) repeats.add(refusal("red", "ROLE_DENIED"));
  repeats.add(refusal("blue", "ROLE_DENIED"));
  assert.equal(recorded.length, 2);
  await pass(10_000);
  assert.deepEqual(
    recorded.map(({ caller, times }) => [caller?.name, times]),
    [
      ["red", undefined],
      ["blue", undefined],
      ["red", 999],
    ],
  );
});

test("a caller with ever new kinds has a budget; refusals beyond it are counted in one entry", async () => {
  const { recorded, repeats, pass } = stage();
  for (let at = 0; at < 1000; at += 1) repeats.add(refusal("red", `REASON_${at}`));
  assert.ok(recorded.length <= 60, `${recorded.length} entries`);
  const before = recorded.length;
  repeats.add(refusal("blue", "ROLE_DENIED"));
  assert.equal(recorded.length, before + 1, "another caller's refusals are recorded");
  await pass(60_000);
  const last = recorded.at(-1);
  assert.deepEqual(
    [last?.caller?.name, last?.reason, last?.times],
    ["red", "OVER_AUDIT_BUDGET", 1000 - before],
  );
  repeats.add(refusal("red", "REASON_2000"));
  assert.equal(recorded.at(-1)?.reason, "REASON_2000", "the next minute has its own budget");
});

test("the budget counts bytes too", () => {
  const { recorded, repeats } = stage();
  for (let at = 0; at < 60; at += 1) repeats.add(refusal("red", `REASON_${at}`, { vm: "x".repeat(20_000) }));
  assert.equal(recorded.length, 1);
  repeats.close();
  const counted = recorded.reduce((sum, { times = 1 }) => sum + times, 0);
  assert.equal(counted, 60, "none is lost");
});

test("fifty concurrent kinds do not leak listeners", async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", onWarning);
  const repeats = new Repeats(systemClock, () => undefined);
  for (let at = 0; at < 50; at += 1) repeats.add(refusal(`caller-${at}`, "ROLE_DENIED"));
  repeats.close();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", onWarning);
  assert.deepEqual(warnings, []);
});
