import assert from "node:assert/strict";
import { test } from "node:test";
import { methods } from "../../../../agent/contract/methods.ts";
import { uninterleaved } from "../../../faults/history/not-interleaved.ts";
import { mutations } from "../../../faults/history/requests.ts";
import { changeMethods } from "../../../faults/history/simulated/changes.ts";
import { saveMethods } from "../../../faults/history/simulated/saves.ts";
import { Chance } from "../../../faults/history/simulated/chance.ts";
import { methodOf } from "../../../faults/history/simulated/schedule.ts";

const DRAWS = 2000;

/** All that change something: their calls are audited. */
const changing = Object.entries(methods).flatMap(([path, { audit }]) =>
  audit === undefined ? [] : [path.replace("/socle.v1.", "")],
);

const chance = new Chance(1);
const drawn = new Set(Array.from({ length: DRAWS }, () => methodOf(chance)));
const scheduled = new Set(
  [...drawn, ...changeMethods, ...saveMethods, "CancelOperation"].map((method) =>
    method === "CancelOperation" ? `OperationService/${method}` : `VmService/${method}`,
  ),
);

test("the interleave campaign schedules each changing method, or says why not", () => {
  const known = [...scheduled].filter((name) => changing.includes(name));
  assert.deepEqual(
    [...known, ...Object.keys(uninterleaved)].sort(),
    changing.toSorted(),
    "add the method to test/faults/history/simulated/changes.ts, or its reason to test/faults/history/not-interleaved.ts",
  );
});

test("the checker of histories knows each operation that is scheduled", () => {
  const operations = [...drawn, ...changeMethods, ...saveMethods].filter((method) =>
    changing.includes(`VmService/${method}`),
  );
  assert.deepEqual(operations.sort(), [...mutations].sort());
});
