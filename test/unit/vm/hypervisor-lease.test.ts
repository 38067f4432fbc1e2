// Agents with several state directories, in several PID namespaces, over one libvirt's secrets.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { processIdentity } from "../../../agent/kernel/process-identity.ts";
import { Topic } from "../../../agent/kernel/topic.ts";
import * as libvirt from "../../../agent/libvirt/index.ts";
import { parseSecret } from "../../../agent/libvirt/xml/index.ts";
import { Permit } from "../../../agent/state/permit.ts";
import type { LibvirtCalls } from "../../../agent/vm/certainty.ts";
import { HypervisorLease, type HolderBefore } from "../../../agent/vm/hypervisor-lease.ts";
import { FakeClock } from "../host/fake-clock.ts";

/** Secrets as libvirt keeps them: one of a usage. */
class SecretStore {
  xml: string | undefined;
  uuid = "";
  isSupported = true;
  /** What every call fails with. */
  failure: SocleError | undefined;
  /** So many of the next definitions are refused. */
  refusals = 0;
  readonly events = new Topic<libvirt.LibvirtEvent>();
  readonly changes = new Topic<libvirt.LibvirtChange>();

  readonly calls: LibvirtCalls & Pick<libvirt.Libvirt, "events" | "changes"> = {
    events: this.events,
    changes: this.changes,
    openStream: () => Promise.reject(new Error("no streams")),
    call: (async (procedure: unknown, args: { xml?: string; secret?: { uuid: string } }) => {
      await Promise.resolve();
      if (!this.isSupported) throw new SocleError("unsupported", "LIBVIRT_NO_SUPPORT", "no secrets");
      if (this.failure !== undefined) throw this.failure;
      const secret = { uuid: this.uuid, usageType: 4, usageId: "socle-agent-lease" };
      if (procedure === libvirt.secretDefineXml) {
        if ((this.refusals -= 1) >= 0) throw new SocleError("internal", "LIBVIRT_INTERNAL", "no space");
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

/** The mark of a state directory, in memory. */
class Mark {
  value: number;
  #publish = (): Promise<void> => Promise.resolve();

  constructor(value: number) {
    this.value = value;
  }

  publishBy(publish: () => Promise<void>): void {
    this.#publish = publish;
  }

  async raise(): Promise<void> {
    this.value += 1;
    await this.#publish();
  }
}

interface AgentOptions {
  readonly state: string;
  readonly epoch?: number;
  readonly mark?: number;
  /** What it cannot write down of the holder before. */
  readonly unwritable?: Error;
}

function agent(t: TestContext, store: SecretStore, options: AgentOptions) {
  const clock = new FakeClock();
  const permit = new Permit();
  const seen: HolderBefore[] = [];
  const mark = new Mark(options.mark ?? 0);
  const lease = new HypervisorLease({
    libvirt: store.calls,
    uri: "qemu:///system",
    stateDirectory: `/state/${options.state}`,
    stateId: options.state,
    agentEpoch: () => options.epoch ?? 1,
    watermark: mark,
    onFollow: (before) => {
      if (options.unwritable !== undefined) return Promise.reject(options.unwritable);
      seen.push(before);
      return Promise.resolve();
    },
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
    mark,
    lease,
    looked,
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
      assert.deepEqual(next.seen, [{ agentEpoch: 7, watermark: 0, isOwn: state === "a", isAhead: true }]);
      const later = agent(t, store, { state, epoch: 8 });
      store.moveHolder({ process });
      await later.start();
      assert.equal(later.seen[0]?.isAhead, false, "an epoch that went up as it does");
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

test("an older copy of the state is known by the watermark in the lease, within one epoch of the agent too", async (t) => {
  const own = await processIdentity();
  const ended = { process: { ...own, start: "1" } };
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a", epoch: 7, mark: 3 });
  await holder.start();
  await holder.mark.raise();
  assert.equal(store.lease()["watermark"], 4, "raised before what an older copy must not do again");
  await holder.pass(15_000);
  assert.equal(store.lease()["watermark"], 5, "and with each beat");
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

test("a lease of an agent without watermarks stands against none", async (t) => {
  const store = new SecretStore();
  await agent(t, store, { state: "a", epoch: 7 }).start();
  const own = await processIdentity();
  store.moveHolder({ process: { ...own, start: "1" }, watermark: undefined });
  const next = agent(t, store, { state: "a", epoch: 8 });
  await next.start();
  assert.deepEqual(next.seen, [{ agentEpoch: 7, watermark: 0, isOwn: true, isAhead: false }]);
});

test("where it cannot be written down what the holder before did, the lease stays with it, and nothing is changed", async (t) => {
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

test("where libvirt refuses the lease of an agent that follows, the mark of the one before is kept, and nothing is changed", async (t) => {
  const own = await processIdentity();
  const store = new SecretStore();
  await agent(t, store, { state: "a", epoch: 7, mark: 5 }).start();
  store.moveHolder({ process: { ...own, start: "1" } });
  const next = agent(t, store, { state: "a", epoch: 8, mark: 1 });
  store.refusals = 1;
  await next.start();
  assert.equal(next.reason(), "LEASE_UNWRITABLE");
  assert.equal(store.lease()["watermark"], 5);
  await next.pass(3000);
  assert.equal(next.reason(), undefined);
  assert.equal(store.lease()["agentEpoch"], 8);
});

test("of two copies of a state that follow it, the one that is overwritten changes nothing any more", async (t) => {
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

test("whoever raises the mark of a lease that another agent has by now changes nothing any more", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.xml = undefined;
  await agent(t, store, { state: "b" }).start();
  assert.equal(holder.reason(), undefined, "it has not looked yet");
  await holder.mark.raise();
  assert.equal(holder.reason(), "HYPERVISOR_IN_USE");
  assert.equal(store.lease()["stateId"], "b");
});

test("a change of the lease by others is looked at once", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.xml = undefined;
  const other = agent(t, store, { state: "b" });
  await other.start();
  const secret = { uuid: store.uuid, usageType: 4, usageId: "socle-agent-lease" };
  await holder.looked(() => store.events.publish({ kind: "secret", secret, event: "defined" }));
  assert.equal(holder.reason(), "HYPERVISOR_IN_USE");
});

test("libvirt's refusal to write the mark keeps nobody from deleting; its silence does", async (t) => {
  const store = new SecretStore();
  const holder = agent(t, store, { state: "a" });
  await holder.start();
  store.refusals = 1;
  await holder.mark.raise();
  assert.equal(store.lease()["watermark"], 1, "once more is enough");
  store.refusals = 9;
  await holder.mark.raise();
  assert.equal(store.lease()["watermark"], 1);
  store.refusals = 0;
  store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  await assert.rejects(holder.mark.raise(), { reason: "LIBVIRT_DISCONNECTED" });
  store.failure = undefined;
  assert.equal(holder.reason(), undefined);
});

test("libvirt is asked at once when it can be", async (t) => {
  const store = new SecretStore();
  store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirtd is not there");
  const only = agent(t, store, { state: "a" });
  await only.start();
  assert.equal(only.reason(), "LIBVIRT_UNAVAILABLE");
  store.failure = undefined;
  await only.looked(() => store.changes.publish({ kind: "connected" }));
  assert.equal(only.reason(), undefined);
});
