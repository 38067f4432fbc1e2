import assert from "node:assert/strict";
import test from "node:test";
import { StartFailures } from "../../../agent/host/start-failures.ts";

const MINUTE = 60_000;
const limits = { vms: 3, withinMs: 10 * MINUTE, goodAfterMs: 30 * MINUTE };

test("three different VMs within ten minutes, not one VM three times", () => {
  const starts = new StartFailures(limits, 0);
  const kinds = ["a", "a", "a", "b", "c"].map((vm, minute) => starts.failed(vm, "x", minute * MINUTE).kind);
  assert.deepEqual(kinds, ["between", "between", "between", "between", "bad"]);
  assert.match(starts.verdict(4 * MINUTE).evidence, /^3 VMs failed to start within 10 min: a \(x\), b/);
});

test("failures further apart than ten minutes are not one", () => {
  const starts = new StartFailures(limits, 0);
  starts.failed("a", "x", 0);
  starts.failed("b", "x", 9 * MINUTE);
  assert.equal(starts.failed("c", "x", 10 * MINUTE).kind, "between");
});

test("it was quiet once it was watched for thirty minutes: another agent may have seen failures before", () => {
  const starts = new StartFailures(limits, 5 * MINUTE);
  assert.deepEqual(
    [5, 34, 35].map((minute) => starts.verdict(minute * MINUTE).kind),
    ["between", "between", "good"],
  );
});

test("one success ends it, and so do thirty minutes without another failure, not less", () => {
  const starts = new StartFailures(limits, 0);
  for (const vm of ["a", "b", "c"]) starts.failed(vm, "x", 0);
  assert.equal(starts.succeeded("d").kind, "good");
  assert.equal(starts.verdict(1).kind, "good");
  for (const vm of ["a", "b", "c"]) starts.failed(vm, "x", 0);
  assert.deepEqual(
    [9, 11, 29, 30].map((minute) => starts.verdict(minute * MINUTE).kind),
    ["bad", "between", "between", "good"],
  );
});
