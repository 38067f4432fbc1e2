// Agents with several state directories, in several PID namespaces, over one libvirt's secrets.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { processIdentity } from "../../../agent/kernel/process-identity.ts";
import * as libvirt from "../../../agent/libvirt/index.ts";
import { parseSecret } from "../../../agent/libvirt/xml/index.ts";
import { Permit } from "../../../agent/state/permit.ts";
import type { LibvirtCalls } from "../../../agent/vm/certainty.ts";
import { HypervisorLease } from "../../../agent/vm/hypervisor-lease.ts";
import { FakeClock } from "../host/fake-clock.ts";

/** Secrets as libvirt keeps them: one of a usage. */
class SecretStore {
  xml: string | undefined;
  uuid = "";
  isSupported = true;
  /** What every call fails with. */
  failure: SocleError | undefined;

  readonly calls: LibvirtCalls = {
    openStream: () => Promise.reject(new Error("no streams")),
    call: (async (procedure: unknown, args: { xml?: string; secret?: { uuid: string } }) => {
      await Promise.resolve();
      if (!this.isSupported) throw new SocleError("unsupported", "LIBVIRT_NO_SUPPORT", "no secrets");
      if (this.failure !== undefined) throw this.failure;
      const secret = { uuid: this.uuid, usageType: 4, usageId: "socle-agent-lease" };
      if (procedure === libvirt.secretDefineXml) {
        const { uuid = "" } = parseSecret(args.xml ?? "");
        if (this.xml !== undefined && uuid !== this.uuid)
          throw new SocleError("internal", "LIBVIRT_INTERNAL", "already defined for use");
        this.xml = args.xml;
        this.uuid = uuid;
        return { secret: { ...secret, uuid } };
      }
      if (this.xml === undefined || (args.secret !== undefined && args.secret.uuid !== this.uuid))
        throw new SocleError("not_found", "LIBVIRT_NO_SECRET", "no secret");
      if (procedure === libvirt.secretUndefine) this.xml = undefined;
      return procedure === libvirt.secretGetXmlDesc ? { xml: this.xml } : { secret };
    }) as unknown as LibvirtCalls["call"],
  };

  lease(): Record<string, unknown> {
    return JSON.parse(parseSecret(this.xml ?? "").description ?? "") as Record<string, unknown>;
  }

  /** The holder is in a place of which nothing can be seen from here. */
  moveHolder(change: object): void {
    const description = JSON.stringify({ ...this.lease(), ...change });
    this.xml = `<secret><uuid>${this.uuid}</uuid><description>${description.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</description><usage type='tls'><name>socle-agent-lease</name></usage></secret>`;
  }
}

function agent(t: TestContext, store: SecretStore, options: { state: string; epoch?: number }) {
  const clock = new FakeClock();
  const permit = new Permit();
  const seen: { epoch: number; isOwn: boolean }[] = [];
  const lease = new HypervisorLease({
    libvirt: store.calls,
    uri: "qemu:///system",
    stateDirectory: `/state/${options.state}`,
    stateId: options.state,
    agentEpoch: () => options.epoch ?? 1,
    onHigherEpoch: (epoch, isOwn) => Promise.resolve(void seen.push({ epoch, isOwn })),
    permit,
    clock,
    log: silentLog,
  });
  const end = new AbortController();
  let done = Promise.resolve();
  let sleeps = 0;
  const sleep = clock.sleep.bind(clock);
  clock.sleep = (ms, signal) => {
    sleeps += 1;
    return sleep(ms, signal);
  };
  /** Until it has looked, and waits for its next look. */
  const looked = async (during: () => void): Promise<void> => {
    const before = sleeps;
    during();
    for (let turn = 0; sleeps === before && turn < 100_000; turn += 1) await new Promise(setImmediate);
  };
  t.after(() => end.abort());
  return {
    permit,
    seen,
    lease,
    start: () =>
      looked(() => {
        done = lease.run(end.signal, () => undefined);
      }),
    /** Every so often it looks. */
    pass: async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 3000) await looked(() => clock.advance(3000));
    },
    stop: async () => {
      end.abort();
      await done;
    },
    reason: () => permit.refusal?.reason,
  };
}

const elsewhere = { pid: 1, start: "1", namespace: "pid:[1]" };

test("of two agents one changes things; the other is told by whom it is refused, and follows a stop at once", async (t) => {
  const store = new SecretStore();
  const first = agent(t, store, { state: "a" });
  const second = agent(t, store, { state: "b" });
  assert.equal(first.reason(), "LIBVIRT_UNAVAILABLE", "before libvirt was asked nothing is changed");
  await first.start();
  assert.equal(first.reason(), undefined);
  await second.start();
  assert.equal(second.reason(), "HYPERVISOR_IN_USE");
  assert.match(
    second.lease.failure?.message ?? "",
    /pid \d+ .*state directory \/state\/a: .*secret-undefine/,
  );
  await second.pass(600_000);
  assert.equal(second.reason(), "HYPERVISOR_IN_USE", "a living holder is never followed, silent or not");
  await first.stop();
  await second.pass(3000);
  assert.equal(second.reason(), undefined);
  assert.equal(second.lease.failure, undefined);
});

test("a holder that ended is followed at once where that can be seen; its epoch is never undercut", async (t) => {
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
      assert.deepEqual(next.seen, [{ epoch: 7, isOwn: state === "a" }]);
      const later = agent(t, store, { state, epoch: 8 });
      store.moveHolder({ process });
      await later.start();
      assert.deepEqual(later.seen, [], "an epoch that went up as it does is not told");
    }
  }
});

test("in another PID namespace: with the same state after a minute of silence, with another by a person's word", async (t) => {
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
    assert.equal(next.reason(), "HYPERVISOR_IN_USE", "it beat meanwhile");
    await next.pass(30_000);
    if (state === "b") {
      assert.equal(next.reason(), "HYPERVISOR_IN_USE");
      store.xml = undefined;
      await next.pass(3000);
    }
    assert.equal(next.reason(), undefined);
    await holder.pass(3000);
    assert.equal(holder.reason(), "HYPERVISOR_IN_USE", "the holder before changes nothing any more");
  }
});

test("of two that follow at the same time one gets it", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  await agent(t, store, { state: "a" }).start();
  store.moveHolder({ process: { ...own, start: "1" } });
  const both = [agent(t, store, { state: "b" }), agent(t, store, { state: "c" })];
  await Promise.all(both.map(({ start }) => start()));
  assert.deepEqual(both.map(({ reason }) => reason()).sort(), ["HYPERVISOR_IN_USE", undefined]);
});

test("a lease that is removed under its holder is taken again, and one that is not known is left alone", async (t) => {
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

test("without secrets in libvirt nothing is held, and changes go on", async (t) => {
  const store = new SecretStore();
  store.isSupported = false;
  const only = agent(t, store, { state: "a" });
  await only.start();
  assert.equal(only.reason(), undefined);
});

test("an error of libvirt's does not let in whom another keeps out; the lease is asked for until it is had", async (t) => {
  const internal = new SocleError("internal", "LIBVIRT_INTERNAL", "cannot read the secrets");
  const store = new SecretStore();
  const first = agent(t, store, { state: "a" });
  await first.start();
  const second = agent(t, store, { state: "b" });
  await second.start();
  store.failure = internal;
  await Promise.all([first.pass(3000), second.pass(3000)]);
  assert.equal(second.reason(), "HYPERVISOR_IN_USE");
  assert.equal(first.reason(), undefined, "the holder goes on");
  store.failure = undefined;
  await first.stop();
  await second.pass(3000);
  assert.equal(second.reason(), undefined);

  const sick = new SecretStore();
  sick.failure = internal;
  const [one, other] = [agent(t, sick, { state: "a" }), agent(t, sick, { state: "b" })];
  await one.start();
  await other.start();
  assert.deepEqual([one.reason(), other.reason()], [undefined, undefined], "nothing can be held");
  sick.failure = undefined;
  await one.pass(3000);
  await other.pass(3000);
  assert.deepEqual([one.reason(), other.reason()], [undefined, "HYPERVISOR_IN_USE"]);
});
