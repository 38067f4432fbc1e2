import assert from "node:assert/strict";
import test from "node:test";
import { Pace } from "../../../../agent/state/operations/pace.ts";

test("the speed is that of the last seconds, and unknown at first", () => {
  const pace = new Pace();
  assert.equal(pace.at(0, 1000), undefined);
  assert.equal(pace.at(10, 1100), undefined);
  assert.equal(pace.at(2000, 3000), 1000);
  for (let second = 4; second <= 60; second += 1) pace.at(2000 + (second - 3) * 50, second * 1000);
  assert.equal(Math.round(pace.at(2000 + 58 * 50, 61_000) ?? 0), 50);
});

test("a copy that stands still, or begins again, has the speed 0", () => {
  const pace = new Pace();
  pace.at(0, 0);
  assert.equal(pace.at(5000, 1000), 5000);
  pace.at(5000, 6000);
  pace.at(5000, 11_000);
  assert.equal(pace.at(5000, 22_000), 0);
  assert.equal(pace.at(0, 23_000), 0);
});
