import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Operations } from "../../../../agent/state/operations/operations.ts";
import { Retention } from "../../../../agent/state/operations/retention.ts";
import { eventually } from "../../../support/wait.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { folder } from "../../../support/state/folder.ts";
import {
  never,
  dayMs,
  soonMs,
  open,
  request,
  nothing,
  refusedAs,
  outcomes,
  done,
  killed,
  setClock,
} from "../../../support/state/operations-stage.ts";

test("an operation is on the disk once begin has returned, and its end once it is visible", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { operation } = await operations.begin(request("a"));
  const afterBegin = await folder(t);
  await killed(directory, afterBegin);
  const afterEnd = await folder(t);
  const end = new AbortController();
  const seen = (async () => {
    for await (const change of operations.watch(end.signal)) {
      if (change.kind === "item" && change.value.state === "succeeded") {
        await killed(directory, afterEnd);
        return;
      }
    }
  })();
  operations.run(operation, nothing);
  await seen;
  end.abort();
  const interrupted = await open(afterBegin);
  const [found] = interrupted.interrupted;
  assert.equal(found?.error?.reason, "INTERRUPTED");
  assert.deepEqual(interrupted.interrupted, [{ ...operation, state: "outcome_unknown", error: found.error }]);
  const ended = await open(afterEnd);
  assert.deepEqual(ended.interrupted, []);
  assert.equal(ended.get(operation.id).state, "succeeded");
  await Promise.all([operations.drain(0), interrupted.drain(0), ended.drain(0)]);
});

test("an operation without an end is interrupted at the next start and can be settled; its request id stays", async (t) => {
  const directory = await folder(t);
  const before = await open(directory);
  const { operation } = await before.begin(request("a"));
  before.run(operation, (step) => step("hangs", () => new Promise(() => undefined)));
  const second = await before.begin(request("b"));
  await before.drain(0);
  const after = await open(directory);
  assert.deepEqual(
    after.interrupted.map(({ id }) => id),
    [operation.id, second.operation.id],
  );
  assert.deepEqual(after.interrupted[0]?.intent, { wanted: true });
  assert.deepEqual(outcomes(after.get(operation.id)), [["hangs", undefined]]);
  await after.settle(operation.id, { state: "succeeded", result: { found: "running" } });
  await after.settle(second.operation.id, {
    state: "failed",
    error: new SocleError("conflict", "GONE", "it is gone"),
  });
  const again = await after.begin(request("a"));
  assert.equal(again.fresh, false);
  assert.equal(again.operation.state, "succeeded");
  assert.deepEqual(again.operation.result, { found: "running" });
  await assert.rejects(
    after.settle(operation.id, { state: "succeeded" }),
    refusedAs("conflict", "OPERATION_ENDED"),
  );
  await after.drain(0);
  const last = await open(directory);
  assert.equal(last.interrupted.length, 0);
  assert.equal(last.get(second.operation.id).error?.reason, "GONE");
  await last.drain(0);
});

test("ended operations and their ids are kept for the retention, over restarts and clock steps", async (t) => {
  const directory = await folder(t);
  const { clock, pass, stepWall } = setClock();
  const first = await open(directory, { clock });
  const { id } = await done(first, "a");
  const unended = (await first.begin(request("open", { vmId: "vm-2" }))).operation.id;
  pass(dayMs - 1000);
  stepWall(10 * dayMs);
  assert.equal((await first.begin(request("a"))).operation.id, id);
  stepWall(-10 * dayMs);
  await first.drain(0);
  const second = await open(directory, { clock });
  assert.equal((await second.begin(request("a"))).operation.id, id);
  pass(2000);
  assert.equal((await second.begin(request("other"))).fresh, true);
  assert.throws(() => second.get(id), refusedAs("not_found", "OPERATION_NOT_FOUND"));
  assert.equal((await second.begin(request("a"))).fresh, true);
  await second.drain(0);
  pass(30 * dayMs);
  const third = await open(directory, { clock });
  assert.throws(() => third.get(id));
  assert.equal(third.get(unended).state, "outcome_unknown");
  await third.drain(0);
});

test("a stepped wall clock forgets no operation before its time, over a restart of the agent either", async (t) => {
  const directory = await folder(t);
  const boot = { bootId: "boot", ms: () => 1_000_000 };
  const wall = { ms: 1_700_000_000_000 };
  const clock = { ...systemClock, now: () => wall.ms };
  const open = (sinceBoot = boot) =>
    Operations.open({ directory, clock, boot: sinceBoot, log: silentLog, retentionMs: 86_400_000 });
  const before = await open();
  const { operation } = await before.begin({
    requestId: "r",
    caller: "c",
    kind: "PAUSE_VM",
    vmId: "v",
    fingerprint: "f",
    intent: null,
  });
  before.run(operation, () => Promise.resolve({}));
  await before.wait(operation.id, 5000, new AbortController().signal);
  await before.drain(0);
  for (const stepMs of [2 * 86_400_000, -5 * 86_400_000]) {
    wall.ms += stepMs;
    const after = await open();
    assert.equal(after.get(operation.id).state, "succeeded");
    await after.drain(0);
  }
  const dayLater = await open({ bootId: "boot", ms: () => 1_000_000 + 86_400_000 });
  assert.equal(dayLater.retained, 0);
  await dayLater.drain(0);
});

test("the journal is compacted under load, and has the same content after it", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory, { compactAboveBytes: 50_000 });
  for (let i = 0; i < 40; i += 1) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, j) => {
        const { operation } = await operations.begin(
          request(`${i}-${j}`, { intent: { text: "x".repeat(500) } }),
        );
        operations.run(operation, async (step) => {
          for (const name of ["a", "b", "c"]) await step(name, nothing);
          return { j: String(j) };
        });
        if (j < 9) await operations.wait(operation.id, soonMs, never);
      }),
    );
  }
  const shown = operations.list({ limit: 1000 });
  assert.equal(shown.length, 400);
  await operations.drain(soonMs);
  const journal = await readFile(join(directory, "operations.journal"), "utf8");
  assert.ok(journal.includes('"sealed":true}\n'), "compacted");
  const after = await open(directory);
  assert.deepEqual(after.interrupted, []);
  for (const operation of after.list({ limit: 1000 })) assert.equal(operation.state, "succeeded");
  assert.deepEqual(
    after.list({ limit: 1000 }).map(({ id }) => id),
    shown.map(({ id }) => id),
  );
  await after.drain(0);
});

test("drain accepts no more, waits for running work, and leaves the rest to the next start", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const quick = (await operations.begin(request("quick"))).operation;
  const slow = (await operations.begin(request("slow"))).operation;
  let endQuick = (): void => undefined;
  let endSlow = (): void => undefined;
  operations.run(quick, () => new Promise((resolve) => (endQuick = () => resolve({}))));
  let started = false;
  let aborted = false;
  const over = new Promise<void>((resolve) => {
    operations.run(slow, async (step, signal) => {
      try {
        await step("define", () => new Promise<void>((finish) => (endSlow = finish)));
        await step("start", () => {
          started = true;
          return Promise.resolve();
        });
        return {};
      } finally {
        aborted = signal.aborted;
        resolve();
      }
    });
  });
  const draining = operations.drain(100);
  await assert.rejects(operations.begin(request("late")), refusedAs("unavailable", "AGENT_STOPPING"));
  assert.equal((await operations.begin(request("quick"))).fresh, false);
  endQuick();
  await draining;
  endSlow();
  await over;
  assert.equal(started, false);
  assert.equal(aborted, false);
  const after = await open(directory);
  assert.equal(after.get(quick.id).state, "succeeded");
  assert.deepEqual(
    after.interrupted.map(({ id }) => id),
    [slow.id],
  );
  await after.drain(0);
});

test("drain ends as soon as nothing runs any more", async (t) => {
  const operations = await open(await folder(t), { clock: new FakeClock() });
  const { operation } = await operations.begin(request("a"));
  operations.run(operation, nothing);
  await operations.drain(60_000);
  assert.equal(operations.get(operation.id).state, "succeeded");
});

test("a day's operations are forgotten in parts, and no mutation waits for all of them", async (t) => {
  const directory = await folder(t);
  const time = new FakeClock();
  const operations = await open(directory, { clock: time });
  for (let at = 0; at < 250; at += 1) await done(operations, `r-${at}`, { vmId: `vm-${at}` });
  time.advance(dayMs);
  await operations.begin(request("next"));
  assert.equal(operations.retained, 151, "one mutation forgets a part");
  const stop = new AbortController();
  const retention = new Retention(time, [operations]).run(stop.signal, () => undefined);
  assert.equal(operations.retained, 51);
  time.advance(20);
  await eventually(() => operations.retained === 1, { what: "the rest to be forgotten without a mutation" });
  stop.abort();
  await retention;
  await operations.drain(0);
});
