// A forced stop cuts short the stop before it in the queue, if its caller may.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../../../agent/kernel/clock.ts";
import { StopEscalation, type Cut } from "../../../../agent/vm/operations/stop-escalation.ts";

const acme = "spiffe://cloud.example/scheduler/s/tenant/acme";
const colleague = "spiffe://cloud.example/operator/o/tenant/acme";
const provider = "spiffe://cloud.example/scheduler/s";

const yes = (): boolean => true;

function stage() {
  const sleeps: { ms: number; wake: () => void; signal: AbortSignal | undefined }[] = [];
  const sleep: Clock["sleep"] = (ms, signal) =>
    new Promise((resolve, reject) => {
      sleeps.push({ ms, wake: resolve, signal });
      signal?.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
    });
  const escalation = new StopEscalation({ sleep });
  let end = (): void => undefined;
  let cut: Cut | undefined;
  const stop = (caller: string): Promise<void> =>
    escalation.during("vm", caller, (given) => {
      cut = given;
      return new Promise<void>((resolve) => (end = resolve));
    });
  return {
    escalation,
    stop,
    sleeps,
    isCut: () => cut?.signal.aborted,
    isWanted: () => cut?.isWanted(),
    end: () => end(),
  };
}

test("a tenant's forced stop does not cut the provider's stop short; the provider's cuts every stop", async () => {
  for (const [forcing, waiting, cuts] of [
    [acme, provider, false],
    [acme, "unix:operator", false],
    [acme, colleague, true],
    [provider, acme, true],
    [provider, "unix:operator", true],
  ] as const) {
    const { escalation, stop, isCut, end } = stage();
    const done = stop(waiting);
    escalation.forced("vm", forcing, 0, yes);
    assert.equal(isCut(), cuts, `${forcing} and ${waiting}`);
    end();
    await done;
  }
});

test("a forced stop with a grace waits that long behind a stop with a longer one", async () => {
  const { escalation, stop, sleeps, isCut, end } = stage();
  const done = stop(acme);
  escalation.forced("vm", provider, 5000, yes);
  assert.deepEqual([isCut(), sleeps.map(({ ms }) => ms)], [false, [5000]]);
  sleeps[0]?.wake();
  await new Promise(setImmediate);
  assert.equal(isCut(), true);
  end();
  await done;
});

test("a forced stop does not wait for an ended stop, and does not cut the next one short", async () => {
  const { escalation, stop, sleeps, isCut, end } = stage();
  const first = stop(acme);
  escalation.forced("vm", provider, 5000, yes);
  end();
  await first;
  assert.equal(sleeps[0]?.signal?.aborted, true);
  const second = stop(acme);
  assert.equal(isCut(), false);
  end();
  await second;
  escalation.forced("vm", provider, 0, yes);
});

test("a forced stop that has ended or was cancelled cuts nothing short", async () => {
  const { escalation, stop, sleeps, isCut, end } = stage();
  const done = stop(acme);
  escalation.forced("vm", provider, 0, () => false);
  assert.equal(isCut(), false, "its request is repeated after its end");
  let isWanted = true;
  escalation.forced("vm", provider, 5000, () => isWanted);
  isWanted = false;
  sleeps[0]?.wake();
  await new Promise(setImmediate);
  assert.equal(isCut(), false, "it was cancelled meanwhile");
  end();
  await done;
});

test("a stop that was cut short does not destroy its guest for a forced stop cancelled since", async () => {
  const { escalation, stop, isCut, isWanted, end } = stage();
  const done = stop(acme);
  let isFirstWanted = true;
  escalation.forced("vm", provider, 0, () => isFirstWanted);
  assert.deepEqual([isCut(), isWanted()], [true, true]);
  isFirstWanted = false;
  assert.equal(isWanted(), false);
  escalation.forced("vm", provider, 0, yes);
  assert.equal(isWanted(), true, "another forced stop is queued");
  end();
  await done;
});
