import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, type ErrorKind } from "../../../../agent/kernel/errors.ts";
import {
  domainBlockJobAbort,
  domainGetBlockJobInfo,
  domainGetMetadata,
  domainLookupByUuid,
  LibvirtError,
  OutcomeUnknown,
  type LibvirtErrorKind,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import {
  BEHIND_MS,
  BlockJobs,
  STALLED_MS,
  type BlockJob,
  type PivotNotes,
} from "../../../../agent/vm/hypervisor/block-jobs.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const PIVOT = 2;

/** How long the effect of a call whose reply is lost may take to show. */
const LATE_MS = { cancel: 1000, pivot: 5000 } as const;

/** libvirt's answer to a request for the switch, and what has happened until then. */
interface Refusal {
  readonly reason: string;
  readonly text: string;
  readonly endsJob: boolean;
  readonly endsQemu: boolean;
  /** An earlier answer was lost. */
  readonly isLostFirst: boolean;
  /** The first request is answered after its deadline. */
  readonly isLate: boolean;
  readonly kind: ErrorKind;
  /** Of libvirt's own errors. */
  readonly libvirtCode: string;
  /** The requests that are refused; absent: all. */
  readonly times: number;
}

/**
 * A job of 100 bytes. `doneAt`: how far it is so long after its begin; it ends without a trace at undefined. `lost`: the reply
 * to this call is lost, and its effect shows late. `refusal`: of the switch.
 */
function stage(
  doneAt: (afterMs: number, anew: boolean) => number | undefined,
  lost?: keyof typeof LATE_MS,
  lateBy: Readonly<Record<keyof typeof LATE_MS, number>> = LATE_MS,
  refusal?: Partial<Refusal>,
) {
  const clock = sleepingClock();
  const did: string[] = [];
  const never = Infinity;
  const state = {
    beganAtMs: undefined as number | undefined,
    anew: false,
    goneAtMs: never,
    switchedAtMs: never,
    domain: 3,
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
    if (name === domainLookupByUuid.name) return Promise.resolve({ dom: { id: state.domain } } as R);
    assert.equal(name, domainBlockJobAbort.name);
    const what = (args as { flags: number }).flags === PIVOT ? "pivot" : "cancel";
    did.push(what);
    const asked = did.filter((each) => each === "pivot").length;
    if (what === "pivot" && refusal !== undefined && asked <= (refusal.times ?? Infinity)) {
      const { reason = "", text = "libvirt refuses the switch", isLostFirst, endsJob, endsQemu } = refusal;
      const { kind = "conflict", libvirtCode, isLate } = refusal;
      if (isLostFirst === true && asked === 1)
        return Promise.reject(new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "no reply"));
      if (endsJob === true) state.goneAtMs = clock.monotonicMs();
      if (endsQemu === true) Object.assign(state, { domain: -1, goneAtMs: clock.monotonicMs() });
      const details = libvirtCode === undefined ? {} : { metadata: { libvirtCode } };
      if (isLate !== true) return Promise.reject(new SocleError(kind, reason, text, { details }));
      const late = new LibvirtError("timeout", "LIBVIRT_TIMEOUT", "no reply in time");
      const error = new LibvirtError(kind as LibvirtErrorKind, reason, text, { details });
      return Promise.reject(new OutcomeUnknown(name, late, Promise.resolve({ kind: "refused", error })));
    }
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
    isLost: () => Promise.resolve(false),
    isReady: () => Promise.resolve(done() === 100),
    failed: () => new SocleError("conflict", "FAILED", "it ended"),
    mayBeginAnew: true,
  };
  const calls = { call, ...silent() };
  const run = (more: Partial<BlockJob> = {}, aborted = new AbortController().signal): Promise<void> =>
    new BlockJobs(calls, clock).run(ID, { ...job, ...more }, { report: () => undefined, aborted });
  /** By an earlier run of the agent. */
  const begins = (): void => void (state.beganAtMs = clock.monotonicMs());
  return { clock, did, run, begins };
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

/** Notes of a switch in `did`. `isAsked`: by an earlier run of the agent. */
function notes(did: string[], isAsked = false): PivotNotes {
  const turn = (to: boolean, what: string) => (): Promise<void> => {
    isAsked = to;
    did.push(what);
    return Promise.resolve();
  };
  return { isAsked: () => isAsked, ask: turn(true, "note"), refused: turn(false, "refused") };
}
const well = (ms: number): number => Math.min(100, ms / 10);

test("a switch is noted before libvirt is asked, and excluded only by libvirt's first answer about the same QEMU", async () => {
  const lost = stage(well, "pivot");
  await lost.run({ pivot: notes(lost.did) });
  assert.deepEqual(lost.did, ["begin", "note", "pivot"]);
  const rows: [refusal: Partial<Refusal>, isAsked: boolean, isExcluded: boolean][] = [
    // The guest has just stopped; another client ends the job.
    [
      {
        reason: "LIBVIRT_OPERATION_INVALID",
        text: "Requested operation is not valid: domain is not running",
        endsQemu: true,
      },
      false,
      true,
    ],
    [
      { reason: "LIBVIRT_OPERATION_INVALID", text: "the job is still being ended", endsQemu: true },
      false,
      false,
    ],
    // The job failed in the switch, as in a full pool, or before it; and the guest ended in the switch.
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true }, false, true],
    [{ reason: "LIBVIRT_INVALID_ARG", endsJob: true }, false, true],
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true, endsQemu: true }, false, false],
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true, isLostFirst: true }, false, false],
    // As of a pivot that takes longer than the deadline of a call.
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true, isLate: true }, false, true],
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true, isLate: true, endsQemu: true }, false, false],
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true, isLate: true }, true, false],
    // The request was not sent: libvirt was away, or had too many calls. An answer of libvirt has a number.
    [{ kind: "unavailable", reason: "LIBVIRT_DISCONNECTED", endsJob: true, endsQemu: true }, false, true],
    [{ kind: "exhausted", reason: "LIBVIRT_QUEUE_FULL", endsJob: true, endsQemu: true }, false, true],
    [
      {
        kind: "timeout",
        reason: "LIBVIRT_OPERATION_TIMEOUT",
        libvirtCode: "68",
        endsJob: true,
        endsQemu: true,
      },
      false,
      false,
    ],
    [{ kind: "unavailable", reason: "LIBVIRT_DISCONNECTED", endsJob: true, isLostFirst: true }, false, false],
    [{ kind: "unavailable", reason: "LIBVIRT_DISCONNECTED", endsJob: true }, true, false],
    // An earlier run asked, and did not get an answer.
    [{ reason: "LIBVIRT_OPERATION_FAILED", endsJob: true }, true, false],
    [{ reason: "LIBVIRT_INVALID_ARG", endsJob: true }, true, false],
  ];
  for (const [refusal, isAsked, isExcluded] of rows) {
    const on = stage(well, undefined, LATE_MS, refusal);
    if (isAsked) on.begins();
    await assert.rejects(on.run({ pivot: notes(on.did, isAsked) }), { kind: "conflict" });
    const at = JSON.stringify([refusal, on.did]);
    assert.equal(on.did.includes("refused"), isExcluded, at);
    assert.ok(on.did.indexOf("note") < on.did.indexOf("pivot"), at);
  }
  // While libvirt is away the job is as it was.
  const away = stage(well, undefined, LATE_MS, { kind: "unavailable", reason: "LIBVIRT_DISCONNECTED" });
  await assert.rejects(away.run({ pivot: notes(away.did) }), { reason: "LIBVIRT_DISCONNECTED" });
  assert.deepEqual(away.did, ["begin", "note", "pivot", "refused"]);
  // A job that was not ready goes on.
  const early = stage(well, undefined, LATE_MS, { reason: "LIBVIRT_BLOCK_COPY_ACTIVE", times: 1 });
  await early.run({ pivot: notes(early.did) });
  assert.deepEqual(early.did, ["begin", "note", "pivot", "refused", "note", "pivot"]);
});

test("a job whose switch may have been asked is neither cancelled nor begun again", async () => {
  const aborted = AbortSignal.abort(new SocleError("conflict", "CANCELLED", "by a person"));
  const on = stage(well);
  on.begins();
  await on.run({ pivot: notes(on.did, true) }, aborted);
  assert.deepEqual(on.did, ["pivot"]);
  const stuck = stage(() => 40);
  stuck.begins();
  await assert.rejects(stuck.run({ pivot: notes(stuck.did, true) }, aborted), { kind: "outcome_unknown" });
  const gone = stage(well);
  await assert.rejects(gone.run({ pivot: notes(gone.did, true) }), { reason: "FAILED" });
  assert.deepEqual([stuck.did, gone.did], [[], []]);
});

test("a job that is aborted just before its switch is cancelled, and its switch is not noted", async () => {
  const aborted = new AbortController();
  const on = stage(well);
  const pivot = notes(on.did);
  const isAsked = (): boolean => {
    // As while libvirt is asked for the guest's QEMU.
    if (on.did.includes("begin") && on.clock.monotonicMs() >= 1000)
      aborted.abort(new SocleError("conflict", "CANCELLED", "by a person"));
    return pivot.isAsked();
  };
  await assert.rejects(on.run({ pivot: { ...pivot, isAsked } }, aborted.signal), { reason: "CANCELLED" });
  assert.deepEqual(on.did, ["begin", "cancel"]);
});
