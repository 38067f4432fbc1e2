import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Libvirt } from "../../../../agent/libvirt/client/client.ts";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import { eventually, within } from "../../../support/wait.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import {
  connect,
  dom,
  itemsOf,
  listener,
  passRetries,
  quick,
  reason,
  register,
  replyHostname,
  values,
} from "../../../support/libvirt/client-stage.ts";
import { encoded, FakeDaemon, type Received } from "../../../support/libvirt/fake-daemon.ts";

describe("connecting", () => {
  it("asks AUTH_LIST first, then opens the URI, on three connections", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    assert.equal(libvirt.status.connected && libvirt.status.libVersion, 11_003_000);
    assert.equal(libvirt.status.connected && libvirt.status.hypervisorVersion, 10_000_000);
    assert.equal(daemon.clients.length, 3);
    for (const client of daemon.clients) {
      assert.deepEqual(
        client.received.slice(0, 2).map(({ procedure }) => procedure),
        [66, 1],
      );
      assert.deepEqual(client.received[1]?.args(p.connectOpen), { name: "qemu:///system", flags: 0 });
    }
  });

  it("authenticates through polkit where the daemon requires it", async (t) => {
    const daemon = await FakeDaemon.start(t);
    daemon.on(p.authList, (call) => call.reply(encoded(p.authList.result, { types: [p.AuthType.POLKIT] })));
    daemon.on(p.authPolkit, (call) => call.reply(encoded(p.authPolkit.result, { complete: 1 })));
    await connect(t, daemon);
    assert.deepEqual(
      daemon.clients[0]?.received.slice(0, 3).map(({ procedure }) => procedure),
      [66, 70, 1],
    );
    daemon.on(p.authPolkit, (call) => call.fail(79, "authentication cancelled: no agent"));
    assert.equal(
      await Libvirt.connect({ ...quick, uri: daemon.uri }).catch(reason),
      "denied LIBVIRT_AUTH_CANCELLED",
    );
  });

  const refusals: readonly [string, (daemon: FakeDaemon) => void, string, connectTimeoutMs?: number][] = [
    [
      "a daemon with only SASL",
      (daemon) =>
        daemon.on(p.authList, (call) => call.reply(encoded(p.authList.result, { types: [p.AuthType.SASL] }))),
      "unsupported LIBVIRT_AUTH_UNSUPPORTED",
    ],
    ["a libvirt older than 7.0", (daemon) => daemon.libVersion(6_010_000), "unsupported LIBVIRT_TOO_OLD"],
    [
      "a missing driver",
      (daemon) => daemon.on(p.connectOpen, (call) => call.fail(5)),
      "unavailable LIBVIRT_NO_CONNECT",
    ],
    [
      "a silent daemon",
      (daemon) => daemon.on(p.authList, () => undefined),
      "unavailable LIBVIRT_UNRESPONSIVE",
      100,
    ],
  ];
  for (const [name, arrange, expected, connectTimeoutMs = 60_000] of refusals) {
    it(`refuses ${name}, and leaves no connection behind`, async (t) => {
      const daemon = await FakeDaemon.start(t);
      arrange(daemon);
      assert.equal(
        await Libvirt.connect({ ...quick, uri: daemon.uri, connectTimeoutMs }).catch(reason),
        expected,
      );
      await eventually(() => daemon.open.length === 0, { what: "the connections to end" });
    });
  }

  it("is ready after a failed first attempt, reports its cause, and connects once libvirt is available", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "socle-fake-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const socketPath = join(directory, "libvirt-sock");
    const clock = new FakeClock();
    const libvirt = new Libvirt({ ...quick, uri: `qemu:///system?socket=${socketPath}`, clock });
    const changes = itemsOf(t, libvirt.changes);
    const stop = new AbortController();
    const attempts: string[] = [];
    const run = libvirt.run(stop.signal, () => attempts.push("ended"));
    await eventually(() => attempts.length === 1, { what: "the first attempt to end" });
    const { status } = libvirt;
    assert.ok(!status.connected);
    assert.match(String(status.error), /tried .*libvirt-sock/);
    const read = libvirt.call(p.connectGetHostname, {}).catch(reason);
    await passRetries(clock);
    assert.equal(await read, "unavailable LIBVIRT_SOCKET_MISSING");

    await FakeDaemon.start(t, { socketPath });
    await eventually(() => {
      clock.advance(20);
      return libvirt.status.connected;
    });
    assert.deepEqual(values(changes), [{ kind: "connected" }]);
    stop.abort();
    await within(run, 60_000, "the client to stop");
    assert.equal(libvirt.status.connected, false);
    assert.equal(await libvirt.call(p.connectGetHostname, {}).catch(reason), "unavailable LIBVIRT_CLOSED");
  });

  it("refuses a URI of another host at construction", () => {
    for (const uri of ["qemu+tcp:///system", "qemu+ssh://host/system", "qemu://host/system"]) {
      assert.throws(
        () => new Libvirt({ ...quick, uri }),
        (error) => reason(error) === "unsupported LIBVIRT_TRANSPORT_UNSUPPORTED",
      );
    }
  });
});

it("passes on libvirt's refusal after its own 30 s of waiting for a guest", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const clock = new FakeClock();
  const libvirt = await connect(t, daemon, { clock });
  const calls: Received[] = [];
  daemon.on(p.domainManagedSave, (call) => calls.push(call));
  const saved = libvirt.call(p.domainManagedSave, { dom, flags: 0 }).catch(reason);
  const call = await eventually(() => calls[0]);
  clock.advance(30_000);
  call.fail(68, "cannot acquire state change lock");
  assert.equal(await saved, "timeout LIBVIRT_OPERATION_TIMEOUT");
});

describe("a lost connection", () => {
  for (const lane of ["command", "observation", "events"] as const) {
    it(`of the ${lane} lane alone is noticed and replaced`, async (t) => {
      const daemon = await FakeDaemon.start(t);
      const libvirt = await connect(t, daemon);
      daemon.on(p.connectGetHostname, (call) => replyHostname(call));
      const changes = itemsOf(t, libvirt.changes);
      const events = itemsOf(t, libvirt.events);
      if (lane !== "events") await libvirt.call(p.connectGetHostname, {}, { lane });
      const registrations = (): number => daemon.clients.flatMap((client) => client.callsOf(register)).length;
      const registered = registrations();
      const victim =
        lane === "events"
          ? await listener(daemon)
          : daemon.open.find((client) => client.callsOf(p.connectGetHostname.number).length > 0);
      victim?.socket.destroy();
      await eventually(() => values(changes).length === 2, { what: "the loss and its repair" });
      assert.deepEqual(
        values(changes).map(({ kind }) => kind),
        ["disconnected", "connected"],
      );
      assert.equal(daemon.open.length, 3);
      if (lane !== "events") {
        await libvirt.call(p.connectGetHostname, {}, { lane });
        assert.deepEqual(values(events), []);
      } else {
        assert.equal(registrations(), registered * 2, "events are registered again");
        assert.deepEqual(values(events), [{ kind: "resync", family: "hypervisor", reason: "reconnected" }]);
        (await listener(daemon)).event(p.domainEventCallbackReboot, { callbackId: 1, dom });
        await eventually(() => values(events).some(({ kind }) => kind === "reboot"));
      }
    });
  }

  it("of the lane for calls that take hours delays no command and affects no other lane", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const wiped: Received[] = [];
    daemon.on(p.storageVolWipePattern, (call) => wiped.push(call));
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    const libvirt = await connect(t, daemon);
    const changes = itemsOf(t, libvirt.changes);
    const wipe = { vol: { pool: "p", name: "v", key: "k" }, algorithm: 0, flags: 0 };
    const slow = { lane: "slow", timeoutMs: 120_000 } as const;
    const wiping = Array.from({ length: 8 }, () =>
      libvirt.call(p.storageVolWipePattern, wipe, slow).catch(reason),
    );
    await eventually(() => wiped.length === 4);
    assert.equal(daemon.open.length, 4);
    await libvirt.call(p.connectGetHostname, {});
    wiped[0]?.client.socket.destroy();
    const ends = await Promise.all(wiping);
    assert.equal(ends.filter((end) => end === "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN").length, 4);
    assert.ok(libvirt.status.connected);
    await eventually(() => daemon.open.length === 4, { what: "the lane to be opened again" });
    assert.deepEqual(values(changes), []);
  });

  it("of the whole daemon fails open calls, and ends when the daemon is back", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const start = libvirt.call(p.domainCreateWithFlags, { dom, flags: 0 }).catch(reason);
    const read = libvirt.call(p.connectGetHostname, {}, { lane: "observation" }).catch(reason);
    for (const { number } of [p.domainCreateWithFlags, p.connectGetHostname]) {
      await eventually(() => daemon.clients.some((client) => client.callsOf(number).length > 0));
    }
    await daemon.refuseClients();
    assert.equal(await start, "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN");
    assert.equal(await read, "unavailable LIBVIRT_DISCONNECTED");
    await eventually(() => !libvirt.status.connected);
    assert.match(
      await libvirt.call(p.domainCreateWithFlags, { dom, flags: 0 }).then(() => "answered", reason),
      /^unavailable /,
    );
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    await daemon.listen();
    await eventually(() => libvirt.status.connected);
    assert.deepEqual(await libvirt.call(p.connectGetHostname, {}), { hostname: "host" });
  });

  it("during a daemon's restart repeats a command's read; another one's fails at once", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const read = libvirt.call(p.connectGetHostname, {});
    const observed = libvirt.call(p.connectGetHostname, {}, { lane: "observation" }).catch(reason);
    await eventually(
      () => daemon.clients.flatMap((each) => each.callsOf(p.connectGetHostname.number)).length === 2,
    );
    await daemon.refuseClients();
    assert.equal(await observed, "unavailable LIBVIRT_DISCONNECTED");
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    await daemon.listen();
    assert.deepEqual(await read, { hostname: "host" });
  });

  it("that lasts fails a command's read at its deadline", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const clock = new FakeClock();
    const libvirt = await connect(t, daemon, { clock });
    const read = libvirt.call(p.connectGetHostname, {}, { timeoutMs: 400 }).catch(reason);
    await daemon.refuseClients();
    await passRetries(clock, 400);
    assert.match(await read.then(String), /^unavailable LIBVIRT_(DISCONNECTED|SOCKET_MISSING)$/);
  });

  it("does not follow from calls that hang: the connection is replaced and other calls go on", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    const changes = itemsOf(t, libvirt.changes);
    const hung = Array.from({ length: 4 }, () =>
      libvirt.call(p.domainGetInfo, { dom }, { timeoutMs: 50 }).catch(reason),
    );
    const behind = Array.from({ length: 20 }, () =>
      libvirt.call(p.connectGetHostname, {}, { timeoutMs: 60_000 }),
    );
    assert.deepEqual(await Promise.all(hung), Array(4).fill("timeout LIBVIRT_TIMEOUT"));
    await within(Promise.all(behind), 60_000, "the calls behind the hung ones");
    assert.deepEqual(values(changes), []);
    await eventually(() => daemon.open.length === 3, { what: "the worn connection to close" });
  });
});

describe("events", () => {
  it("are decoded into their meaning", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const events = itemsOf(t, libvirt.events);
    const client = await listener(daemon);
    const pool: p.StoragePool = { name: "pool", uuid: dom.uuid };
    client.event(p.domainEventCallbackLifecycle, { callbackId: 1, dom, event: 5, detail: 1 });
    client.event(p.domainEventCallbackLifecycle, { callbackId: 1, dom, event: 99, detail: 1 });
    client.event(p.domainEventCallbackLifecycle, { callbackId: 1, dom, event: 2, detail: 99 });
    client.event(p.domainEventCallbackIoErrorReason, {
      callbackId: 1,
      dom,
      srcPath: "/d",
      devAlias: "disk0",
      action: 1,
      reason: "enospc",
    });
    client.event(p.domainEventCallbackBalloonChange, { callbackId: 1, dom, actual: 1024 });
    client.event(p.domainEventBlockJob2, { callbackId: 1, dom, dst: "vda", type: 2, status: 3 });
    client.event(p.domainEventCallbackAgentLifecycle, { callbackId: 1, dom, state: 1, reason: 2 });
    client.event(p.domainEventMemoryFailure, { callbackId: 1, dom, recipient: 1, action: 2, flags: 1 });
    client.event(p.domainEventCallbackMetadataChange, { callbackId: 1, dom, type: 2, nsuri: "urn:x" });
    client.event(p.storagePoolEventLifecycle, { callbackId: 1, pool, event: 2, detail: 0 });
    client.event(p.storagePoolEventRefresh, { callbackId: 1, pool });
    client.event(p.domainEventCallbackRtcChange, { callbackId: 1, dom, offset: 0 });
    client.event(p.secretEventLifecycle, {
      callbackId: 1,
      secret: { uuid: dom.uuid, usageType: 0, usageId: "" },
      event: 0,
      detail: 0,
    });
    await eventually(() => events.length >= 12);
    assert.deepEqual(values(events), [
      { kind: "lifecycle", domain: dom, event: "stopped", detail: "destroyed" },
      { kind: "lifecycle", domain: dom, event: "unknown", detail: "unknown" },
      { kind: "lifecycle", domain: dom, event: "started", detail: "unknown" },
      { kind: "io_error", domain: dom, path: "/d", device: "disk0", action: "pause", reason: "enospc" },
      { kind: "balloon_change", domain: dom, memoryBytes: 1024 * 1024 },
      { kind: "block_job", domain: dom, disk: "vda", job: "copy", status: "ready" },
      { kind: "agent_lifecycle", domain: dom, state: "connected", reason: "channel" },
      {
        kind: "memory_failure",
        domain: dom,
        recipient: "guest",
        action: "fatal",
        actionRequired: true,
        recursive: false,
      },
      { kind: "metadata_change", domain: dom, part: "element", namespace: "urn:x" },
      { kind: "storage_pool", pool, event: "started" },
      { kind: "storage_pool", pool, event: "refreshed" },
      { kind: "secret", secret: { uuid: dom.uuid, usageType: 0, usageId: "" }, event: "defined" },
    ]);
  });

  it("that cannot be decoded become a resync, and the connection stays", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const events = itemsOf(t, libvirt.events);
    const client = await listener(daemon);
    client.event(
      { ...p.domainEventCallbackReboot, body: p.connectGetHostname.result },
      { hostname: "no domain" },
    );
    client.event(p.domainEventCallbackReboot, { callbackId: 1, dom });
    await eventually(() => events.length === 2);
    assert.deepEqual(
      values(events).map(({ kind }) => kind),
      ["resync", "reboot"],
    );
  });

  it("that a slow subscriber cannot hold become a logged overflow", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const stop = new AbortController();
    const queue = libvirt.events.subscribe(stop.signal, 10);
    const fast = itemsOf(t, libvirt.events);
    const client = await listener(daemon);
    for (let i = 0; i < 25; i += 1) client.event(p.domainEventCallbackReboot, { callbackId: 1, dom });
    await eventually(() => fast.length === 25);
    stop.abort();
    const first = await queue[Symbol.asyncIterator]().next();
    assert.deepEqual(first.value, { kind: "overflow", dropped: 20 });
  });

  it("that the daemon or driver does not know are left out; the rest is registered", async (t) => {
    const daemon = await FakeDaemon.start(t);
    daemon.on(p.connectSecretEventRegisterAny, (call) => call.fail(3, "no support"));
    daemon.on(p.connectNodeDeviceEventRegisterAny, (call) => call.fail(39, "unknown procedure"));
    const libvirt = await connect(t, daemon);
    const events = itemsOf(t, libvirt.events);
    (await listener(daemon)).event(p.domainEventCallbackReboot, { callbackId: 1, dom });
    await eventually(() => events.length === 1);
  });
});

it("counts its calls by outcome, the open ones and their durations", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const libvirt = await connect(t, daemon);
  daemon.on(p.connectGetHostname, (call) => replyHostname(call));
  daemon.on(p.domainGetXmlDesc, (call) => call.fail(42));
  await libvirt.call(p.connectGetHostname, {});
  await assert.rejects(libvirt.call(p.domainGetXmlDesc, { dom, flags: 0 }));
  const silent = libvirt.call(p.connectGetType, {}, { timeoutMs: 20 });
  assert.equal(libvirt.calls.pending, 1);
  await assert.rejects(silent);
  const { byOutcome, pending, durations } = libvirt.calls;
  assert.deepEqual(
    Object.entries(byOutcome).filter(([, count]) => count > 0),
    [
      ["ok", 1],
      ["refused", 1],
      ["timeout", 1],
    ],
  );
  assert.equal(pending, 0);
  assert.equal(
    durations.counts.reduce((sum, count) => sum + count, 0),
    3,
  );
  assert.ok(durations.sumSeconds >= 0.02);
  assert.equal(libvirt.reconnects, 0);
  daemon.dropAll();
  await eventually(() => libvirt.reconnects === 1 && libvirt.status.connected);
});
