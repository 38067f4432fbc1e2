import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { OutcomeUnknown, type LateReply } from "../../../../agent/libvirt/index.ts";
import { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { fullDomain } from "../../../support/libvirt/xml/samples.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const RUNNING = { state: 1, reason: 1 };
const OFF = { state: 5, reason: 1 };
/** Paused, and libvirt's VIR_DOMAIN_PAUSED_STARTING_UP. */
const STARTING = { state: 3, reason: 11 };
/** libvirt's VIR_DOMAIN_SHUTDOWN: not off yet. */
const STOPPING = { state: 4, reason: 0 };
const lost = (): SocleError => new SocleError("outcome_unknown", "LIBVIRT_UNANSWERED", "the answer was lost");
const gone = (): SocleError => new SocleError("not_found", "LIBVIRT_NO_DOMAIN", "no domain");
const away = (): SocleError => new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirt is away");

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const starts = (called: readonly string[]): number =>
  called.filter((name) => name === "DOMAIN_CREATE_WITH_FLAGS").length;

test("a start whose answer was lost is settled by looking, and not sent again", async () => {
  const { calls, called } = answering({
    DOMAIN_CREATE_WITH_FLAGS: [lost()],
    DOMAIN_GET_STATE: [OFF, away(), RUNNING],
  });
  await new Domains(calls, sleepingClock()).start(ID);
  assert.equal(starts(called), 1);
});

test("a start whose answer was lost, and that had no effect, says so", async () => {
  const { calls, called } = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [OFF] });
  await assert.rejects(new Domains(calls, sleepingClock()).start(ID), {
    kind: "unavailable",
    reason: "EFFECT_NOT_OBSERVED",
  });
  assert.equal(starts(called), 1);
});

test("while libvirt cannot be asked, a lost answer stays an unknown outcome, never a failure", async () => {
  const { calls, called } = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [away()] });
  await assert.rejects(new Domains(calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
  assert.equal(starts(called), 1);
});

test("what libvirt refuses is refused at once", async () => {
  const refusal = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "no such network");
  const { calls, called } = answering({ DOMAIN_CREATE_WITH_FLAGS: [refusal] });
  await assert.rejects(new Domains(calls, sleepingClock()).start(ID), refusal);
  assert.deepEqual(called, ["DOMAIN_CREATE_WITH_FLAGS"]);
});

test("starting what runs already is done; while it is starting up, that is not said yet", async () => {
  const refusal = new SocleError("conflict", "LIBVIRT_OPERATION_INVALID", "domain is already running");
  const running = answering({ DOMAIN_CREATE_WITH_FLAGS: [refusal], DOMAIN_GET_STATE: [RUNNING] });
  await new Domains(running.calls, sleepingClock()).start(ID);
  const off = answering({ DOMAIN_CREATE_WITH_FLAGS: [refusal], DOMAIN_GET_STATE: [OFF] });
  await assert.rejects(new Domains(off.calls, sleepingClock()).start(ID), refusal);
  const late = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [STARTING, STARTING, OFF] });
  await assert.rejects(new Domains(late.calls, sleepingClock()).start(ID), { reason: "EFFECT_NOT_OBSERVED" });
});

test("a start that a new libvirtd ends half-made is not one, though it is seen shutting down", async () => {
  const ended = answering({
    DOMAIN_CREATE_WITH_FLAGS: [lost()],
    DOMAIN_GET_STATE: [STARTING, STOPPING, OFF],
  });
  await assert.rejects(new Domains(ended.calls, sleepingClock()).start(ID), {
    reason: "EFFECT_NOT_OBSERVED",
  });
  const asked = answering({ DOMAIN_GET_STATE: [STOPPING, OFF], DOMAIN_GET_METADATA: [gone()] });
  const settled = await new Domains(asked.calls, sleepingClock()).settledState(ID);
  assert.equal(settled?.state, "stopped");
});

test("a late answer is the truth, whatever was seen meanwhile", async () => {
  const give = (reply: LateReply): OutcomeUnknown =>
    new OutcomeUnknown("DOMAIN_CREATE_WITH_FLAGS", away(), Promise.resolve(reply));
  const done = answering({ DOMAIN_CREATE_WITH_FLAGS: [give({ kind: "done" })], DOMAIN_GET_STATE: [OFF] });
  await new Domains(done.calls, sleepingClock()).start(ID);
  const error = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "no such network");
  const refused = answering({
    DOMAIN_CREATE_WITH_FLAGS: [give({ kind: "refused", error })],
    DOMAIN_GET_STATE: [OFF],
  });
  await assert.rejects(new Domains(refused.calls, sleepingClock()).start(ID), error);
});

test("while an answer may still come, or the call stands in libvirt's queue, nothing is said not to have happened", async () => {
  const pending = new OutcomeUnknown("DOMAIN_CREATE_WITH_FLAGS", away(), new Promise(() => undefined));
  const waiting = answering({ DOMAIN_CREATE_WITH_FLAGS: [pending], DOMAIN_GET_STATE: [OFF] });
  await assert.rejects(new Domains(waiting.calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
  const queued = answering({
    DOMAIN_CREATE_WITH_FLAGS: [lost()],
    DOMAIN_GET_STATE: [OFF],
    DOMAIN_GET_METADATA: [new SocleError("timeout", "LIBVIRT_TIMEOUT", "all workers are busy")],
  });
  await assert.rejects(new Domains(queued.calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
});

test("what may be done twice and had no effect is done again", async () => {
  const { calls, called } = answering({
    DOMAIN_DESTROY_FLAGS: [lost(), {}],
    DOMAIN_GET_STATE: [RUNNING],
  });
  await new Domains(calls, sleepingClock()).destroy(ID);
  assert.equal(called.filter((name) => name === "DOMAIN_DESTROY_FLAGS").length, 2);
});

test("an undefine or destroy whose answer was lost is not repeated on what came under the id since", async () => {
  const { calls, called } = answering({
    DOMAIN_UNDEFINE_FLAGS: [lost(), {}],
    DOMAIN_DESTROY_FLAGS: [lost(), {}],
    DOMAIN_GET_STATE: [RUNNING],
  });
  const domains = new Domains(calls, sleepingClock());
  await domains.undefine(ID, () => Promise.resolve(false));
  await domains.destroy(ID, { isOver: () => Promise.resolve(true) });
  const changes = called.filter((name) => /DESTROY|UNDEFINE/.test(name));
  assert.deepEqual(changes, ["DOMAIN_UNDEFINE_FLAGS", "DOMAIN_DESTROY_FLAGS"]);
});

test("a destroy whose answer was lost is not repeated once it is no longer wanted", async () => {
  const { calls, called } = answering({ DOMAIN_DESTROY_FLAGS: [lost(), {}], DOMAIN_GET_STATE: [RUNNING] });
  const unwanted = new SocleError("timeout", "GUEST_DID_NOT_STOP", "it runs on");
  let tries = 0;
  const requireWanted = (): void => {
    if ((tries += 1) > 1) throw unwanted;
  };
  await assert.rejects(new Domains(calls, sleepingClock()).destroy(ID, { requireWanted }), unwanted);
  assert.equal(called.filter((name) => name === "DOMAIN_DESTROY_FLAGS").length, 1);
});

test("pulling the plug of a VM that is off, or gone, is done", async () => {
  const refusal = new SocleError("conflict", "LIBVIRT_OPERATION_INVALID", "domain is not running");
  const off = answering({ DOMAIN_DESTROY_FLAGS: [refusal], DOMAIN_GET_STATE: [OFF] });
  await new Domains(off.calls, sleepingClock()).destroy(ID);
  await new Domains(answering({ DOMAIN_DESTROY_FLAGS: [gone()] }).calls, sleepingClock()).destroy(ID);
  const running = answering({ DOMAIN_DESTROY_FLAGS: [refusal], DOMAIN_GET_STATE: [RUNNING] });
  await assert.rejects(new Domains(running.calls, sleepingClock()).destroy(ID), refusal);
});

test("no domain is an answer, no libvirt is not", async () => {
  const domains = (answer: Error): Domains =>
    new Domains(answering({ DOMAIN_GET_STATE: [answer] }).calls, sleepingClock());
  assert.equal(await domains(gone()).state(ID), undefined);
  await assert.rejects(domains(away()).state(ID), { kind: "unavailable" });
});

test("libvirt validates one document at a time, also after it refused one", async () => {
  let atOnce = 0;
  const most: number[] = [];
  const call = async (): Promise<never> => {
    atOnce += 1;
    most.push(atOnce);
    await new Promise(setImmediate);
    atOnce -= 1;
    throw new SocleError("invalid", "LIBVIRT_XML_ERROR", "no");
  };
  const calls = { call, openStream: call };
  const domains = new Domains(calls, sleepingClock());
  const defined = await Promise.allSettled([
    domains.define(fullDomain),
    domains.define(fullDomain),
    domains.define(fullDomain),
  ]);
  assert.deepEqual(
    defined.map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
  assert.deepEqual(most, [1, 1, 1]);
});
