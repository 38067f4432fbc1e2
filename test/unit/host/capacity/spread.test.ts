import assert from "node:assert/strict";
import test from "node:test";
import { spread } from "../../../../agent/host/capacity/spread.ts";

test("shares are whole, add up, and follow their weights", () => {
  assert.deepEqual(spread(10, [1, 1, 1]), [4, 3, 3]);
  assert.deepEqual(spread(7, [2, 5]), [2, 5]);
  assert.deepEqual(spread(1, [1, 1]), [1, 0]);
  assert.deepEqual(spread(0, [3, 4]), [0, 0]);
  assert.deepEqual(spread(3, [0, 0]), [2, 1]);
});

test("no share exceeds its weight while the amount fits, bytes of large machines included", () => {
  const weights = [65_673_216_003, 1, 4_398_046_511_104, 77];
  for (const amount of [1, 78, 65_673_216_003, weights.reduce((sum, weight) => sum + weight, 0)]) {
    const shares = spread(amount, weights);
    assert.equal(
      shares.reduce((sum, share) => sum + share, 0),
      amount,
    );
    shares.forEach((share, index) => assert.ok(share >= 0 && share <= (weights[index] ?? 0)));
  }
});
