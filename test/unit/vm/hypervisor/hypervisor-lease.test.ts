import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { processIdentity } from "../../../../agent/kernel/lifecycle/process-identity.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { agent, elsewhere, SecretStore } from "../../../support/vm/lease-stage.ts";

const none = { epoch: 0, resets: 0 };

/** The error of a libvirt without a secret daemon. */
const noSecrets = new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", "no socket of virtsecretd", {
  details: { metadata: { libvirtCode: "38" } },
});

test("one of two agents gets the lease; the other reports the holder, and takes over at once after a stop", async (t) => {
  const store = new SecretStore();
  const first = agent(t, store, { state: "a" });
  const second = agent(t, store, { state: "b" });
  assert.equal(first.reason(), "LIBVIRT_UNAVAILABLE", "no change is permitted before libvirt has answered");
  await first.start();
  assert.equal(first.reason(), undefined);
  await second.start();
  assert.equal(second.reason(), "HYPERVISOR_IN_USE");
  assert.match(
    second.lease.failure?.message ?? "",
    /pid \d+ .*state directory \/state\/a: .*secret-undefine/,
  );
  await second.pass(600_000);
  assert.equal(second.reason(), "HYPERVISOR_IN_USE", "a living holder keeps the lease, silent or not");
  await first.stop();
  await second.pass(3000);
  assert.equal(second.reason(), undefined);
  assert.equal(second.lease.failure, undefined);
});

test("a holder whose process is known to have ended is succeeded at once; the next epoch is never lower", async (t) => {
  const own = await processIdentity();
  for (const [what, process] of [
    ["another boot", { ...own, bootId: "00000000-0000-0000-0000-000000000000" }],
    ["an ended process", { ...own, pid: 2 ** 22 + 1 }],
    ["a pid used again", { ...own, start: "1" }],
  ] as const) {
    for (const state of ["a", "b"]) {
      const store = new SecretStore();
      await agent(t, store, { state: "a", epoch: 7 }).start();
      store.moveHolder({ process });
      const next = agent(t, store, { state, epoch: 7 });
      await next.start();
      assert.equal(next.reason(), undefined, what);
      assert.deepEqual(next.seen, [
        {
          agentEpoch: 7,
          watermark: 0,
          controlFence: none,
          revocationLists: {},
          isOwn: state === "a",
          isBeforeThisRun: true,
          isAhead: true,
        },
      ]);
      const later = agent(t, store, { state, epoch: 8 });
      store.moveHolder({ process });
      await later.start();
      assert.equal(later.seen[0]?.isAhead, false, "a normal increase of the epoch");
    }
  }
});

test("a lease from another PID namespace passes after a minute of silence to the same state, else only by hand", async (t) => {
  const own = await processIdentity();
  const hidden = { process: { ...own, ...elsewhere } };
  for (const state of ["a", "b"]) {
    const store = new SecretStore();
    const holder = agent(t, store, { state: "a" });
    await holder.start();
    store.moveHolder(hidden);
    const next = agent(t, store, { state });
    await next.start();
    assert.equal(next.reason(), "HYPERVISOR_IN_USE");
    await next.pass(30_000);
    store.moveHolder({ ...hidden, beat: 99 });
    await next.pass(45_000);
    assert.equal(next.reason(), "HYPERVISOR_IN_USE", "the holder renewed the lease meanwhile");
    await next.pass(30_000);
    if (state === "b") {
      assert.equal(next.reason(), "HYPERVISOR_IN_USE");
      store.xml = undefined;
      await next.pass(3000);
    }
    assert.equal(next.reason(), undefined);
    if (state === "a")
      assert.equal(
        next.seen[0]?.isBeforeThisRun,
        false,
        "the holder may have made decisions that its successor does not know",
      );
    await holder.pass(3000);
    assert.equal(holder.reason(), "HYPERVISOR_IN_USE", "the previous holder makes no more changes");
  }
});

test("a holder writes its removed lease again, and leaves a lease of an unknown format alone", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.xml = undefined;
  await holder.pass(3000);
  assert.equal(store.lease()["stateId"], "a");
  store.moveHolder({ socle: "another" });
  const next = agent(t, store, { state: "a" });
  await next.start();
  assert.match(next.lease.failure?.message ?? "", /an agent of another version/);
});

test("without secrets in libvirt there is no lease, and changes are permitted", async (t) => {
  const store = new SecretStore();
  store.isSupported = false;
  const only = agent(t, store, { state: "a" });
  await only.start();
  assert.equal(only.reason(), undefined);
});

test("a libvirt error does not admit a second agent; agents retry until the lease is readable", async (t) => {
  const internal = new SocleError("internal", "LIBVIRT_INTERNAL", "cannot read the secrets");
  const store = new SecretStore();
  const first = agent(t, store, { state: "a" });
  await first.start();
  const second = agent(t, store, { state: "b" });
  await second.start();
  store.failure = internal;
  await Promise.all([first.pass(3000), second.pass(3000)]);
  assert.equal(second.reason(), "HYPERVISOR_IN_USE");
  assert.equal(first.reason(), undefined, "the holder keeps its permission");
  store.failure = undefined;
  await first.stop();
  await second.pass(3000);
  assert.equal(second.reason(), undefined);

  const sick = new SecretStore();
  sick.failure = internal;
  const [one, other] = [agent(t, sick, { state: "a" }), agent(t, sick, { state: "b" })];
  await one.start();
  await other.start();
  assert.deepEqual([one.reason(), other.reason()], ["LEASE_UNREADABLE", "LEASE_UNREADABLE"]);
  sick.failure = undefined;
  await one.pass(3000);
  await other.pass(3000);
  assert.deepEqual([one.reason(), other.reason()], [undefined, "HYPERVISOR_IN_USE"]);
});

test("the watermark in the lease reveals an older copy of the state, also within one agent epoch", async (t) => {
  const own = await processIdentity();
  const ended = { process: { ...own, start: "1" } };
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a", epoch: 7, mark: 3 });
  await holder.start();
  await holder.mark.raise();
  assert.equal(store.lease()["watermark"], 4, "raised before a decision that an older copy must not repeat");
  await holder.pass(15_000);
  assert.equal(store.lease()["watermark"], 5, "raised with each renewal");
  for (const [what, options, isAhead] of [
    ["the state as it was left", { state: "a", epoch: 8, mark: 5 }, false],
    ["a raise that did not reach the lease any more", { state: "a", epoch: 8, mark: 6 }, false],
    ["a copy", { state: "a", epoch: 8, mark: 4 }, true],
    ["a copy of version 0.1.0's", { state: "a", epoch: 8, mark: 0 }, true],
    ["another state directory, whatever its mark", { state: "b", epoch: 8, mark: 9 }, true],
  ] as const) {
    const found = new SecretStore();
    await agent(t, found, { state: "a", epoch: 7, mark: 5 }).start();
    found.moveHolder(ended);
    const next = agent(t, found, options);
    await next.start();
    assert.deepEqual([next.seen.length, next.seen[0]?.isAhead, next.reason()], [1, isAhead, undefined], what);
  }
});

test("a lease without watermark and control epoch is read, and no state counts as older", async (t) => {
  const store = new SecretStore();
  await agent(t, store, { state: "a", epoch: 7 }).start();
  const own = await processIdentity();
  const absent = { watermark: undefined, controlEpoch: undefined, controlEpochResets: undefined };
  store.moveHolder({ process: { ...own, start: "1" }, ...absent });
  const next = agent(t, store, { state: "a", epoch: 8 });
  await next.start();
  const expected = {
    agentEpoch: 7,
    watermark: 0,
    controlFence: none,
    revocationLists: {},
    isOwn: true,
    isBeforeThisRun: true,
    isAhead: false,
  };
  assert.deepEqual(next.seen, [expected]);
});

test("each write of the lease carries the control epoch, and the next holder receives it", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a", epoch: 7, fence: { epoch: 3, resets: 1 } });
  await holder.start();
  const written = (): unknown[] => [store.lease()["controlEpoch"], store.lease()["controlEpochResets"]];
  assert.deepEqual(written(), [3, 1]);
  holder.setFence({ epoch: 9, resets: 1 });
  await holder.mark.raise();
  assert.deepEqual(written(), [9, 1]);
  holder.setFence({ epoch: 2, resets: 2 });
  store.refusals = 2;
  await holder.mark.raise();
  assert.deepEqual(written(), [9, 1], "libvirt refused the write");
  await holder.pass(6000);
  assert.deepEqual(written(), [2, 2], "the next check finds another value in the lease");
  const own = await processIdentity();
  store.moveHolder({ process: { ...own, start: "1" } });
  for (const state of ["a", "b"]) {
    const next = agent(t, store, { state, epoch: 8 });
    await next.start();
    assert.deepEqual(next.seen[0]?.controlFence, { epoch: 2, resets: 2 });
    store.moveHolder({ process: { ...own, start: "1" }, controlEpoch: 2, controlEpochResets: 2 });
  }
});

test("an agent that cannot store the previous holder's decisions neither takes the lease nor permits changes", async (t) => {
  const store = new SecretStore();
  await agent(t, store, { state: "a", epoch: 7, mark: 5 }).start();
  const own = await processIdentity();
  store.moveHolder({ process: { ...own, start: "1" } });
  const { uuid } = store;
  const next = agent(t, store, { state: "a", epoch: 8, unwritable: new Error("ENOSPC") });
  await next.start();
  assert.equal(next.reason(), "STATE_UNWRITABLE");
  assert.equal(store.uuid, uuid);
});

test("a watermark in the lease that is lower than the state's is written again", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  await holder.mark.raise();
  store.moveHolder({ watermark: 0 });
  await holder.pass(6000);
  assert.equal(store.lease()["watermark"], holder.mark.value);
});

test("raising the watermark of a lease that another agent has taken ends all changes", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.xml = undefined;
  await agent(t, store, { state: "b" }).start();
  assert.equal(holder.reason(), undefined, "the lease has not been checked yet");
  await holder.mark.raise();
  assert.equal(holder.reason(), "HYPERVISOR_IN_USE");
  assert.equal(store.lease()["stateId"], "b");
});

test("a secret event from libvirt triggers a check of the lease at once", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.xml = undefined;
  const other = agent(t, store, { state: "b" });
  await other.start();
  const secret = { uuid: store.uuid, usageType: 4, usageId: "socle-agent-lease" };
  await holder.checkedAfter(() => store.events.publish({ kind: "secret", secret, event: "defined" }));
  assert.equal(holder.reason(), "HYPERVISOR_IN_USE");
});

test("a deletion goes on when libvirt refuses the watermark, and fails when libvirt does not answer", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.refusals = 1;
  assert.equal(await holder.mark.raise(), true);
  assert.equal(store.lease()["watermark"], 1, "one retry is enough");
  store.refusals = 9;
  assert.equal(await holder.mark.raise(), false);
  assert.equal(store.lease()["watermark"], 1);
  store.refusals = 0;
  store.failure = noSecrets;
  assert.equal(await holder.mark.raise(), false, "errors on every call do not stop it either");
  store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  await assert.rejects(holder.mark.raise(), { reason: "LIBVIRT_DISCONNECTED" });
  store.failure = undefined;
  assert.equal(holder.reason(), undefined);
});

test("an older copy of the state makes no changes while libvirt answers with errors", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a", epoch: 3, mark: 5 });
  await holder.start();
  await holder.stop();
  store.failure = new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", "no socket of virtsecretd");
  const copy = agent(t, store, { state: "a", epoch: 4, mark: 2 });
  await copy.start();
  assert.equal(copy.reason(), "LEASE_UNREADABLE");
  assert.equal(copy.lease.failure?.reason, "LEASE_UNREADABLE");
  await assert.rejects(copy.mark.raise(), { reason: "LEASE_UNREADABLE" });
  store.failure = new SocleError("unsupported", "LIBVIRT_RPC", "cannot decode the message");
  await copy.pass(3000);
  assert.equal(copy.reason(), "LEASE_UNREADABLE");
  store.failure = undefined;
  await copy.pass(3000);
  assert.deepEqual([copy.reason(), copy.lease.failure, copy.seen[0]?.isAhead], [undefined, undefined, true]);
});

test("the reason for refused changes is the current one", async (t) => {
  const store = new SecretStore();
  const first = agent(t, store, { state: "a" });
  await first.start();
  const second = agent(t, store, { state: "b" });
  await second.start();
  await first.stop();
  store.refusals = 9;
  await second.pass(3000);
  assert.deepEqual([second.reason(), second.lease.failure?.reason], ["LEASE_UNWRITABLE", "LEASE_UNWRITABLE"]);
  store.isSupported = false;
  await second.pass(3000);
  assert.deepEqual(
    [second.reason(), second.lease.failure],
    [undefined, undefined],
    "libvirt has no secrets after all",
  );
});

test("the lease is checked also while the watermark cannot be raised", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  holder.mark.failure = new SocleError("unavailable", "STATE_LOST", "the watermark was replaced");
  store.xml = undefined;
  await agent(t, store, { state: "b" }).start();
  await holder.pass(15_000);
  assert.equal(holder.reason(), "HYPERVISOR_IN_USE");
});

test("an operation waits seconds for the lease, also behind a check that hangs", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.hangs = true;
  holder.advance(3000);
  await settled();
  const raised = holder.mark.raise();
  const answer = assert.rejects(raised, { kind: "unavailable", reason: "LIBVIRT_UNRESPONSIVE" });
  await settled();
  holder.advance(5000);
  await answer;
  assert.equal(holder.reason(), undefined, "it still holds the lease");
});

test("a change permitted during a takeover raises the watermark before the takeover has ended", async (t) => {
  const store = new SecretStore();
  await agent(t, store, { state: "a" }).start();
  store.moveHolder({ process: { ...(await processIdentity()), start: "1" } });
  const next = agent(t, store, { state: "a", epoch: 2 });
  let raised: Promise<boolean> | undefined;
  store.before = async (procedure) => {
    if (procedure !== libvirt.secretUndefine || raised !== undefined) return;
    assert.equal(next.reason(), undefined, "changes are permitted");
    raised = next.mark.raise();
    raised.catch(() => undefined);
    await settled();
  };
  await next.start();
  assert.equal(await raised, true);
  assert.equal(store.lease()["watermark"], 1);
  await next.stop();
  assert.equal(store.lease()["released"], true);
});

/** Runs the event loop until all pending work is done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
}

test("the lease is taken as soon as libvirt is connected", async (t) => {
  const store = new SecretStore();
  store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirtd is not there");
  const only = agent(t, store, { state: "a" });
  await only.start();
  assert.equal(only.reason(), "LIBVIRT_UNAVAILABLE");
  await assert.rejects(
    only.mark.raise(),
    { reason: "LIBVIRT_UNAVAILABLE" },
    "no lease carries the watermark yet",
  );
  store.failure = undefined;
  await only.checkedAfter(() => store.changes.publish({ kind: "connected" }));
  assert.equal(only.reason(), undefined);
  await only.mark.raise();
});
