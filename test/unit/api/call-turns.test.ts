// How calls share the turns of the event loop, by a clock on which each piece of work takes a whole turn.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { FairTurns } from "../../../agent/kernel/concurrency/fair-turns.ts";
import { protos } from "../../support/api/client.ts";
import { DirectCalls } from "../../support/api/direct-calls.ts";
import { startApi } from "../../support/api/harness.ts";

const CALLS = 10;
const begin = { caller: "c", vmId: "v", fingerprint: "f", intent: {} };

async function start(t: TestContext, readsAtOnce = 100) {
  const { dependencies, audit, operations } = await startApi(t);
  let nowMs = 0;
  const turns = new FairTurns(1, () => (nowMs += 1));
  const calls = new DirectCalls(dependencies, audit, { turns, readsAtOnce });
  t.after(() => calls.close());
  return { calls, operations };
}

test("replies that are ready at the same moment are encoded in separate turns of the event loop", async (t) => {
  const { calls, operations } = await start(t);
  const { operation } = await operations.begin({ ...begin, requestId: "1", kind: "START_VM" });
  const request = { operationId: operation.id, timeout: { seconds: 60 } };
  const answered: number[] = [];
  for (let call = 0; call < CALLS; call += 1)
    void calls.call(protos.operations.WaitOperation.path, request).then(() => answered.push(call));
  // Each call begins in its own turn, too.
  for (let turn = 0; turn <= CALLS; turn += 1) await nextTurn();
  assert.deepEqual(answered, []);
  operations.run(operation, () => Promise.resolve({}));
  let mostInTurn = 0;
  while (answered.length < CALLS) {
    const before = answered.length;
    await nextTurn();
    mostInTurn = Math.max(mostInTurn, answered.length - before);
  }
  // The first reply is sent at once, in a turn that has time left.
  assert.ok(mostInTurn <= 2, `${mostInTurn} of ${CALLS} in one turn`);
});

test("a read whose caller cancelled before its turn is skipped", async (t) => {
  const { calls } = await start(t);
  const answers: string[] = [];
  const { path } = protos.vms.ListVms;
  await calls.call(path, {});
  void calls.call(path, {}).then(() => answers.push("kept"));
  for (let call = 0; call < CALLS; call += 1) calls.giveUp(path, {}, () => answers.push("given up"));
  void calls.call(path, {}).then(() => answers.push("last"));
  for (let turn = 0; turn < 10 * CALLS; turn += 1) await nextTurn();
  assert.deepEqual(answers, ["kept", "last"]);
});

test("a read whose caller cancelled keeps its place until its work has ended", async (t) => {
  const { calls } = await start(t, 1);
  const { path } = protos.vms.ListVms;
  await calls.call(path, {});
  const answers: string[] = [];
  calls.giveUp(path, {}, () => answers.push("given up"));
  await assert.rejects(calls.call(path, {}), { code: status.RESOURCE_EXHAUSTED });
  for (let turn = 0; turn < CALLS; turn += 1) await nextTurn();
  await calls.call(path, {});
  assert.deepEqual(answers, []);
});
