import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainBlockJobAbort,
  domainGetBlockJobInfo,
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

/** A job of 100 bytes. `doneAt`: how far it is so long after its begin; it ends without a trace at undefined. */
function stage(doneAt: (afterMs: number, anew: boolean) => number | undefined) {
  const clock = sleepingClock();
  const did: string[] = [];
  const state = { beganAtMs: undefined as number | undefined, anew: false, isDone: false };
  const done = (): number | undefined =>
    state.beganAtMs === undefined ? undefined : doneAt(clock.monotonicMs() - state.beganAtMs, state.anew);
  const call = <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
    if (name === domainGetBlockJobInfo.name) {
      const cur = done();
      return Promise.resolve({ found: cur !== undefined, cur: cur ?? 0, end: 100 } as R);
    }
    assert.equal(name, domainBlockJobAbort.name);
    const { flags } = args as { flags: number };
    did.push(flags === PIVOT ? "pivot" : "cancel");
    state.isDone = flags === PIVOT;
    state.beganAtMs = undefined;
    return Promise.resolve({} as R);
  };
  const job: BlockJob = {
    disk: "root",
    device: "vda",
    isDone: () => Promise.resolve(state.isDone),
    begin(anew) {
      did.push(anew ? "begin anew" : "begin");
      Object.assign(state, { anew, beganAtMs: clock.monotonicMs() });
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
  const tookMs = stuck.clock.monotonicMs() - beganAtMs;
  assert.ok(tookMs >= STALLED_MS && tookMs < STALLED_MS + 10_000, `${tookMs}`);
  const slow = stage((ms) => Math.min(100, Math.floor(ms / (STALLED_MS / 2))));
  await slow.run();
  assert.deepEqual(slow.did.at(-1), "pivot");
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
