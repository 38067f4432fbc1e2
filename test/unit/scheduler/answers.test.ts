// Validation of a scheduler's answers before use.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { ackOf, reconnectOf, reportDigestOf } from "../../../agent/scheduler/answers.ts";
import { maxControlEpochStep } from "../../../agent/state/records/control-epochs.ts";
import { HostRecord } from "../../../agent/state/records/host-record.ts";
import { eventually } from "../../support/wait.ts";
import { folder } from "../../support/state/folder.ts";
import { hostId, inStep, startAgent, startScheduler } from "../../support/scheduler/harness.ts";

test("an out-of-bounds welcome ends the session, writes nothing, and the agent starts again", async (t) => {
  const scheduler = await startScheduler(t, { controlEpoch: 3 });
  const directory = await folder(t);
  const before = await HostRecord.open(directory);
  await before.raiseControlEpoch(2);
  const written = (): Promise<string> => readFile(join(directory, "host.json"), "utf8");
  const agent = await startAgent(t, { address: scheduler.address, directory, fence: before });
  await eventually(() => inStep(agent, scheduler.hosts.get(hostId)));
  await eventually(async () => /"controlEpoch": 3/.test(await written()));
  assert.deepEqual(agent.raised, [{ from: 2, to: 3, by: `tcp:${scheduler.address}` }]);
  await agent.stop();

  const beyond = 2 ** 53;
  const refused: [welcome: object, reason: string][] = [
    [{ controlEpoch: beyond }, "SCHEDULER_ANSWER_INVALID"],
    [{ controlEpoch: 2 ** 63 }, "SCHEDULER_ANSWER_INVALID"],
    [{ knownGeneration: beyond }, "SCHEDULER_ANSWER_INVALID"],
    [{ knownAgentEpoch: beyond }, "SCHEDULER_ANSWER_INVALID"],
    [{ knownEventSequence: beyond }, "SCHEDULER_ANSWER_INVALID"],
    [{ knownDigest: "x".repeat(100_000) }, "SCHEDULER_ANSWER_INVALID"],
    [{ controlEpoch: Number.MAX_SAFE_INTEGER }, "CONTROL_EPOCH_TOO_FAR"],
    [{ controlEpoch: 3 + maxControlEpochStep + 1 }, "CONTROL_EPOCH_TOO_FAR"],
  ];
  const kept = await written();
  for (const [welcome, reason] of refused) {
    scheduler.faults.welcome = welcome;
    const again = await startAgent(t, { address: scheduler.address, directory, fence: before });
    await eventually(() => again.logged.some((line) => line["reason"] === reason), {
      what: JSON.stringify(welcome).slice(0, 80),
    });
    assert.equal(again.link.status.connects, 0);
    assert.deepEqual(again.raised, []);
    if (reason === "CONTROL_EPOCH_TOO_FAR") assert.ok(again.refused.includes(reason));
    await again.stop();
  }
  assert.equal(await written(), kept);
  assert.equal((await HostRecord.open(directory)).controlEpoch, 3);
});

test("other out-of-bounds replies are refused; redirect delays are limited to between a second and an hour", () => {
  const invalid = { reason: "SCHEDULER_ANSWER_INVALID" };
  assert.throws(() => ackOf({ generation: 2 ** 53, eventSequence: 1 }), invalid);
  assert.throws(() => ackOf({ generation: 1, eventSequence: 2 ** 60 }), invalid);
  assert.throws(() => reportDigestOf({ digest: "x".repeat(64), generation: 1 }), invalid);
  for (const address of ["no port", "host:99999999", `${"a".repeat(300)}:1`, "-u root\nx:1", "unix:/run/x"])
    assert.throws(() => reconnectOf({ delay: null, address }), invalid, address);
  const delayOf = (seconds: number, nanos = 0) =>
    reconnectOf({ delay: { seconds, nanos }, address: "[::1]:7450" }).delayMs;
  assert.deepEqual(
    [0, -5, -(2 ** 62), 2, 9e18].map((seconds) => delayOf(seconds)),
    [1000, 1000, 1000, 2000, 3_600_000],
  );
  assert.equal(delayOf(0, -1_000_000_000), 1000);
  assert.equal(reconnectOf({ delay: null, address: "" }).delayMs, 1000);
});

test("a scheduler that redirects the agent at once, without a delay, is not dialled in a loop", async (t) => {
  // Time passes only where the link waits.
  const { clock, waitedMs } = skipping();
  for (const seconds of [0, -10]) {
    const scheduler = await startScheduler(t, { reconnectSpreadMs: 0 });
    scheduler.faults.afterWelcome = { reconnect: { delay: { seconds, nanos: 0 } } };
    const since = waitedMs();
    const agent = await startAgent(t, { address: scheduler.address, clock });
    const known = await eventually(() => scheduler.hosts.get(hostId));
    await eventually(() => known.sessions >= 6, { timeoutMs: 30_000 });
    await agent.stop();
    const perSession = (waitedMs() - since) / (known.sessions - 1);
    assert.ok(perSession >= 1000, `${perSession} ms a session`);
  }
});

test("a scheduler that answers each report by requesting another gets one a second", async (t) => {
  const { clock } = skipping();
  const scheduler = await startScheduler(t, {
    onChange: ({ hostId: id }, what) => {
      if (what === "report") scheduler.resync(id, "again");
    },
  });
  const agent = await startAgent(t, { address: scheduler.address, clock });
  const known = await eventually(() => scheduler.hosts.get(hostId));
  await eventually(() => known.reports >= 2, { timeoutMs: 30_000 });
  const [since, before] = [clock.monotonicMs(), known.reports];
  await eventually(() => known.reports >= before + 6, { timeoutMs: 30_000 });
  await agent.stop();
  // The first of them may be due already.
  const seconds = (clock.monotonicMs() - since) / 1000;
  const reports = known.reports - before - 1;
  assert.ok(seconds >= reports, `${reports} reports in ${seconds} s`);
});

/**
 * A clock whose sleeps from 250 ms to 60 s end at once, each counted as passed, except those of a contact's
 * deadline.
 */
function skipping(): { clock: Clock; waitedMs: () => number } {
  let skippedMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + skippedMs,
    sleep(ms, signal) {
      if (ms < 250 || ms > 60_000 || ms === 500) return systemClock.sleep(ms, signal);
      skippedMs += ms;
      return Promise.resolve();
    },
  };
  return { clock, waitedMs: () => skippedMs };
}
