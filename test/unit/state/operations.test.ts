import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import type { Operation } from "../../../agent/state/operation.ts";
import { Operations, type OperationsOptions } from "../../../agent/state/operations.ts";
import { eventually } from "../../lab/wait.ts";
import { folder } from "./folder.ts";

const never = new AbortController().signal;
const dayMs = 86_400_000;
const soonMs = 10_000;

const open = (directory: string, options: Partial<OperationsOptions> = {}): Promise<Operations> =>
  Operations.open({ directory, clock: systemClock, log: silentLog, retentionMs: dayMs, ...options });

const request = (requestId: string, more: object = {}) => ({
  requestId,
  caller: "operator",
  kind: "START_VM",
  vmId: "vm-1",
  fingerprint: "same",
  intent: { wanted: true },
  ...more,
});

const nothing = (): Promise<Record<string, string>> => Promise.resolve({});

const refusedAs = (kind: string, reason: string) => (error: unknown) =>
  error instanceof SocleError && error.kind === kind && error.reason === reason;

const outcomes = (operation: Operation): (string | undefined)[][] =>
  operation.steps.map(({ name, outcome }) => [name, outcome]);

/** An operation that is done. */
async function done(operations: Operations, requestId: string, more: object = {}): Promise<Operation> {
  const { operation } = await operations.begin(request(requestId, more));
  operations.run(operation, nothing);
  return await operations.wait(operation.id, soonMs, never);
}

/** Copies the journal as a SIGKILL at this moment would leave it, into a directory of its own. */
async function killed(directory: string, into: string): Promise<void> {
  await writeFile(join(into, "operations.journal"), await readFile(join(directory, "operations.journal")));
}

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

test("a work that fails leaves its error, its failed step and what was undone, also after a restart", async (t) => {
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

test("once begin answered, the operation is on the disk; once its end is seen, so is the end", async (t) => {
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
  assert.deepEqual(interrupted.interrupted, [operation]);
  const ended = await open(afterEnd);
  assert.deepEqual(ended.interrupted, []);
  assert.equal(ended.get(operation.id).state, "succeeded");
  await Promise.all([operations.drain(0), interrupted.drain(0), ended.drain(0)]);
});

test("what has no end is interrupted at the next start and can be settled; the request id still answers", async (t) => {
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
    refusedAs("conflict", "OPERATION_NOT_OPEN"),
  );
  await after.drain(0);
  const last = await open(directory);
  assert.equal(last.interrupted.length, 0);
  assert.equal(last.get(second.operation.id).error?.reason, "GONE");
  await last.drain(0);
});

test("an interrupted operation can be worked on again; its steps keep their places", async (t) => {
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

test("cancel is honest: cancelled when the work stopped, succeeded when it was too late, and never in a step", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const first = (await operations.begin(request("a"))).operation;
  let inStep = (): void => undefined;
  let letGo = (): void => undefined;
  const reached = new Promise<void>((resolve) => (inStep = resolve));
  const held = new Promise<void>((resolve) => (letGo = resolve));
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
  assert.equal(operations.cancel(first.id, "bert").cancelledBy, "anna", "who asked first");
  letGo();
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
  assert.throws(() => operations.cancel("nobody", "anna"), refusedAs("not_found", "OPERATION_NOT_FOUND"));
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

test("one id is one operation: at the same time, after its end, per caller; another body is refused", async (t) => {
  const operations = await open(await folder(t));
  const answers = await Promise.all([
    operations.begin(request("a")),
    operations.begin(request("a")),
    operations.begin(request("a")),
  ]);
  assert.equal(new Set(answers.map(({ operation }) => operation.id)).size, 1);
  assert.deepEqual(
    answers.map(({ fresh }) => fresh),
    [true, false, false],
  );
  const other = await operations.begin(request("a", { caller: "scheduler" }));
  assert.equal(other.fresh, true);
  const reused = refusedAs("conflict", "REQUEST_ID_REUSED");
  await assert.rejects(operations.begin(request("a", { fingerprint: "other" })), reused);
  await assert.rejects(operations.begin(request("a", { kind: "STOP_VM" })), reused);
  // No pair of caller and id runs into another: "b c" + "d" is not "b" + "c d".
  assert.equal((await operations.begin(request("b", { caller: "c d" }))).fresh, true);
  assert.equal((await operations.begin(request("b", { caller: "d" }))).fresh, true);
  await operations.drain(0);
});

test("odd request ids are refused with the field named", async (t) => {
  const operations = await open(await folder(t));
  for (const requestId of ["", "x".repeat(129), "two words", "é", "line\n", "\0"]) {
    await assert.rejects(operations.begin(request(requestId)), (error) => {
      assert.ok(error instanceof SocleError && error.kind === "invalid");
      assert.ok(error.details.fields?.["request_id"] !== undefined);
      return true;
    });
  }
  await operations.begin(request("x".repeat(128)));
  await operations.drain(0);
});

test("lists are newest first, filtered, and their pages stay stable while operations come and go", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const ids: string[] = [];
  for (let i = 0; i < 10; i += 1) {
    const more = { vmId: i % 2 === 0 ? "even" : "odd" };
    ids.unshift((await done(operations, `r${i}`, more)).id);
  }
  assert.deepEqual([...ids].sort().reverse(), ids);
  const page = operations.list({ limit: 4 });
  assert.deepEqual(
    page.map(({ id }) => id),
    ids.slice(0, 4),
  );
  const running = (await operations.begin(request("new", { vmId: "even" }))).operation.id;
  assert.deepEqual(
    operations.list({ limit: 4, afterId: ids[3] ?? "" }).map(({ id }) => id),
    ids.slice(4, 8),
  );
  assert.deepEqual(
    operations.list({ limit: 100, vmId: "even" }).map(({ id }) => id),
    [running, ...ids.filter((_, index) => index % 2 === 1)],
  );
  assert.deepEqual(
    operations.list({ limit: 100, onlyRunning: true }).map(({ id }) => id),
    [running],
  );
  await operations.drain(0);
  // The order is that of the ids, whatever the clock does at a restart.
  const clock = { ...systemClock, now: () => systemClock.now() - 3_600_000 };
  const after = await open(directory, { clock });
  const later = (await after.begin(request("later"))).operation.id;
  assert.deepEqual(
    after.list({ limit: 2 }).map(({ id }) => id),
    [later, running],
  );
  await after.drain(0);
});

test("wait answers at the end, at its time with what is then, or with the caller's abort", async (t) => {
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a"));
  let end: (result: Record<string, string>) => void = () => undefined;
  operations.run(operation, () => new Promise((resolve) => (end = resolve)));
  assert.equal((await operations.wait(operation.id, 5, never)).state, "running");
  const abort = new AbortController();
  const given = operations.wait(operation.id, soonMs, abort.signal);
  abort.abort(new Error("client left"));
  await assert.rejects(given, /client left/);
  const waits = [operations.wait(operation.id, soonMs, never), operations.wait(operation.id, 1e12, never)];
  end({});
  for (const { state } of await Promise.all(waits)) assert.equal(state, "succeeded");
  await assert.rejects(operations.wait("nobody", 1, never), refusedAs("not_found", "OPERATION_NOT_FOUND"));
  await operations.drain(0);
});

test("those who watch see the begin, each step and the end, in order", async (t) => {
  const operations = await open(await folder(t));
  const end = new AbortController();
  const changes = operations.watch(end.signal);
  const { operation } = await operations.begin(request("a"));
  operations.run(operation, (step) => step("only", () => Promise.resolve({ x: "1" })));
  await operations.wait(operation.id, soonMs, never);
  end.abort();
  const seen: string[] = [];
  for await (const change of changes) {
    if (change.kind === "item")
      seen.push(`${change.value.state} ${change.value.steps.at(-1)?.outcome ?? "-"}`);
  }
  assert.deepEqual(seen, ["running -", "running -", "running done", "succeeded done"]);
  await operations.drain(0);
});

/** A clock that a test sets. */
function setClock(): { clock: Clock; pass: (ms: number) => void; stepWall: (ms: number) => void } {
  let monotonic = 0;
  let wall = 1_700_000_000_000;
  return {
    clock: { ...systemClock, now: () => wall, monotonicMs: () => monotonic },
    pass: (ms) => {
      monotonic += ms;
      wall += ms;
    },
    stepWall: (ms) => {
      wall += ms;
    },
  };
}

test("ended operations and their ids are kept for the retention, over restarts, and no step of the clock ends it", async (t) => {
  const directory = await folder(t);
  const { clock, pass, stepWall } = setClock();
  const first = await open(directory, { clock });
  const { id } = await done(first, "a");
  const unended = (await first.begin(request("open"))).operation.id;
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
  assert.equal(third.get(unended).state, "running");
  await third.drain(0);
});

test("too many are refused with a time to come back; nothing is forgotten early for them", async (t) => {
  const { clock, pass } = setClock();
  const operations = await open(await folder(t), { clock, maxRetained: 5, maxRunning: 3 });
  const isTooMany = (error: unknown): boolean =>
    refusedAs("exhausted", "TOO_MANY_OPERATIONS")(error) &&
    ((error as SocleError).details.retryAfterMs ?? 0) >= 1000;
  for (const id of ["a", "b", "c"]) await operations.begin(request(id));
  await assert.rejects(operations.begin(request("d")), isTooMany);
  for (const { id } of operations.list({ limit: 10 })) await operations.settle(id, { state: "succeeded" });
  await done(operations, "d");
  await done(operations, "e");
  await assert.rejects(operations.begin(request("f")), (error) => {
    assert.ok(isTooMany(error));
    assert.equal((error as SocleError).details.retryAfterMs, dayMs);
    return true;
  });
  assert.equal((await operations.begin(request("a"))).fresh, false);
  pass(dayMs);
  assert.equal((await operations.begin(request("f"))).fresh, true);
  assert.equal(operations.retained, 1);
  await operations.drain(0);
});

test("drain takes no more, waits for what runs, and leaves the rest to the next start without another step", async (t) => {
  const directory = await folder(t);
  const operations = await open(directory);
  const quick = (await operations.begin(request("quick"))).operation;
  const slow = (await operations.begin(request("slow"))).operation;
  let letQuick = (): void => undefined;
  let letSlow = (): void => undefined;
  operations.run(quick, () => new Promise((resolve) => (letQuick = () => resolve({}))));
  let started = false;
  let aborted = false;
  const over = new Promise<void>((resolve) => {
    operations.run(slow, async (step, signal) => {
      try {
        await step("define", () => new Promise<void>((let_) => (letSlow = let_)));
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
  letQuick();
  await draining;
  letSlow();
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
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a"));
  operations.run(operation, nothing);
  const start = performance.now();
  await operations.drain(60_000);
  assert.ok(performance.now() - start < 5000);
  assert.equal(operations.get(operation.id).state, "succeeded");
});

test("an operation is worked on once at a time, and never after its end", async (t) => {
  const operations = await open(await folder(t));
  const { operation } = await operations.begin(request("a"));
  let end: (result: Record<string, string>) => void = () => undefined;
  operations.run(operation, () => new Promise((resolve) => (end = resolve)));
  const twice = refusedAs("conflict", "OPERATION_NOT_OPEN");
  assert.throws(() => operations.run(operation, nothing), twice);
  await assert.rejects(operations.settle(operation.id, { state: "succeeded" }), twice);
  end({});
  await operations.wait(operation.id, soonMs, never);
  assert.throws(() => operations.run(operation, nothing), twice);
  await operations.drain(0);
});

test("the journal is compacted under work, and says the same after it", async (t) => {
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

test("operations are counted by kind and end since the start: those of the journal are not", async (t) => {
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

test("one caller's operations leave room for another's, and stops have room when nothing else has", async (t) => {
  const directory = await folder(t);
  const operations = await Operations.open({
    directory,
    clock: systemClock,
    log: silentLog,
    retentionMs: 86_400_000,
    maxRunningPerCaller: 3,
    maxRunningPerVm: 2,
  });
  let count = 0;
  const begin = (caller: string, vmId: string, urgent = false) =>
    operations.begin({
      requestId: `request-${(count += 1)}`,
      caller,
      kind: urgent ? "STOP_VM" : "PAUSE_VM",
      vmId,
      fingerprint: "f",
      intent: null,
      urgent,
    });
  await begin("a", "v");
  await begin("a", "v");
  const isRefused = (error: unknown): boolean =>
    error instanceof SocleError && error.kind === "exhausted" && (error.details.retryAfterMs ?? 0) > 0;
  await assert.rejects(begin("b", "v"), isRefused, "too many of this VM");
  await begin("a", "w");
  await assert.rejects(begin("a", "x"), isRefused, "too many of this caller");
  await begin("b", "x");
  await begin("a", "v", true);
  const [first] = operations.list({ limit: 100 }).filter(({ kind }) => kind === "STOP_VM");
  assert.ok(first);
  await operations.settle(first.id, { state: "succeeded" });
  await operations.drain(0);
});
