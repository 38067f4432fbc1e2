import assert from "node:assert/strict";
import { test } from "node:test";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { OutcomeUnknown, type LateReply, LibvirtError } from "../../../../agent/libvirt/index.ts";
import { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { fullDomain } from "../../../support/libvirt/xml/samples.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const RUNNING = { state: 1, reason: 1 };
const OFF = { state: 5, reason: 1 };
/** Paused, and libvirt's VIR_DOMAIN_PAUSED_STARTING_UP. */
const STARTING = { state: 3, reason: 11 };
/** libvirt's VIR_DOMAIN_SHUTDOWN: not off yet. */
const STOPPING = { state: 4, reason: 0 };
const lost = (): LibvirtError =>
  new LibvirtError("outcome_unknown", "LIBVIRT_UNANSWERED", "the answer was lost");
const gone = (): LibvirtError => new LibvirtError("not_found", "LIBVIRT_NO_DOMAIN", "no domain");
const away = (): LibvirtError => new LibvirtError("unavailable", "LIBVIRT_DISCONNECTED", "libvirt is away");

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const starts = (called: readonly string[]): number =>
  called.filter((name) => name === "DOMAIN_CREATE_WITH_FLAGS").length;

test("a start with a lost reply is confirmed from the domain state and not repeated", async () => {
  const { calls, called } = answering({
    DOMAIN_CREATE_WITH_FLAGS: [lost()],
    DOMAIN_GET_STATE: [OFF, away(), RUNNING],
  });
  await new Domains(calls, sleepingClock()).start(ID);
  assert.equal(starts(called), 1);
});

test("a start with a lost reply and no effect fails with EFFECT_NOT_OBSERVED", async () => {
  const { calls, called } = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [OFF] });
  await assert.rejects(new Domains(calls, sleepingClock()).start(ID), {
    kind: "unavailable",
    reason: "EFFECT_NOT_OBSERVED",
  });
  assert.equal(starts(called), 1);
});

test("a lost reply stays outcome_unknown while libvirt is unavailable", async () => {
  const { calls, called } = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [away()] });
  await assert.rejects(new Domains(calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
  assert.equal(starts(called), 1);
});

test("a libvirt error fails the call at once", async () => {
  const refusal = new LibvirtError("internal", "LIBVIRT_INTERNAL_ERROR", "no such network");
  const { calls, called } = answering({ DOMAIN_CREATE_WITH_FLAGS: [refusal] });
  await assert.rejects(new Domains(calls, sleepingClock()).start(ID), refusal);
  assert.deepEqual(called, ["DOMAIN_CREATE_WITH_FLAGS"]);
});

test("starting a running domain succeeds; a domain that only starts up does not confirm a start", async () => {
  const refusal = new LibvirtError("conflict", "LIBVIRT_OPERATION_INVALID", "domain is already running");
  const running = answering({ DOMAIN_CREATE_WITH_FLAGS: [refusal], DOMAIN_GET_STATE: [RUNNING] });
  await new Domains(running.calls, sleepingClock()).start(ID);
  const off = answering({ DOMAIN_CREATE_WITH_FLAGS: [refusal], DOMAIN_GET_STATE: [OFF] });
  await assert.rejects(new Domains(off.calls, sleepingClock()).start(ID), refusal);
  const late = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [STARTING, STARTING, OFF] });
  await assert.rejects(new Domains(late.calls, sleepingClock()).start(ID), { reason: "EFFECT_NOT_OBSERVED" });
});

test("a start is not confirmed by a domain that a restarted libvirtd shows as running before it ends it", async () => {
  const ended = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], DOMAIN_GET_STATE: [RUNNING, OFF] });
  await assert.rejects(new Domains(ended.calls, sleepingClock()).start(ID), {
    reason: "EFFECT_NOT_OBSERVED",
  });
  const job = new LibvirtError("timeout", "LIBVIRT_TIMEOUT", "another job goes on");
  const busy = { DOMAIN_GET_STATE: [RUNNING], DOMAIN_GET_PERF_EVENTS: [job] };
  const waiting = answering({ DOMAIN_CREATE_WITH_FLAGS: [lost()], ...busy });
  await assert.rejects(new Domains(waiting.calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
  const resumed = answering({ DOMAIN_GET_STATE: [RUNNING, OFF] });
  assert.equal((await new Domains(resumed.calls, sleepingClock()).settledState(ID))?.state, "stopped");
  const hung = answering(busy);
  assert.equal((await new Domains(hung.calls, sleepingClock()).settledState(ID))?.state, "running");
});

test("a start that a restarted libvirtd aborts is not confirmed while the domain shuts down", async () => {
  const ended = answering({
    DOMAIN_CREATE_WITH_FLAGS: [lost()],
    DOMAIN_GET_STATE: [STARTING, STOPPING, OFF],
  });
  await assert.rejects(new Domains(ended.calls, sleepingClock()).start(ID), {
    reason: "EFFECT_NOT_OBSERVED",
  });
  const requested = answering({ DOMAIN_GET_STATE: [STOPPING, OFF], DOMAIN_GET_METADATA: [gone()] });
  const settled = await new Domains(requested.calls, sleepingClock()).settledState(ID);
  assert.equal(settled?.state, "stopped");
});

test("a late reply decides the outcome, whatever state was observed before it", async () => {
  const give = (reply: LateReply): OutcomeUnknown =>
    new OutcomeUnknown("DOMAIN_CREATE_WITH_FLAGS", away(), Promise.resolve(reply));
  const done = answering({ DOMAIN_CREATE_WITH_FLAGS: [give({ kind: "done" })], DOMAIN_GET_STATE: [OFF] });
  await new Domains(done.calls, sleepingClock()).start(ID);
  const error = new LibvirtError("internal", "LIBVIRT_INTERNAL_ERROR", "no such network");
  const refused = answering({
    DOMAIN_CREATE_WITH_FLAGS: [give({ kind: "refused", error })],
    DOMAIN_GET_STATE: [OFF],
  });
  await assert.rejects(new Domains(refused.calls, sleepingClock()).start(ID), error);
});

test("an outcome stays unknown while a reply is pending or the call waits in libvirt's queue", async () => {
  const pending = new OutcomeUnknown("DOMAIN_CREATE_WITH_FLAGS", away(), new Promise(() => undefined));
  const waiting = answering({ DOMAIN_CREATE_WITH_FLAGS: [pending], DOMAIN_GET_STATE: [OFF] });
  await assert.rejects(new Domains(waiting.calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
  const queued = answering({
    DOMAIN_CREATE_WITH_FLAGS: [lost()],
    DOMAIN_GET_STATE: [OFF],
    DOMAIN_GET_METADATA: [new LibvirtError("timeout", "LIBVIRT_TIMEOUT", "all workers are busy")],
  });
  await assert.rejects(new Domains(queued.calls, sleepingClock()).start(ID), { kind: "outcome_unknown" });
});

test("a repeatable call with a lost reply and no effect is sent again", async () => {
  const { calls, called } = answering({
    DOMAIN_DESTROY_FLAGS: [lost(), {}],
    DOMAIN_GET_STATE: [RUNNING],
  });
  await new Domains(calls, sleepingClock()).destroy(ID);
  assert.equal(called.filter((name) => name === "DOMAIN_DESTROY_FLAGS").length, 2);
});

test("an undefine or destroy with a lost reply is not repeated on a newer domain with the same id", async () => {
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

test("a destroy with a lost reply is not repeated after it is cancelled", async () => {
  const { calls, called } = answering({ DOMAIN_DESTROY_FLAGS: [lost(), {}], DOMAIN_GET_STATE: [RUNNING] });
  const unwanted = new LibvirtError("timeout", "GUEST_DID_NOT_STOP", "it runs on");
  let tries = 0;
  const requireWanted = (): void => {
    if ((tries += 1) > 1) throw unwanted;
  };
  await assert.rejects(new Domains(calls, sleepingClock()).destroy(ID, { requireWanted }), unwanted);
  assert.equal(called.filter((name) => name === "DOMAIN_DESTROY_FLAGS").length, 1);
});

test("destroying a domain that is off or undefined succeeds", async () => {
  const refusal = new LibvirtError("conflict", "LIBVIRT_OPERATION_INVALID", "domain is not running");
  const off = answering({ DOMAIN_DESTROY_FLAGS: [refusal], DOMAIN_GET_STATE: [OFF] });
  await new Domains(off.calls, sleepingClock()).destroy(ID);
  await new Domains(answering({ DOMAIN_DESTROY_FLAGS: [gone()] }).calls, sleepingClock()).destroy(ID);
  const running = answering({ DOMAIN_DESTROY_FLAGS: [refusal], DOMAIN_GET_STATE: [RUNNING] });
  await assert.rejects(new Domains(running.calls, sleepingClock()).destroy(ID), refusal);
});

test("a missing domain is a result, an unavailable libvirt is an error", async () => {
  const domains = (answer: Error): Domains =>
    new Domains(answering({ DOMAIN_GET_STATE: [answer] }).calls, sleepingClock());
  assert.equal(await domains(gone()).state(ID), undefined);
  await assert.rejects(domains(away()).state(ID), { kind: "unavailable" });
});

test("metadata is written into the definition of a guest that ends meanwhile", async () => {
  const off = new LibvirtError("conflict", "LIBVIRT_OPERATION_INVALID", "domain is not running");
  const { calls, called } = answering({ DOMAIN_SET_METADATA: [off, {}], DOMAIN_GET_STATE: [OFF] });
  const texts = { spec: "{}", specDigest: "", createdAt: "2026-01-01T00:00:00Z" };
  const metadata = { tenant: "", labels: {}, placementEpoch: 0, ...texts };
  await new Domains(calls, sleepingClock()).setMetadata(ID, metadata, true);
  assert.equal(called.filter((name) => name === "DOMAIN_SET_METADATA").length, 2);
  const runs = answering({ DOMAIN_SET_METADATA: [off], DOMAIN_GET_STATE: [RUNNING] });
  await assert.rejects(new Domains(runs.calls, sleepingClock()).setMetadata(ID, metadata, true), off);
});

test("libvirt validates one document at a time, also after it rejected one", async () => {
  let atOnce = 0;
  const most: number[] = [];
  const call = async (): Promise<never> => {
    atOnce += 1;
    most.push(atOnce);
    await new Promise(setImmediate);
    atOnce -= 1;
    throw new LibvirtError("invalid", "LIBVIRT_XML_ERROR", "no");
  };
  const calls = { call, openStream: call, events: new Topic<never>() };
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
