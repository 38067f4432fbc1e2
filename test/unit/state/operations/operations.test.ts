import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Permit } from "../../../../agent/state/operations/permit.ts";
import type { Report } from "../../../../agent/state/operations/run.ts";
import { eventually } from "../../../support/wait.ts";
import { folder } from "../../../support/state/folder.ts";
import {
  never,
  soonMs,
  open,
  request,
  nothing,
  refusedAs,
  outcomes,
  done,
} from "../../../support/state/operations-stage.ts";

test("an operation runs, shows its steps and ends with the work's result", async (t) => {
  const operations = await open(await folder(t));
  const { operation, fresh } = await operations.begin(request("a"));
  assert.equal(fresh, true);
  assert.equal(operation.state, "running");
  operations.run(operation, async (step) => {
    const half = await step("first", () => Promise.resolve(1), 0.5);
    assert.equal(operations.get(operation.id).progress, 0.5);
    await step("second", () => Promise.resolve(half));
    return { stoppedBy: "guest" };
  });
  assert.equal(operations.running, 1);
  const ended = await operations.wait(operation.id, soonMs, never);
  assert.equal(ended.state, "succeeded");
  assert.equal(ended.progress, 1);
  assert.ok(ended.endedAtMs !== undefined && ended.endedAtMs >= ended.createdAtMs);
  assert.deepEqual(ended.result, { stoppedBy: "guest" });
  assert.deepEqual(outcomes(ended), [
    ["first", "done"],
    ["second", "done"],
  ]);
  await operations.drain(0);
  assert.equal(operations.running, 0);
});

test("a long step shows how much of it is done, and journals none of that", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { operation } = await operations.begin(request("a"));
  const pending = operations.journalPendingBytes;
  const shown: number[] = [];
  operations.run(operation, async (step) => {
    await step("first", nothing, 0.1);
    const download = (report: Report): Promise<void> => {
      const before = operations.journalPendingBytes;
      for (const doneBytes of [250, 251, 500, 2000]) {
        report({ doneBytes, totalBytes: 1000 });
        shown.push(Math.round(operations.get(operation.id).progress * 1000) / 1000);
      }
      assert.equal(operations.get(operation.id).transfer?.doneBytes, 2000);
      assert.equal(operations.journalPendingBytes, before);
      return Promise.resolve();
    };
    await step("download", download, 0.8);
    assert.equal(operations.get(operation.id).transfer, undefined);
    shown.push(Math.round(operations.get(operation.id).progress * 1000) / 1000);
    return {};
  });
  assert.equal((await operations.wait(operation.id, soonMs, never)).progress, 1);
  assert.deepEqual(shown, [0.3, 0.3, 0.5, 0.9, 0.9]);
  assert.equal(pending, 0);
  await operations.drain(0);
});

test("failed work leaves its error, its failed step and its rollback, also after a restart", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { operation } = await operations.begin(request("a"));
  operations.run(operation, async (step) => {
    await step("volume", nothing);
    try {
      return await step("define", () =>
        Promise.reject(
          new SocleError("exhausted", "NO_CAPACITY", "no memory", {
            details: { metadata: { dimension: "memory" } },
          }),
        ),
      );
    } finally {
      await step.undo("volume", () => Promise.resolve());
    }
  });
  const ended = await operations.wait(operation.id, soonMs, never);
  assert.equal(ended.state, "failed");
  assert.deepEqual(ended.error, {
    kind: "exhausted",
    reason: "NO_CAPACITY",
    message: "no memory",
    metadata: { dimension: "memory" },
  });
  assert.deepEqual(outcomes(ended), [
    ["volume", "undone"],
    ["define", "failed"],
  ]);
  await operations.drain(0);
  const again = await open(directory);
  assert.deepEqual(again.get(operation.id), ended);
  await again.drain(0);
});

test("a step that is undone durably is undone in the journal before the work goes on", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { operation } = await operations.begin(request("a"));
  const journal = (): string => readFileSync(join(directory, "operations.journal"), "utf8");
  operations.run(operation, async (step) => {
    await step.durable("ask", nothing);
    assert.match(journal(), /"name":"ask"[^{}]*"outcome":"done"/);
    await step.undoDurably("ask", () => Promise.resolve());
    assert.match(journal(), /"name":"ask"[^{}]*"outcome":"undone"/);
    return {};
  });
  const ended = await operations.wait(operation.id, soonMs, never);
  assert.deepEqual([ended.state, outcomes(ended)], ["succeeded", [["ask", "undone"]]]);
  await operations.drain(0);
});

test("an interrupted operation can be resumed; its steps keep their positions", async (t) => {
  const directory = await folder(t);
  const before = await open(directory);
  const { operation } = await before.begin(request("a"));
  let reached: () => void = () => undefined;
  const started = new Promise<void>((resolve) => (reached = resolve));
  before.run(operation, async (step) => {
    await step("volume", nothing);
    return await step("define", () => {
      reached();
      return new Promise(() => undefined);
    });
  });
  await started;
  await before.drain(0);
  const after = await open(directory);
  const [interrupted] = after.interrupted;
  assert.ok(interrupted);
  after.run(interrupted, async (step) => {
    await step("volume", nothing);
    await step("define", nothing);
    await step("start", nothing);
    return {};
  });
  const ended = await after.wait(operation.id, soonMs, never);
  assert.deepEqual(outcomes(ended), [
    ["volume", "done"],
    ["define", "done"],
    ["start", "done"],
  ]);
  await after.drain(0);
});

test("an unknown outcome is no end: it waits for settle, over a restart too", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const { operation } = await operations.begin(request("a"));
  operations.run(operation, (step) =>
    step("start", () => Promise.reject(new SocleError("outcome_unknown", "CALL_TIMEOUT", "no answer"))),
  );
  await eventually(() => operations.running === 0, { what: "its work to be over" });
  assert.equal(operations.get(operation.id).state, "outcome_unknown");
  assert.equal(operations.list({ onlyRunning: true, limit: 10 }).length, 1);
  assert.throws(() => operations.cancel(operation.id, "anna"), refusedAs("conflict", "NOT_CANCELLABLE"));
  await operations.drain(0);
  const after = await open(directory);
  assert.equal(after.interrupted[0]?.state, "outcome_unknown");
  const waiting = after.wait(operation.id, soonMs, never);
  const settled = await after.settle(operation.id, { state: "succeeded" });
  assert.equal(settled.error, undefined);
  assert.deepEqual(await waiting, settled);
  await after.drain(0);
});

test("cancel ends as cancelled when the work stopped, as succeeded when too late, and never within a step", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const first = (await operations.begin(request("a"))).operation;
  let inStep = (): void => undefined;
  let release = (): void => undefined;
  const reached = new Promise<void>((resolve) => (inStep = resolve));
  const held = new Promise<void>((resolve) => (release = resolve));
  operations.run(first, async (step) => {
    await step("define", async () => {
      inStep();
      await held;
    });
    try {
      await step("start", nothing);
    } finally {
      await step.undo("define", () => Promise.resolve());
    }
    return {};
  });
  await reached;
  assert.equal(operations.cancel(first.id, "anna").state, "running");
  assert.equal(operations.cancel(first.id, "bert").cancelledBy, "anna", "the first caller that cancelled");
  release();
  const cancelled = await operations.wait(first.id, soonMs, never);
  assert.equal(cancelled.state, "cancelled");
  assert.deepEqual(outcomes(cancelled), [["define", "undone"]]);
  assert.throws(() => operations.cancel(first.id, "anna"), refusedAs("conflict", "NOT_CANCELLABLE"));

  const second = (await operations.begin(request("b"))).operation;
  operations.run(second, async (_step, signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return { stopped: "anyway" };
  });
  operations.cancel(second.id, "anna");
  assert.equal((await operations.wait(second.id, soonMs, never)).state, "succeeded");

  const third = (await operations.begin(request("c"))).operation;
  operations.run(third, async (_step, signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw new Error("broke while stopping");
  });
  operations.cancel(third.id, "anna");
  assert.equal((await operations.wait(third.id, soonMs, never)).state, "failed");
  assert.throws(() => operations.cancel("unknown", "anna"), refusedAs("not_found", "OPERATION_NOT_FOUND"));
  const committed = (await operations.begin(request("e"))).operation;
  operations.run(committed, async (step, signal) => {
    step.commit();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return await step("the rest", () => Promise.resolve({ whole: "yes" }));
  });
  operations.cancel(committed.id, "anna");
  assert.equal((await operations.wait(committed.id, soonMs, never)).result["whole"], "yes");
  const goingOn = (await operations.begin(request("f"))).operation;
  operations.run(goingOn, async (step, signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    assert.throws(() => step.commit(), { kind: "cancelled" });
    step.goOn();
    step.commit();
    return await step("the rest", () => Promise.resolve({ whole: "yes" }));
  });
  operations.cancel(goingOn.id, "anna");
  assert.equal((await operations.wait(goingOn.id, soonMs, never)).result["whole"], "yes");
  const fourth = (await operations.begin(request("d"))).operation;
  operations.run(fourth, () => Promise.resolve({}));
  await operations.wait(fourth.id, soonMs, never);
  await operations.drain(0);
  const again = await open(directory);
  assert.deepEqual(
    [first, second, third, fourth].map(({ id }) => again.get(id).cancelledBy),
    ["anna", "anna", "anna", undefined],
    "after a restart too",
  );
  await again.drain(0);
});

test("an operation runs once at a time, and never after its end", async (t) => {
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a"));
  let end: (result: Record<string, string>) => void = () => undefined;
  operations.run(operation, () => new Promise((resolve) => (end = resolve)));
  const twice = refusedAs("conflict", "OPERATION_ENDED");
  assert.throws(() => operations.run(operation, nothing), twice);
  await assert.rejects(operations.settle(operation.id, { state: "succeeded" }), twice);
  end({});
  await operations.wait(operation.id, soonMs, never);
  assert.throws(() => operations.run(operation, nothing), twice);
  await operations.drain(0);
});

test("operations are counted by kind and end since the start, without those of the journal", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  await done(operations, "a");
  await done(operations, "b");
  const { operation } = await operations.begin(request("c", { kind: "STOP_VM" }));
  operations.run(operation, () => Promise.reject(new SocleError("conflict", "NO", "no")));
  await operations.wait(operation.id, soonMs, never);
  assert.deepEqual(operations.totals("START_VM").byEnd, { succeeded: 2, failed: 0, cancelled: 0 });
  assert.deepEqual(operations.totals("STOP_VM").byEnd, { succeeded: 0, failed: 1, cancelled: 0 });
  assert.deepEqual(operations.totals("REBOOT_VM").byEnd, { succeeded: 0, failed: 0, cancelled: 0 });
  const { counts } = operations.totals("START_VM").durations;
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    2,
  );
  await operations.drain(0);
  const again = await open(directory);
  assert.deepEqual(again.totals("START_VM").byEnd, { succeeded: 0, failed: 0, cancelled: 0 });
  await again.drain(0);
});

test("a cancel does not show an end that is not durable yet", async (t) => {
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a"));
  operations.run(operation, nothing);
  // The work has ended, and the end waits for the disk.
  await Promise.resolve().then(() => undefined);
  assert.equal(operations.cancel(operation.id, "anna").state, "running");
  assert.equal(operations.get(operation.id).state, "running");
  const ended = await operations.wait(operation.id, soonMs, never);
  assert.equal(ended.state, "succeeded");
  await operations.drain(0);
});

test("an operation that becomes outdated while it runs does nothing more", async (t) => {
  let isOutdated = false;
  const operations = await open(await folder(t), { isOutdated: () => isOutdated });
  const { operation } = await operations.begin(request("a"));
  const done: string[] = [];
  await operations.run(operation, async (step) => {
    await step("erase", () => Promise.resolve(done.push("erase")));
    isOutdated = true;
    await step("delete volume", () => Promise.resolve(done.push("delete volume")));
    return {};
  }).ended;
  const { state, error } = operations.get(operation.id);
  assert.deepEqual([done, state, error?.reason], [["erase"], "outcome_unknown", "OPERATION_SUPERSEDED"]);
  await operations.drain(0);
});

test("a forgotten operation is not wanted", async (t) => {
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a"));
  assert.equal(operations.isWanted(operation.id), true);
  assert.equal(operations.isWanted(`${operation.id}x`), false);
  await operations.drain(0);
});

test("the rollback of an operation ends with the agent, also while changes are refused", async (t) => {
  const permit = new Permit();
  const operations = await open(await folder(t), { permit });
  const { operation } = await operations.begin(request("a"));
  const reasons: string[] = [];
  let continueWork = (): void => undefined;
  const gone = new Promise<void>((resolve) => (continueWork = resolve));
  const { ended } = operations.run(operation, async (step) => {
    await step("one", nothing);
    permit.refuse("lease", new SocleError("conflict", "HYPERVISOR_IN_USE", "another agent"));
    for (let tries = 0; tries < 2; tries += 1) {
      await step
        .undo("one", () => Promise.resolve())
        .catch((thrown: unknown) => {
          reasons.push((thrown as SocleError).reason);
        });
      if (tries === 0) await gone;
    }
    throw new SocleError("internal", "NO", "no");
  });
  await new Promise(setImmediate);
  await operations.drain(0);
  continueWork();
  await ended;
  assert.deepEqual(reasons, ["HYPERVISOR_IN_USE", "AGENT_STOPPING"]);
});
