import assert from "node:assert/strict";
import { test } from "node:test";
import { check, describe } from "../../../faults/history/checker.ts";
import { fromLines, toLines } from "../../../faults/history/history.ts";
import { HistoryBuilder, VM } from "../../../support/history/history-builder.ts";

const rulesOf = (history: HistoryBuilder): string[] => check(history.history).map(({ rule }) => rule);
const build = (): HistoryBuilder => new HistoryBuilder();

test("a correct history has no violation", () => {
  const history = build()
    .created()
    .reads("running", 1)
    .accepted("s", "StopVm")
    .effect("shutdown")
    .effect("destroy")
    .ended("s", "StopVm")
    .reads("stopped", 2)
    .accepted("d", "DeleteVm")
    .effect("volume_delete", { vm: undefined, volume: `images/socle-${VM}-disk.qcow2` } as never)
    .effect("undefine")
    .ended("d", "DeleteVm");
  assert.deepEqual(check(history.history), []);
});

test("an effect without an accepted operation is a violation", () => {
  assert.deepEqual(rulesOf(build().created().effect("destroy")), ["every effect belongs to one operation"]);
});

test("an effect of a refused request is a violation, after a restart too", () => {
  const history = build().created().refused("DeleteVm", "JOURNAL_FAILED", { requestId: "r-d" }).restart();
  assert.deepEqual(rulesOf(history.effect("undefine")), ["every effect belongs to one operation"]);
});

test("a refused request that becomes an operation is a violation", () => {
  const history = build().created().refused("DeleteVm", "JOURNAL_FAILED", { requestId: "r-d" }).restart();
  assert.deepEqual(rulesOf(history.ended("d", "DeleteVm", "failed")), ["a refused request has no effect"]);
});

test("an older copy of the state may have a refused request's operation, but no effect of it", () => {
  const rolledBack = (): HistoryBuilder => {
    const history = build().created().refused("DeleteVm", "JOURNAL_FAILED", { requestId: "r-d" });
    history.recorder.add({ event: "fault", fault: "state_rolled_back" });
    return history.restart();
  };
  assert.deepEqual(rulesOf(rolledBack().ended("d", "DeleteVm", "failed")), []);
  const withEffect = rolledBack().ended("d", "DeleteVm", "failed").effect("undefine");
  assert.deepEqual(rulesOf(withEffect), ["every effect belongs to one operation"]);
  const succeeded = rulesOf(rolledBack().ended("d", "DeleteVm"));
  assert.ok(succeeded.includes("a refused request has no effect"));
});

test("an effect after its operation has ended is a violation", () => {
  const history = build().created().accepted("s", "StopVm").effect("destroy").ended("s", "StopVm");
  history.foreign("start");
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.effect("destroy")), ["every effect belongs to one operation"]);
});

test("an effect of an operation on a later instance of the VM is a violation", () => {
  const history = build().created().accepted("d", "DeleteVm").effect("destroy").effect("undefine");
  history.accepted("c2", "CreateVm").effect("define").effect("start").ended("c2", "CreateVm");
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.effect("destroy")), ["every effect belongs to one operation"]);
});

test("an interrupted stop does not end a guest that another client started since", () => {
  const history = build().created().accepted("s", "StopVm").effect("shutdown").foreign("guest_stopped");
  history.foreign("start").restart();
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.effect("destroy")), ["every effect belongs to one operation"]);
});

test("a stop continues in the run that it marked before the restart, also in another client's run", () => {
  const marked = (operation: string): HistoryBuilder => {
    const history = build().created().accepted("older", "StopVm").accepted("s", "StopVm");
    history.effect("shutdown").foreign("guest_stopped").foreign("start").ended("older", "StopVm");
    const stamp = { operation, phase: "run" };
    return history
      .effect("set_metadata", { guestRun: 2, stamp })
      .restart()
      .effect("destroy", { guestRun: 2 });
  };
  assert.deepEqual(rulesOf(marked("s")), []);
  assert.deepEqual(rulesOf(marked("other")), ["every effect belongs to one operation"]);
});

test("a stamp belongs to the operation that it names", () => {
  const history = build().created().accepted("s", "StopVm").accepted("p", "PauseVm");
  history.effect("set_metadata", { stamp: { operation: "p", phase: "begun" } });
  assert.deepEqual(rulesOf(history), []);
  history.effect("set_metadata", { stamp: { operation: "c", phase: "begun" } });
  assert.deepEqual(rulesOf(history), ["every effect belongs to one operation"]);
});

test("an ended operation stamps its domain again only after a rollback, and only over its own stamp", () => {
  const stamped = (isRolledBack: boolean, newest: string, between?: string): string[] => {
    const history = build().created();
    if (between !== undefined) history.accepted(between, "StopVm").effect("shutdown");
    if (isRolledBack) history.recorder.add({ event: "fault", fault: "state_rolled_back" });
    const stamp = { operation: "c", phase: "complete" };
    return rulesOf(history.restart().effect("set_metadata", { operation: newest, stamp }));
  };
  assert.deepEqual(stamped(true, "c"), []);
  assert.deepEqual(stamped(true, "c", "s"), [], "also when another operation ran meanwhile");
  assert.deepEqual(stamped(false, "c"), ["every effect belongs to one operation"]);
  assert.deepEqual(stamped(true, "later"), ["every effect belongs to one operation"]);
});

test("the stamp of a complete effect may follow its operation's end, unless it replaces a later one", () => {
  const stamp = { operation: "p", phase: "complete" };
  const paused = (): HistoryBuilder =>
    build().created().accepted("p", "PauseVm").effect("suspend").ended("p", "PauseVm");
  assert.deepEqual(rulesOf(paused().effect("set_metadata", { stamp })), []);
  const replaced = paused().accepted("s", "StopVm").effect("destroy");
  assert.deepEqual(rulesOf(replaced.effect("set_metadata", { stamp })), [
    "every effect belongs to one operation",
  ]);
  const begun = { operation: "p", phase: "begun" };
  assert.deepEqual(rulesOf(paused().effect("set_metadata", { stamp: begun })), [
    "every effect belongs to one operation",
  ]);
});

test("effects of two operations that interleave are a violation", () => {
  const history = build()
    .created()
    .accepted("s", "StopVm")
    .accepted("p", "PauseVm")
    .accepted("q", "ResumeVm");
  history.effect("shutdown").effect("suspend");
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.effect("shutdown")), ["operations of a VM neither overlap nor repeat"]);
});

test("an operation that runs twice is a violation", () => {
  const history = build().created().accepted("r", "RebootVm").effect("reset");
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.restart().effect("reset")), [
    "operations of a VM neither overlap nor repeat",
  ]);
});

test("a creation that rolls back objects it did not create is a violation", () => {
  const volume = `images/socle-${VM}-disk.qcow2`;
  const history = build().accepted("c", "CreateVm").effect("volume_create", { volume });
  assert.deepEqual(rulesOf(history.effect("volume_delete", { volume })), []);
  assert.deepEqual(rulesOf(history.effect("undefine")), ["operations of a VM neither overlap nor repeat"]);
});

test("a second operation for a repeated request is a violation", () => {
  const history = build().created();
  const seq = history.request("CreateVm", { requestId: "r-c" });
  history.ok(seq, [history.read("other", "CreateVm", "running", "r-c")]);
  assert.deepEqual(rulesOf(history), ["a repeated request returns the same operation"]);
});

test("an end that changes is a violation", () => {
  assert.deepEqual(rulesOf(build().created().ended("c", "CreateVm", "failed")), ["an outcome never changes"]);
});

test("a missing acknowledged operation is a violation, unless its state was lost", () => {
  const lost = build().created().restart();
  assert.deepEqual(rulesOf(lost.refused("GetOperation", "OPERATION_NOT_FOUND", { operation: "c" })), [
    "acknowledged operations are durable",
  ]);
  const rolledBack = build().created();
  rolledBack.recorder.add({ event: "fault", fault: "state_rolled_back" });
  rolledBack.refused("GetOperation", "OPERATION_NOT_FOUND", { operation: "c" });
  assert.deepEqual(rulesOf(rolledBack), []);
});

test("a read older than the caller's previous one is a violation, one of another caller is not", () => {
  const history = build().created().reads("running", 4);
  history.accepted("s", "StopVm").effect("destroy").ended("s", "StopVm");
  history.reads("stopped", 5).reads("running", 5, {}, { caller: "other" });
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.reads("running", 6)), ["reads are monotonic"]);
});

test("a start with the agent epoch of an earlier start is a violation", () => {
  const ready = (epochs: readonly number[]): string[] => {
    const history = build();
    for (const [index, agentEpoch] of epochs.entries())
      history.recorder.add({ event: "agent_ready", run: index + 1, agentEpoch });
    return rulesOf(history);
  };
  assert.deepEqual(ready([7, 8]), []);
  assert.deepEqual(ready([7, 7]), ["agent epochs increase"]);
});

test("a control epoch that no unscoped scheduler's change raised is a violation", () => {
  const raised = (more: object, method: string): string[] => {
    const history = build();
    history.ok(history.request(method, { controlEpoch: 7, requestId: "r", ...more }));
    history.recorder.add({ event: "control_epoch", epoch: 7 });
    return rulesOf(history);
  };
  const rule = "only permitted changes raise the control epoch";
  assert.deepEqual(raised({}, "StartVm"), []);
  assert.deepEqual(raised({}, "GetVm"), [rule]);
  assert.deepEqual(raised({ tenant: "a" }, "StartVm"), [rule]);
  assert.deepEqual(raised({ role: "operator" }, "StartVm"), [rule]);
});

test("raises by the previous release are not judged, also when the next agent shows the epoch", () => {
  const rises = (seenBefore: boolean): string[] => {
    const history = build();
    const look = (epoch: number): void => history.recorder.add({ event: "control_epoch", epoch });
    history.recorder.add({ event: "agent_start", run: 1, version: "previous" });
    if (seenBefore) look(7);
    history.recorder.add({ event: "agent_start", run: 2, version: "built" });
    look(8);
    const upgraded = rulesOf(history);
    look(9);
    return [...upgraded, "later", ...rulesOf(history)];
  };
  const rule = "only permitted changes raise the control epoch";
  assert.deepEqual(rises(false), ["later", rule]);
  assert.deepEqual(rises(true), ["later", rule]);
});

test("an admission place reused before its reply was sent is a violation", () => {
  const history = build();
  const seq = history.request("GetVm");
  history.recorder.add({ event: "delivered", seq });
  history.recorder.add({ event: "place_left", seq });
  assert.deepEqual(rulesOf(history), []);
  history.recorder.add({ event: "place_left", seq: history.request("GetVm") });
  assert.deepEqual(rulesOf(history), ["a call holds its permit until its reply is delivered"]);
});

test("an operation that succeeded without its effect is a violation", () => {
  assert.deepEqual(rulesOf(build().created().accepted("s", "StopVm").ended("s", "StopVm")), [
    "an outcome is true",
  ]);
});

test("a creation that failed and left its domain is a violation", () => {
  const history = build().accepted("c", "CreateVm").effect("define").ended("c", "CreateVm", "failed");
  assert.deepEqual(rulesOf(history), ["a failed creation leaves nothing"]);
});

test("a delete with an etag that has an effect on a VM changed since is a violation", () => {
  const history = build().created().reads("running", 3).accepted("d", "DeleteVm", { etag: "running 3" });
  history.foreign("suspend").restart();
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.effect("destroy")), ["an etag is enforced"]);
});

test("a delete with an etag that stamped the VM continues when another client changes the state", () => {
  const stamp = { operation: "d", phase: "run" };
  const deleting = (): HistoryBuilder =>
    build().created().reads("running", 3).accepted("d", "DeleteVm", { etag: "running 3" });
  const begun = deleting().effect("set_metadata", { stamp }).foreign("destroy").restart();
  assert.deepEqual(rulesOf(begun.effect("undefine")), []);
  const refused = deleting().refusedEffect("set_metadata", { stamp });
  assert.deepEqual(
    rulesOf(refused.foreign("destroy").restart().effect("undefine")),
    [],
    "libvirt refused it",
  );
  const late = deleting().foreign("destroy").restart().effect("set_metadata", { stamp });
  assert.deepEqual(rulesOf(late), ["an etag is enforced"]);
});

test("a delete with an etag continues after a manual destroy during its own destroy", () => {
  const history = build().created().reads("running", 3).accepted("d", "DeleteVm", { etag: "running 3" });
  history.recorder.add({ event: "effect", effect: 100, call: "destroy", by: "agent", vm: VM });
  history.foreign("destroy").restart();
  history.recorder.add({ event: "effect_end", effect: 100, outcome: "lost", changed: false });
  assert.deepEqual(rulesOf(history.effect("undefine")), []);
});

test("at rest all operations have ended, lists are true and nothing is left over", () => {
  const history = build().created().accepted("s", "StopVm");
  history.ok(history.request("ListVms"), [], { vms: [], complete: true });
  history.recorder.add({
    event: "world",
    quiet: true,
    domains: [{ vm: VM, name: "v", state: "running", volumes: [] }],
    volumes: ["images/socle-6f1c2f1e-0000-4000-8000-000000000009-disk.qcow2"],
  });
  assert.deepEqual(rulesOf(history).sort(), [
    "a deleted VM leaves nothing",
    "every operation ends",
    "reads are true at rest",
  ]);
});

test("a written history reads back, and its violation shows the event that breaks the rule", () => {
  const history = fromLines(toLines(build().created().effect("destroy").history));
  const [violation] = check(history);
  assert.ok(violation !== undefined);
  assert.match(
    describe(history, violation),
    /^every effect belongs to one operation: .*\n[^]*->.*"call":"destroy"/,
  );
});

test("a stop without force destroys the guest only while a forced stop is open", () => {
  const patient = (): HistoryBuilder => build().created().accepted("s", "StopVm", { force: false });
  assert.deepEqual(rulesOf(patient().effect("shutdown").effect("destroy")), [
    "every effect belongs to one operation",
  ]);
  const forced = patient().effect("shutdown").accepted("f", "StopVm", { force: true }).effect("destroy");
  assert.deepEqual(rulesOf(forced), []);
});

test("a call is repeated when another client undid the first one while it lasted", () => {
  const twice = (meanwhile: (history: HistoryBuilder) => void): HistoryBuilder => {
    const history = build().created().accepted("d", "DeleteVm").effect("destroy");
    history.recorder.add({ event: "effect", effect: 99, call: "destroy", by: "agent", vm: VM });
    meanwhile(history);
    history.recorder.add({ event: "effect_end", effect: 99, outcome: "ok", changed: true });
    return history;
  };
  assert.deepEqual(rulesOf(twice((history) => history.foreign("start"))), []);
  assert.deepEqual(rulesOf(twice(() => undefined)), ["operations of a VM neither overlap nor repeat"]);
});

test("a deletion that removed the VM has not failed, unless another client removed it", () => {
  const history = build().created().accepted("d", "DeleteVm").effect("destroy");
  const others = build().created().accepted("d", "DeleteVm").effect("destroy").foreign("undefine");
  assert.deepEqual(rulesOf(others.ended("d", "DeleteVm", "failed")), []);
  history.effect("undefine").ended("d", "DeleteVm", "failed");
  assert.deepEqual(rulesOf(history), ["a failed deletion leaves the VM"]);
});

test("a stop that ended its run does not end a later run of another client", () => {
  const history = build().created().accepted("s", "StopVm").effect("destroy").foreign("start");
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.effect("destroy")), ["operations of a VM neither overlap nor repeat"]);
});

test("a creation whose guest ran does not remove its disk, unless libvirt cannot know that it ran", () => {
  const volume = { vm: undefined, volume: `images/socle-${VM}-disk.qcow2` } as never;
  const takenBack = (daemonEnds: boolean): string[] => {
    const history = build().accepted("c", "CreateVm").effect("volume_create", volume).effect("define");
    history.effect("start").foreign("guest_stopped");
    if (daemonEnds) history.recorder.add({ event: "fault", fault: "libvirt_down" });
    return rulesOf(
      history.effect("undefine").effect("volume_delete", volume).ended("c", "CreateVm", "failed"),
    );
  };
  assert.deepEqual(takenBack(false), ["every effect belongs to one operation"]);
  assert.deepEqual(takenBack(true), []);
});

test("a deletion cancelled after its first effect is a violation, unless the effect may be another operation's", () => {
  const cancelled = (history: HistoryBuilder): string[] =>
    rulesOf(history.effect("destroy").ended("d", "DeleteVm", "cancelled"));
  assert.deepEqual(cancelled(build().created().accepted("d", "DeleteVm")), [
    "a cancelled deletion has no effect",
  ]);
  assert.deepEqual(cancelled(build().created().accepted("s", "StopVm").accepted("d", "DeleteVm")), []);
});

test("a change with a lower control epoch than an earlier one is a violation, also after a rollback", () => {
  const history = build().created().accepted("s", "StopVm", { controlEpoch: 7 }).effect("destroy");
  history.ended("s", "StopVm");
  history.recorder.add({ event: "fault", fault: "state_rolled_back" });
  history.restart().refused("StartVm", "CONTROL_EPOCH_STALE", { requestId: "r-a", controlEpoch: 6 });
  assert.deepEqual(rulesOf(history), []);
  assert.deepEqual(rulesOf(history.accepted("b", "StartVm", { controlEpoch: 6 })), [
    "a replaced scheduler changes nothing",
  ]);
});

test("a write to a disk of a visible guest is a violation", () => {
  const volume = { vm: undefined, volume: `images/socle-${VM}-disk.qcow2` } as never;
  const erased = (isStartedMeanwhile: boolean): string[] => {
    const history = build().created().accepted("d", "DeleteVm").effect("destroy");
    if (isStartedMeanwhile) history.foreign("start");
    history.effect("set_metadata", { stamp: { operation: "d", phase: "begun" } });
    return rulesOf(history.effect("volume_wipe", volume));
  };
  assert.deepEqual(erased(false), []);
  assert.deepEqual(erased(true), ["every effect belongs to one operation"]);
});

test("a VM redefined by its creation is the target of an operation requested meanwhile", () => {
  const again = (instance: string): string[] => {
    const history = build().accepted("c", "CreateVm").effect("define", { instance: "i" });
    history.accepted("p", "PauseVm").foreign("undefine").effect("define", { instance });
    return rulesOf(history.effect("start").ended("c", "CreateVm").effect("suspend"));
  };
  assert.deepEqual(again("i"), []);
  assert.deepEqual(again("another"), ["every effect belongs to one operation"]);
});
