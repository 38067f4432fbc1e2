// Several agents take over one lease at the same time.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { processIdentity } from "../../../../agent/kernel/lifecycle/process-identity.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { buildSecret } from "../../../../agent/libvirt/xml/index.ts";
import { agent, elsewhere, SecretStore } from "../../../support/vm/lease-stage.ts";

test("one of two agents that take over at the same time gets the lease", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  await agent(t, store, { state: "a" }).start();
  store.moveHolder({ process: { ...own, start: "1" } });
  const both = [agent(t, store, { state: "b" }), agent(t, store, { state: "c" })];
  await Promise.all(both.map(({ start }) => start()));
  assert.equal(both.filter(({ reason }) => reason() === undefined).length, 1);
  await Promise.all(both.map(({ pass }) => pass(3000)));
  assert.deepEqual(both.map(({ reason }) => reason()).sort(), ["HYPERVISOR_IN_USE", undefined]);
});

test("when libvirt refuses a successor's lease, the previous watermark stays and no change is permitted", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  for (const usage of ["socle-agent-lease", "socle-agent-lease-succession"])
    for (const state of ["a", "b"]) {
      store.xml = undefined;
      await agent(t, store, { state: "a", epoch: 7, mark: 5 }).start();
      store.moveHolder({ process: { ...own, start: "1" } });
      const next = agent(t, store, { state, epoch: 8, mark: 1 });
      store.refusals = 1;
      store.refusedUsage = usage;
      await next.start();
      assert.equal(next.reason(), "LEASE_UNWRITABLE");
      assert.equal(store.lease()["watermark"], 5);
      await next.pass(3000);
      assert.equal(next.reason(), undefined);
      assert.equal(store.lease()["agentEpoch"], 8);
      await next.stop();
    }
});

test("one of two copies of a state that take over at the same time gets the lease", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  await agent(t, store, { state: "a" }).start();
  store.moveHolder({ process: { ...own, start: "1" } });
  const both = [agent(t, store, { state: "a", epoch: 2 }), agent(t, store, { state: "a", epoch: 2 })];
  await Promise.all(both.map(({ start }) => start()));
  const held = both.filter(({ reason }) => reason() === undefined);
  assert.equal(held.length, 1);
  assert.equal(held[0]?.seen.length, 1);
  await Promise.all(both.map(({ pass }) => pass(3000)));
  assert.deepEqual(both.map(({ reason }) => reason()).sort(), ["HYPERVISOR_IN_USE", undefined]);
});

test("a holder restarted during a takeover either stays out or stops the takeover", async (t) => {
  const own = await processIdentity();
  for (const heldCall of [libvirt.secretGetXmlDesc, libvirt.secretDefineXml, libvirt.secretUndefine]) {
    const store = new SecretStore();
    const holder = agent(t, store, { state: "a" });
    await holder.start();
    const other = agent(t, store, { state: "b" });
    await other.start();
    store.moveHolder({ process: { ...own, start: "1" } });
    let [go, reach] = [(): void => undefined, (): void => undefined];
    const gone = new Promise<void>((resolve) => (go = resolve));
    const reached = new Promise<void>((resolve) => (reach = resolve));
    let isHeld = false;
    store.before = async (procedure) => {
      if (procedure !== heldCall || isHeld) return;
      isHeld = true;
      reach();
      await gone;
    };
    const following = other.pass(3000);
    await reached;
    const again = agent(t, store, { state: "a", epoch: 2 });
    await again.start();
    go();
    await following;
    const held = [again, other].filter(({ reason }) => reason() === undefined);
    assert.equal(held.length, 1);
    assert.equal(store.lease()["stateId"], held[0] === again ? "a" : "b");
  }
});

test("a succession secret left by an ended agent is removed, and the lease is taken", async (t) => {
  const own = await processIdentity();
  for (const [process, passMs] of [
    [{ ...own, start: "1" }, 0],
    [{ ...own, ...elsewhere }, 63_000],
  ] as const) {
    const store = new SecretStore();
    await agent(t, store, { state: "a" }).start();
    store.moveHolder({ process: { ...own, start: "1" } });
    const left = JSON.stringify({ socle: "succession", holder: "x", process });
    store.succession.uuid = randomUUID();
    store.succession.xml = buildSecret({
      uuid: store.succession.uuid,
      description: left,
      usage: { type: "tls", id: "socle-agent-lease-succession" },
    });
    const next = agent(t, store, { state: "b" });
    await next.start();
    if (passMs > 0) assert.equal(next.reason(), "LIBVIRT_UNAVAILABLE");
    await next.pass(passMs);
    assert.equal(next.reason(), undefined);
    assert.equal(store.succession.xml, undefined);
  }
});

test("of two copies of a state, the one whose lease is overwritten makes no more changes", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  await agent(t, store, { state: "a" }).start();
  store.moveHolder({ process: { ...own, start: "1" } });
  const [one, other] = [agent(t, store, { state: "a" }), agent(t, store, { state: "a" })];
  await one.start();
  store.moveHolder({ process: { ...own, start: "1" } });
  await other.start();
  await Promise.all([one.pass(3000), other.pass(3000)]);
  assert.deepEqual([one.reason(), other.reason()], ["HYPERVISOR_IN_USE", undefined]);
});

test("one of two agents that take a removed lease at once gets it, also after an earlier refusal", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  await agent(t, store, { state: "a" }).start();
  store.moveHolder({ process: { ...own, start: "1" } });
  const refused = agent(t, store, { state: "b" });
  store.refusals = 1;
  store.refusedUsage = "socle-agent-lease";
  await refused.start();
  assert.equal(refused.reason(), "LEASE_UNWRITABLE");
  const holder = agent(t, store, { state: "c" });
  await holder.start();
  await refused.pass(3000);
  assert.deepEqual([refused.reason(), holder.reason()], ["HYPERVISOR_IN_USE", undefined]);
  store.xml = undefined;
  // Both find no lease before one of them writes its own.
  const waiting: (() => void)[] = [];
  store.before = async (procedure) => {
    if (procedure !== libvirt.secretDefineXml) return;
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const looks = [refused.pass(3000), holder.pass(3000)];
  while (waiting.length < 2) await new Promise(setImmediate);
  store.before = () => Promise.resolve();
  for (const go of waiting.splice(0)) go();
  await Promise.all(looks);
  assert.equal([refused, holder].filter(({ reason }) => reason() === undefined).length, 1);
});
