import assert from "node:assert/strict";
import { test } from "node:test";
import { portRange } from "../../../../agent/kernel/text/port-range.ts";

test("a range of ports is in ascending order, within the ports that TCP has", () => {
  assert.deepEqual(portRange("10900-10963"), { first: 10_900, last: 10_963 });
  assert.deepEqual(portRange("1-65535"), { first: 1, last: 65_535 });
  assert.deepEqual(portRange("80-80"), { first: 80, last: 80 });
  for (const text of ["", "80", "80-", "-80", "0-80", "81-80", "80-65536", "80-90-100", " 80-90", "080-90"])
    assert.equal(portRange(text), undefined, text);
});
