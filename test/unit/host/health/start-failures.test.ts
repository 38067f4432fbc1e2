import assert from "node:assert/strict";
import test from "node:test";
import { independent, StartFailures, type Failure } from "../../../../agent/host/health/start-failures.ts";

const MINUTE = 60_000;
const limits = { vms: 3, withinMs: 10 * MINUTE, goodAfterMs: 30 * MINUTE };

/** A failure of the provider's own VM. */
const failure = (vmId: string, more: Partial<Failure> = {}): Failure => ({
  ...{ vmId, tenant: "", image: "debian", fault: "unclear", why: "x" },
  ...more,
});

test("three different VMs within ten minutes enter it, one VM three times does not", () => {
  const starts = new StartFailures(limits, 0);
  const kinds = ["a", "a", "a", "b", "c"].map(
    (vm, minute) => starts.failed(failure(vm), minute * MINUTE).kind,
  );
  assert.deepEqual(kinds, ["between", "between", "between", "between", "bad"]);
  assert.match(starts.verdict(4 * MINUTE).evidence, /^3 VMs failed to start within 10 min: a \(x\), b/);
});

test("failures further apart than ten minutes do not enter it", () => {
  const starts = new StartFailures(limits, 0);
  starts.failed(failure("a"), 0);
  starts.failed(failure("b"), 9 * MINUTE);
  assert.equal(starts.failed(failure("c"), 10 * MINUTE).kind, "between");
});

test("it is good only after thirty minutes of watching: an earlier agent may have seen failures", () => {
  const starts = new StartFailures(limits, 5 * MINUTE);
  assert.deepEqual(
    [5, 34, 35].map((minute) => starts.verdict(minute * MINUTE).kind),
    ["between", "between", "good"],
  );
});

test("one success ends it, and so do thirty minutes without another failure, not less", () => {
  const starts = new StartFailures(limits, 0);
  for (const vm of ["a", "b", "c"]) starts.failed(failure(vm), 0);
  assert.equal(starts.succeeded("d").kind, "good");
  assert.equal(starts.verdict(1).kind, "good");
  for (const vm of ["a", "b", "c"]) starts.failed(failure(vm), 0);
  assert.deepEqual(
    [9, 11, 29, 30].map((minute) => starts.verdict(minute * MINUTE).kind),
    ["bad", "between", "between", "good"],
  );
});

test("one tenant alone does not blame the host, with any number of VMs and images", () => {
  const starts = new StartFailures({ ...limits, vms: 1 }, 0);
  const kinds = ["a", "b", "c", "d"].map(
    (vm) => starts.failed(failure(vm, { tenant: "evil", image: `own-${vm}` }), 0).kind,
  );
  assert.deepEqual([...new Set(kinds)], ["between"]);
  assert.match(starts.verdict(0).evidence, /^4 VMs failed .*, 0 of them independent of one tenant and/);
});

test("failures of several tenants with different images blame the host, one per tenant", () => {
  const of = (tenant: string, image: string, vmId = `${tenant}-${image}`): Failure =>
    failure(vmId, { tenant, image });
  for (const [expected, failures] of [
    [0, [of("a", "1"), of("a", "2"), of("a", "3")]],
    [0, [of("a", "1"), of("b", "1"), of("c", "1")]],
    [2, [of("a", "1"), of("a", "2"), of("a", "3"), of("b", "4")]],
    [3, [of("a", "1"), of("b", "2"), of("c", "3")]],
    [1, [of("a", "1"), of("a", "2"), failure("mine")]],
    [1, [{ ...of("a", "1"), fault: "host" }]],
  ] as const)
    assert.equal(independent(failures), expected, JSON.stringify(failures));
});
