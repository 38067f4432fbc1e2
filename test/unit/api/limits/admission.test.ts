import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { Admission, type Limits } from "../../../../agent/api/limits/admission.ts";
import { configSchema } from "../../../../agent/config/schema.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { eventually } from "../../../support/wait.ts";
import { ApiClient, errorOf, protos, startApi, vm } from "../../../support/api/harness.ts";

const clock = {
  ms: 0,
  monotonicMs: () => clock.ms,
};
const usual = { perSecond: 2, atOnce: 3 };
const limits: Limits = { read: usual, wait: usual, mutation: usual, stream: usual, control: usual };

function refusal(enter: () => unknown): SocleError {
  try {
    enter();
  } catch (thrown) {
    if (thrown instanceof SocleError) return thrown;
    throw thrown;
  }
  throw new Error("it was admitted");
}

test("a caller may burst five seconds of calls; further ones are refused with their time to retry", () => {
  const admission = new Admission(limits, clock);
  for (let count = 0; count < 10; count += 1) admission.enter("a", "read")();
  const refused = refusal(() => admission.enter("a", "read"));
  assert.deepEqual(
    [refused.kind, refused.reason, refused.details.retryAfterMs],
    ["exhausted", "RATE_LIMITED", 500],
  );
  admission.enter("b", "read")();
  admission.enter("a", "control")();
  clock.ms += 500;
  admission.enter("a", "read")();
  assert.equal(refusal(() => admission.enter("a", "read")).reason, "RATE_LIMITED");
  clock.ms += 3_600_000;
  for (let count = 0; count < 10; count += 1) admission.enter("a", "read")();
  refusal(() => admission.enter("a", "read"));
  const counts = admission.counts.find(({ kind }) => kind === "read");
  assert.deepEqual(counts, { kind: "read", open: 0, refused: 3 });
});

test("at the slowest rate that the configuration takes, a call now and then is admitted", () => {
  const slowest = { perSecond: 0.1, atOnce: 3 };
  const admission = new Admission({ ...limits, read: slowest }, clock);
  admission.enter("a", "read")();
  const { retryAfterMs = 0 } = refusal(() => admission.enter("a", "read")).details;
  assert.equal(retryAfterMs, 10_000);
  clock.ms += retryAfterMs;
  admission.enter("a", "read")();
});

test("open calls are bounded per caller and in total", () => {
  const admission = new Admission({ ...limits, stream: { perSecond: 1000, atOnce: 3 } }, clock);
  const open = [1, 2, 3].map(() => admission.enter("a", "stream"));
  assert.equal(refusal(() => admission.enter("a", "stream")).reason, "TOO_MANY_CALLS");
  for (let caller = 1; caller < 16; caller += 1)
    for (let count = 0; count < 3; count += 1) admission.enter(`c${caller}`, "stream");
  assert.match(refusal(() => admission.enter("z", "stream")).message, /of all callers/);
  open[0]?.();
  admission.enter("z", "stream");
});

test("a flood is refused over the wire with its time to retry; stops and health checks pass", async (t) => {
  const few = configSchema.shape.api.parse({ limits: { mutationsPerSecond: 1, streams: 2 } }).limits;
  const { socket, table, api } = await startApi(t, { limits: few });
  table.put(vm("a"));
  const client = new ApiClient(t, `unix:${socket}`);
  const ask = (requestId: string) => client.call(protos.vms.PauseVm, { requestId, vm: "a" });
  for (let count = 0; count < 5; count += 1) await ask(`request-${count}`);
  const refused = await errorOf(ask("one-more"));
  assert.deepEqual([refused.code, refused.info.reason], [status.RESOURCE_EXHAUSTED, "RATE_LIMITED"]);
  assert.ok((refused.retryMs ?? 0) > 0 && (refused.retryMs ?? 0) <= 1000);
  await client.call(protos.vms.StopVm, { requestId: "stop", vm: "a", force: true });
  await client.call(protos.health.Check, {});
  await client.call(protos.vms.GetVm, { vm: "a" });
  const streams = [1, 2].map(() => client.stream(protos.vms.WatchVms, {}));
  for (const stream of streams) {
    stream.on("error", () => undefined);
    await new Promise((resolve) => stream.once("data", resolve));
  }
  const third = client.stream(protos.vms.WatchVms, {});
  const error = await new Promise<{ code?: number }>((resolve) => third.once("error", resolve));
  assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  for (const stream of streams) stream.cancel();
  await eventually(() => api.callCounts.every(({ open }) => open === 0), { what: "the streams to be over" });
});
