import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Operations } from "../../../../agent/state/operations/operations.ts";
import { folder } from "../../../support/state/folder.ts";
import {
  never,
  dayMs,
  soonMs,
  open,
  request,
  refusedAs,
  done,
  setClock,
} from "../../../support/state/operations-stage.ts";

test("one request id is one operation per caller, concurrently and after its end; another body is refused", async (t) => {
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
  // No two pairs of caller and id collide: "b c" + "d" is not "b" + "c d".
  assert.equal((await operations.begin(request("b", { caller: "c d" }))).fresh, true);
  assert.equal((await operations.begin(request("b", { caller: "d" }))).fresh, true);
  await operations.drain(0);
});

test("invalid request ids are refused with the field's name", async (t) => {
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

test("lists are newest first and filtered, and their pages stay stable while operations come and go", async (t) => {
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

test("wait returns at the end, at its deadline with the current state, or with the caller's abort", async (t) => {
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
  await assert.rejects(operations.wait("unknown", 1, never), refusedAs("not_found", "OPERATION_NOT_FOUND"));
  await operations.drain(0);
});

test("watchers see the begin, each step and the end, in order", async (t) => {
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

test("too many operations are refused with a time to retry; none is forgotten early for them", async (t) => {
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

test("one caller's operations leave capacity for another's, and stops have capacity when nothing else has", async (t) => {
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
