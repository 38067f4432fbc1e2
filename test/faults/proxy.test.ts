import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, suite, test } from "node:test";
import { silentLog } from "../../agent/kernel/log.ts";
import {
  connectGetAllDomainStats,
  connectGetHostname,
  connectGetLibVersion,
  domainDefineXmlFlags,
  domainEvents,
  domainUndefineFlags,
  Libvirt,
  type LibvirtEvent,
} from "../../agent/libvirt/index.ts";
import { guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { FaultProxy } from "./proxy.ts";

suite("the fault proxy before a real libvirtd", { skip: libvirtdUnavailable(), timeout: 120_000 }, () => {
  let libvirtd: Libvirtd;
  let proxy: FaultProxy;
  let libvirt: Libvirt;
  const xml = guestXml({
    name: "proxied",
    uuid: "c0ffee00-0000-4000-8000-000000000001",
    boot: { bootSector: "/nowhere" },
  });
  const define = (): Promise<unknown> => libvirt.call(domainDefineXmlFlags, { xml, flags: 0 });
  const names = (): Promise<string> => virsh(libvirtd.uri, ["list", "--all", "--name"]);
  const connected = (): Promise<unknown> =>
    eventually(() => libvirt.status.connected, { what: "the client to be connected" });

  before(async () => {
    libvirtd = await Libvirtd.start();
    const socketPath = join(libvirtd.directory, "proxy.sock");
    proxy = await FaultProxy.start({ socketPath, daemonPath: libvirtd.socketPath, maxRequests: 5 });
    const backoff = { baseMs: 20, capMs: 100 };
    libvirt = await Libvirt.connect({ uri: proxy.uri, log: silentLog, callTimeoutMs: 1000, backoff });
  });
  after(async () => {
    await libvirt.close();
    await proxy.stop();
    await libvirtd.stop();
  });
  afterEach(async () => {
    proxy.removeAll();
    await connected();
    const there = await names();
    if (there !== "") await virsh(libvirtd.uri, ["undefine", there]);
  });

  test("a proxy without rules is transparent, for virsh too", async () => {
    await define();
    assert.equal(await virsh(proxy.uri, ["list", "--all", "--name"]), "proxied");
  });

  test("a refused, a hung and a cut call have no effect", async () => {
    const refuse = proxy.add({
      procedure: domainDefineXmlFlags,
      fault: { kind: "refuse", code: 1 },
      times: 1,
    });
    await assert.rejects(define(), { kind: "internal", reason: "LIBVIRT_INTERNAL_ERROR" });
    assert.equal(refuse.struck, 1);
    proxy.add({ procedure: domainDefineXmlFlags, fault: { kind: "hang" }, times: 1 });
    await assert.rejects(define(), { kind: "outcome_unknown" });
    proxy.add({ procedure: domainDefineXmlFlags, fault: { kind: "cut_call" }, times: 1 });
    await assert.rejects(define(), { kind: "outcome_unknown" });
    assert.equal(await names(), "");
  });

  for (const kind of ["drop_reply", "cut_reply", "garble_reply"] as const) {
    test(`${kind}: the effect happened, the reply is lost`, async () => {
      proxy.add({ procedure: domainDefineXmlFlags, fault: { kind }, times: 1 });
      await assert.rejects(define(), { kind: "outcome_unknown" });
      assert.equal(await names(), "proxied");
    });
  }

  test("a delayed call takes effect after its caller disconnected", async () => {
    const short = await Libvirt.connect({ uri: proxy.uri, log: silentLog });
    let letThrough = (): void => undefined;
    const until = new Promise<void>((resolve) => {
      letThrough = resolve;
    });
    proxy.add({ procedure: domainDefineXmlFlags, fault: { kind: "delay", ms: 0, until }, times: 1 });
    const lost = short.call(domainDefineXmlFlags, { xml, flags: 0 }, { timeoutMs: 50 });
    await assert.rejects(lost, { kind: "outcome_unknown" });
    await short.close();
    assert.equal(await names(), "");
    assert.equal(proxy.held, 1);
    letThrough();
    await eventually(async () => (await names()) === "proxied", { what: "the late effect" });
  });

  test("a delayed reply delays only its own lane", async () => {
    proxy.add({
      procedure: connectGetLibVersion,
      lane: "observation",
      fault: { kind: "delay_reply", ms: 300 },
    });
    // This call distinguishes the observation's connection.
    await libvirt.call(connectGetAllDomainStats, { doms: [], stats: 0, flags: 0 }, { lane: "observation" });
    const answered: string[] = [];
    const ask = async (lane: "observation" | "command"): Promise<void> => {
      await libvirt.call(connectGetLibVersion, {}, { lane });
      answered.push(lane);
    };
    await Promise.all([ask("observation"), ask("command")]);
    assert.deepEqual(answered, ["command", "observation"]);
  });

  test("a truncated list looks complete", async () => {
    await define();
    const list = async (): Promise<number> =>
      (await libvirt.call(connectGetAllDomainStats, { doms: [], stats: 1, flags: 0 })).retStats.length;
    proxy.add({ procedure: connectGetAllDomainStats, fault: { kind: "truncate", keep: 0 }, times: 1 });
    assert.equal(await list(), 0);
    assert.equal(await list(), 1);
  });

  test("rules skip, count, and notify before and after the effect", async () => {
    const seen: string[] = [];
    proxy.add({
      procedure: domainUndefineFlags,
      fault: { kind: "notify", at: "call", act: async () => void seen.push(`before: ${await names()}`) },
      times: 1,
    });
    const { dom } = await libvirt.call(domainDefineXmlFlags, { xml, flags: 0 });
    await libvirt.call(domainUndefineFlags, { dom, flags: 0 });
    proxy.add({
      procedure: domainUndefineFlags,
      fault: { kind: "notify", at: "reply", act: async () => void seen.push(`after: ${await names()}`) },
      times: 1,
      skip: 1,
    });
    for (let time = 0; time < 2; time += 1) {
      await define();
      await libvirt.call(domainUndefineFlags, { dom, flags: 0 });
    }
    assert.deepEqual(seen, ["before: proxied", "after: "]);
  });

  test("the proxy enforces the daemon's limit of calls, and the client stays below it", async () => {
    proxy.add({ procedure: connectGetHostname, fault: { kind: "delay_reply", ms: 20 } });
    const ask = (urgent: boolean) => libvirt.call(connectGetHostname, {}, { urgent });
    const many = () => Array.from({ length: 40 }, () => ask(false));
    proxy.statistics.mostInFlight = 0;
    await Promise.all(many());
    assert.equal(proxy.statistics.mostInFlight, 3, "one slot is reserved for urgent calls");
    await Promise.all([...many(), ask(true)]);
    assert.equal(proxy.statistics.mostInFlight, 4);
  });

  test("a flood of events is delivered or reported as lost, and the connections survive", async () => {
    const end = new AbortController();
    let events = 0;
    const following = (async () => {
      for await (const item of libvirt.events.subscribe(end.signal, 100)) {
        if (item.kind === "overflow") events += item.dropped;
        else if (isFlood(item.value)) events += 1;
      }
    })();
    const { connections } = proxy.statistics;
    const dom = { name: "ghost", uuid: "00000000-0000-4000-8000-000000000001", id: -1 };
    proxy.flood(domainEvents.reboot.event, { callbackId: 1, dom }, 20_000);
    await eventually(() => events >= 20_000, { what: "20,000 events" });
    end.abort();
    await following;
    assert.equal(proxy.statistics.connections, connections);
  });

  test("dropped connections are opened again", async () => {
    const before = proxy.statistics.connections;
    proxy.drop();
    await eventually(() => proxy.statistics.connections === before + 3, { what: "three new connections" });
    await connected();
    await define();
  });
});

const isFlood = (event: LibvirtEvent): boolean => event.kind === "reboot";
