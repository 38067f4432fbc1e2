import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainBlockJobAbort,
  domainGetBlockJobInfo,
  domainGetMetadata,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import {
  BEHIND_MS,
  BlockJobs,
  STALLED_MS,
  type BlockJob,
} from "../../../../agent/vm/hypervisor/block-jobs.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const PIVOT = 2;

/** How long the effect of a call whose reply is lost may take to show. */
const LATE_MS = { cancel: 1000, pivot: 5000 } as const;

/**
 * A job of 100 bytes. `doneAt`: how far it is so long after its begin; it ends without a trace at undefined. `lost`: the reply
 * to this call is lost, and its effect shows late.
 */
function stage(
  doneAt: (afterMs: number, anew: boolean) => number | undefined,
  lost?: keyof typeof LATE_MS,
  lateBy: Readonly<Record<keyof typeof LATE_MS, number>> = LATE_MS,
) {
  const clock = sleepingClock();
  const did: string[] = [];
  const never = Infinity;
  const state = {
    beganAtMs: undefined as number | undefined,
    anew: false,
    goneAtMs: never,
    switchedAtMs: never,
  };
  const done = (): number | undefined =>
    state.beganAtMs === undefined || clock.monotonicMs() >= state.goneAtMs
      ? undefined
      : doneAt(clock.monotonicMs() - state.beganAtMs, state.anew);
  const call = <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
    if (name === domainGetBlockJobInfo.name) {
      const cur = done();
      return Promise.resolve({ found: cur !== undefined, cur: cur ?? 0, end: 100 } as R);
    }
    // The query of libvirt's queue position.
    if (name === domainGetMetadata.name)
      return Promise.reject(new SocleError("not_found", "LIBVIRT_NO_DOMAIN", "no domain"));
    assert.equal(name, domainBlockJobAbort.name);
    const what = (args as { flags: number }).flags === PIVOT ? "pivot" : "cancel";
    did.push(what);
    const [nowMs, lateMs] = [clock.monotonicMs(), lost === what ? lateBy[what] : 0];
    // libvirt's XML may show a switch after its job is gone.
    if (what === "pivot") Object.assign(state, { goneAtMs: nowMs, switchedAtMs: nowMs + lateMs });
    else state.goneAtMs = Math.min(state.goneAtMs, nowMs + lateMs);
    return lost === what
      ? Promise.reject(new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "no reply"))
      : Promise.resolve({} as R);
  };
  const job: BlockJob = {
    disk: "root",
    device: "vda",
    isDone: () => Promise.resolve(clock.monotonicMs() >= state.switchedAtMs),
    begin(anew) {
      did.push(anew ? "begin anew" : "begin");
      Object.assign(state, { anew, beganAtMs: clock.monotonicMs(), goneAtMs: never });
      return Promise.resolve();
    },
    isReady: () => Promise.resolve(done() === 100),
    failed: () => new SocleError("conflict", "FAILED", "it ended"),
    mayBeginAnew: true,
  };
  const calls = { call, openStream: () => Promise.reject(new Error("none")) };
  const run = (more: Partial<BlockJob> = {}, aborted = new AbortController().signal): Promise<void> =>
    new BlockJobs(calls, clock).run(ID, { ...job, ...more }, { report: () => undefined, aborted });
  return { clock, did, run };
}

test("a job that copies nothing is cancelled after its deadline, and one that copies slowly is not", async () => {
  const stuck = stage(() => 40);
  const beganAtMs = stuck.clock.monotonicMs();
  await assert.rejects(stuck.run({ mayBeginAnew: false }), { reason: "BLOCK_JOB_STALLED", kind: "conflict" });
  assert.deepEqual(stuck.did, ["begin", "cancel"]);
  await assert.rejects(stage(() => 40).run(), /was cancelled/);
  const tookMs = stuck.clock.monotonicMs() - beganAtMs;
  assert.ok(tookMs >= STALLED_MS && tookMs < STALLED_MS + 10_000, `${tookMs}`);
  const slow = stage((ms) => Math.min(100, Math.floor(ms / (STALLED_MS / 2))));
  await slow.run();
  assert.deepEqual(slow.did.at(-1), "pivot");
});

test("a job that may go on after its cancellation is not reported as cancelled", async () => {
  const hung = stage(() => 40, "cancel", { ...LATE_MS, cancel: Infinity });
  await assert.rejects(hung.run(), ({ reason, message }: SocleError) => {
    assert.equal(reason, "BLOCK_JOB_STALLED");
    assert.doesNotMatch(message, /was cancelled/);
    return true;
  });
});

test("a copy that a guest outruns begins anew once, and keeps up then", async () => {
  const outrun = stage((ms, anew) =>
    anew ? Math.min(100, Math.floor(ms / 100)) : 50 + (Math.floor(ms / 500) % 20),
  );
  const beganAtMs = outrun.clock.monotonicMs();
  await outrun.run();
  assert.deepEqual(outrun.did, ["begin", "cancel", "begin anew", "pivot"]);
  assert.ok(outrun.clock.monotonicMs() - beganAtMs >= BEHIND_MS);
});

test("a copy whose storage pauses for longer than that goes on", async () => {
  const pauseMs = 3 * BEHIND_MS;
  const paused = stage((ms) => (ms < 1000 ? 50 : ms < pauseMs ? 60 : 100));
  await paused.run();
  assert.deepEqual(paused.did, ["begin", "pivot"]);
});

test("a lost reply to the end of a job is no failure: its effect is waited for", async () => {
  const switched = stage((ms) => Math.min(100, ms / 10), "pivot");
  await switched.run();
  assert.deepEqual(switched.did, ["begin", "pivot"]);
  const outrun = stage(
    (ms, anew) => (anew ? Math.min(100, ms / 100) : 50 + (Math.floor(ms / 500) % 20)),
    "cancel",
  );
  await outrun.run();
  assert.deepEqual(outrun.did, ["begin", "cancel", "begin anew", "pivot"]);
});

test("a job that ends without its effect has failed; an aborted one is cancelled", async () => {
  const ended = stage((ms) => (ms > 1000 ? undefined : 10));
  await assert.rejects(ended.run(), { reason: "FAILED" });
  const aborted = new AbortController();
  const cancelled = stage((ms) => {
    if (ms > 1000) aborted.abort(new SocleError("conflict", "CANCELLED", "by a person"));
    return 10;
  });
  await assert.rejects(cancelled.run({}, aborted.signal), { reason: "CANCELLED" });
  assert.deepEqual(cancelled.did, ["begin", "cancel"]);
  await assert.rejects(cancelled.run({}, aborted.signal), { reason: "CANCELLED" });
  assert.deepEqual(cancelled.did, ["begin", "cancel"], "nothing begins after it");
});
