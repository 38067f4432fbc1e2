import assert from "node:assert/strict";
import test from "node:test";
import { parseNumberList, reading } from "../../../agent/hardware/reading.ts";

test("a file that never answers is a failure by the deadline, and holds one thread for all who ask", async () => {
  let started = 0;
  const never = (): Promise<number> => {
    started += 1;
    return new Promise(() => undefined);
  };
  const answers = await Promise.all([reading("/test/never", never, 20), reading("/test/never", never, 20)]);
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ["failed", "failed"],
  );
  assert.equal((await reading("/test/never", never, 20)).kind, "failed");
  assert.equal(started, 1);
});

test("lists of numbers as the kernel writes them", () => {
  assert.deepEqual(parseNumberList("0-2,8", "cpulist"), [0, 1, 2, 8]);
  assert.deepEqual(parseNumberList("", "cpulist"), []);
  assert.throws(() => parseNumberList("0-2-4", "cpulist"), /cpulist/);
  assert.throws(() => parseNumberList("0-99999999", "cpulist"), /cpulist/);
});
