import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { LibvirtError, type Libvirt, type LibvirtEvent } from "../../../../agent/libvirt/index.ts";
import type { NicLease } from "../../../../agent/vm/model/vm.ts";
import { LeaseWatch, type LeasingNetwork } from "../../../../agent/vm/observation/lease-watch.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { eventually } from "../../../support/wait.ts";

const network = (name: string, more: Partial<LeasingNetwork> = {}): LeasingNetwork => ({
  name,
  uuid: `uuid-${name}`,
  active: true,
  dhcp: true,
  presence: "present",
  ...more,
});

interface FakeLease {
  readonly mac: string | null;
  readonly ipaddr: string;
  /** 0: never. */
  readonly inSeconds?: number;
}

type Answer = readonly FakeLease[] | LibvirtError;

/** Leases by network, and the networks that were read. */
async function watch(t: TestContext, networks: LeasingNetwork[], answers: Record<string, Answer>) {
  const clock = new FakeClock();
  const reads: string[] = [];
  const events = new Topic<LibvirtEvent>();
  let leases: readonly NicLease[] = [];
  const status = { connected: true };
  const call = (_procedure: unknown, { net }: { readonly net: { readonly name: string } }) => {
    reads.push(net.name);
    const answer = answers[net.name] ?? [];
    if (answer instanceof LibvirtError) return Promise.reject(answer);
    const found = answer.map(({ mac, ipaddr, inSeconds = 3600 }) => {
      const expirytime = inSeconds === 0 ? 0 : clock.now() / 1000 + inSeconds;
      return { mac, ipaddr, prefix: 24, expirytime };
    });
    return Promise.resolve({ leases: found });
  };
  const watched = new LeaseWatch({
    libvirt: { call, events, status } as unknown as Libvirt,
    networks: () => networks,
    table: {
      putLeases: (found) => void (leases = found),
    },
    clock,
    log: silentLog,
  });
  const end = new AbortController();
  const done = watched.run(end.signal, () => undefined);
  t.after(async () => {
    end.abort();
    await done;
  });
  const settled = async (): Promise<void> => {
    await eventually(() => clock.sleepingMs.length === 1, { what: "the watch to rest" });
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    await eventually(() => clock.sleepingMs.length === 1, { what: "the watch to rest" });
  };
  await settled();
  return {
    reads,
    status,
    addresses: () => leases.map(({ network, mac, address }) => `${network} ${mac} ${address}`),
    pass: async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 1) {
        clock.advance(1000);
        await settled();
      }
    },
    started: async (): Promise<void> => {
      const domain = { name: "a", uuid: "a", id: 1 };
      events.publish({ kind: "lifecycle", domain, event: "started", detail: "booted" });
      await settled();
    },
    take: () => reads.splice(0),
  };
}

const lease = (mac: string, ipaddr: string, inSeconds?: number): FakeLease =>
  inSeconds === undefined ? { mac, ipaddr } : { mac, ipaddr, inSeconds };

test("each active network that serves DHCP is read once in 30 s, others never", async (t) => {
  const networks = [
    network("front"),
    network("idle", { active: false }),
    network("plain", { dhcp: false }),
    network("silent", { presence: "unknown" }),
  ];
  const { take, pass, addresses } = await watch(t, networks, {
    front: [lease("52:54:00:AA:00:01", "192.0.2.7"), { mac: null, ipaddr: "fd00::7" }],
  });
  assert.deepEqual(take(), ["front"]);
  assert.deepEqual(addresses(), ["front 52:54:00:aa:00:01 192.0.2.7"]);
  await pass(29);
  assert.deepEqual(take(), []);
  await pass(61);
  assert.deepEqual(take(), ["front", "front", "front"]);
});

test("after a guest's start the leases are read every 5 s for a minute, however many start", async (t) => {
  const { take, pass, started } = await watch(t, [network("front")], {});
  await pass(3);
  take();
  for (let start = 0; start < 100; start += 1) await started();
  assert.deepEqual(take(), []);
  await pass(2);
  assert.deepEqual(take(), ["front"]);
  await pass(55);
  assert.equal(take().length, 11);
  await pass(25);
  assert.equal(take().length, 0);
});

test("a lease ends when it expires, without another read; one without an end stays", async (t) => {
  const { addresses, pass, take } = await watch(t, [network("front")], {
    front: [lease("52:54:00:00:00:01", "192.0.2.1", 12), lease("52:54:00:00:00:02", "192.0.2.2", 0)],
  });
  assert.equal(addresses().length, 2);
  take();
  await pass(11);
  assert.equal(addresses().length, 2);
  await pass(2);
  assert.deepEqual(addresses(), ["front 52:54:00:00:00:02 192.0.2.2"]);
  assert.deepEqual(take(), []);
});

test("a network that hangs or refuses costs only itself; one that hung is skipped for ten minutes", async (t) => {
  const answers: Record<string, Answer> = {
    hung: [lease("52:54:00:00:00:01", "192.0.2.1")],
    refusing: [lease("52:54:00:00:00:02", "192.0.2.2")],
    well: [lease("52:54:00:00:00:03", "192.0.2.3")],
  };
  const networks = Object.keys(answers).map((name) => network(name));
  const { addresses, pass, take } = await watch(t, networks, answers);
  assert.equal(addresses().length, 3);
  answers["hung"] = new LibvirtError("timeout", "LIBVIRT_TIMEOUT", "no answer");
  answers["refusing"] = new LibvirtError("conflict", "LIBVIRT_OPERATION_INVALID", "network is not active");
  await pass(30);
  assert.deepEqual(addresses().sort(), [
    "hung 52:54:00:00:00:01 192.0.2.1",
    "well 52:54:00:00:00:03 192.0.2.3",
  ]);
  take();
  await pass(120);
  assert.deepEqual([...new Set(take())].sort(), ["refusing", "well"]);
  answers["hung"] = [];
  await pass(600);
  assert.ok(take().includes("hung"));
  assert.deepEqual(addresses(), ["well 52:54:00:00:00:03 192.0.2.3"]);
});

test("without libvirt nothing is read and the leases stay; a network that is gone has none", async (t) => {
  const networks = [network("front"), network("back")];
  const { addresses, status, pass, take } = await watch(t, networks, {
    front: [lease("52:54:00:00:00:01", "192.0.2.1")],
    back: [lease("52:54:00:00:00:02", "192.0.2.2")],
  });
  status.connected = false;
  take();
  await pass(40);
  assert.deepEqual([take(), addresses().length], [[], 2]);
  status.connected = true;
  networks.pop();
  await pass(2);
  assert.deepEqual(addresses(), ["front 52:54:00:00:00:01 192.0.2.1"]);
});
