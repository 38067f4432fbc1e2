import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { LibvirtError, type LibvirtErrorKind } from "../../../../agent/libvirt/index.ts";
import { Connection, type ConnectionOptions } from "../../../../agent/libvirt/rpc/connection.ts";
import { OutcomeUnknown, unreachable } from "../../../../agent/libvirt/rpc/errors.ts";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { eventually, within } from "../../../support/wait.ts";
import {
  encoded,
  FakeDaemon,
  frame,
  KEEPALIVE,
  type Client,
  type Received,
} from "../../../support/libvirt/fake-daemon.ts";

const dom: p.Domain = { name: "vm", uuid: "00112233-4455-6677-8899-aabbccddeeff", id: 1 };
const patient = { timeoutMs: 60_000 };

async function connected(
  t: TestContext,
  options: Partial<ConnectionOptions> = {},
): Promise<{ daemon: FakeDaemon; connection: Connection; client: Client }> {
  const daemon = await FakeDaemon.start(t);
  const connection = await Connection.open(
    { socketPath: daemon.socketPath, clock: systemClock, maxInFlight: 4, maxQueued: 100, ...options },
    new AbortController().signal,
  );
  t.after(() => connection.close(unreachable("CLOSED", "the test is over")));
  const client = await eventually(() => daemon.clients[0], { what: "the client to arrive" });
  return { daemon, connection, client };
}

function is(kind: LibvirtErrorKind, reason?: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof LibvirtError, String(error));
    assert.equal(error.kind, kind, error.message);
    if (reason !== undefined) assert.equal(error.reason, reason);
    return true;
  };
}

function hostname(
  connection: Connection,
  options: { timeoutMs: number; signal?: AbortSignal } = patient,
): Promise<string> {
  return connection.call(p.connectGetHostname, {}, options).then((result) => result.hostname);
}

function replyHostname(call: Received, name = "host"): void {
  call.reply(encoded(p.connectGetHostname.result, { hostname: name }));
}

describe("calls", () => {
  it("are matched to their replies by serial, in any order", async (t) => {
    const { connection, client } = await connected(t);
    const results = Promise.all(["a", "b", "c"].map(() => hostname(connection)));
    const calls = await eventually(() => client.received.length === 3 && client.received);
    for (const [i, call] of [...calls.entries()].reverse()) replyHostname(call, `host-${i}`);
    assert.deepEqual(await results, ["host-0", "host-1", "host-2"]);
  });

  it("carry their arguments", async (t) => {
    const { connection, client, daemon } = await connected(t);
    daemon.on(p.domainGetXmlDesc, (call) =>
      call.reply(encoded(p.domainGetXmlDesc.result, { xml: "<domain/>" })),
    );
    assert.deepEqual(await connection.call(p.domainGetXmlDesc, { dom, flags: 3 }, patient), {
      xml: "<domain/>",
    });
    assert.deepEqual(client.received[0]?.args(p.domainGetXmlDesc), { dom, flags: 3 });
  });

  it("are sent up to maxInFlight, and others wait in order", async (t) => {
    const { connection, client, daemon } = await connected(t);
    let most = 0;
    let answered = 0;
    daemon.on(p.connectGetHostname, (call) => {
      most = Math.max(most, client.received.length - answered);
      setImmediate(() => {
        answered += 1;
        replyHostname(call, String(answered));
      });
    });
    const results = await Promise.all(Array.from({ length: 50 }, () => hostname(connection)));
    assert.equal(most, 4);
    assert.deepEqual(
      results,
      Array.from({ length: 50 }, (_, i) => String(i + 1)),
    );
  });

  it("beyond the queue's bound are refused, and take no place", async (t) => {
    const { connection, client, daemon } = await connected(t, { maxQueued: 2 });
    const accepted = Array.from({ length: 6 }, () => hostname(connection));
    await assert.rejects(hostname(connection), is("exhausted", "LIBVIRT_QUEUE_FULL"));
    const first = await eventually(() => client.received.length === 4 && client.received.slice());
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    for (const call of first) replyHostname(call);
    assert.equal((await within(Promise.all(accepted), 60_000, "the calls")).length, 6);
  });

  it("whose arguments cannot be encoded fail alone, with the field's name", async (t) => {
    const { connection, daemon } = await connected(t);
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    const bad = connection.call(p.domainGetXmlDesc, { dom: { ...dom, uuid: "x" }, flags: 0 }, patient);
    await assert.rejects(bad, (error: unknown) => {
      is("invalid", "LIBVIRT_BAD_ARGUMENT")(error);
      assert.ok(error instanceof LibvirtError && error.details.fields?.["dom.uuid"] !== undefined);
      return true;
    });
    assert.equal(await hostname(connection), "host");
  });

  it("may share one signal by the thousand", async (t) => {
    const { connection, daemon } = await connected(t, { maxQueued: 2000 });
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on("warning", onWarning);
    t.after(() => process.off("warning", onWarning));
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 1000 }, () => hostname(connection, { timeoutMs: 60_000, signal })),
    );
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, []);
  });
});

describe("a call without a reply before its deadline", () => {
  it("is a timeout if it only reads; its late reply is dropped and the connection goes on", async (t) => {
    const { connection, client, daemon } = await connected(t);
    await assert.rejects(hostname(connection, { timeoutMs: 20 }), is("timeout", "LIBVIRT_TIMEOUT"));
    const late = await eventually(() => client.received[0]);
    daemon.on(p.connectGetHostname, (call) => {
      replyHostname(late, "late");
      replyHostname(call, "in time");
    });
    assert.equal(await hostname(connection), "in time");
    // One late reply was due; a second reply to the same call is a protocol error.
    await assert.rejects(hostname(connection), is("unavailable", "LIBVIRT_PROTOCOL_ERROR"));
  });

  it("is an unknown outcome if it has effects", async (t) => {
    const { connection } = await connected(t);
    const start = connection.call(p.domainCreateWithFlags, { dom, flags: 0 }, { timeoutMs: 20 });
    await assert.rejects(start, is("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN"));
  });

  it("with an unknown outcome reports its late reply, or that none will come", async (t) => {
    const { connection, client } = await connected(t);
    const giveUp = async (): Promise<OutcomeUnknown> => {
      const start = connection.call(p.domainCreateWithFlags, { dom, flags: 0 }, { timeoutMs: 20 });
      const lost: unknown = await start.catch((thrown: unknown) => thrown);
      assert.ok(lost instanceof OutcomeUnknown);
      return lost;
    };
    const done = await giveUp();
    const first = await eventually(() => client.received[0]);
    first.reply(encoded(p.domainCreateWithFlags.result, { dom }));
    assert.deepEqual(await done.reply, { kind: "done" });
    const refused = await giveUp();
    const second = await eventually(() => client.received[1]);
    second.fail(55, "already running");
    const reply = await refused.reply;
    assert.equal(reply.kind === "refused" && reply.error.reason, "LIBVIRT_OPERATION_INVALID");
    const never = await giveUp();
    client.socket.destroy();
    assert.deepEqual(await never.reply, { kind: "none" });
  });

  it("is a timeout if it was not sent, even with effects, and is not sent later", async (t) => {
    const { connection, client, daemon } = await connected(t, { maxInFlight: 1 });
    const first = hostname(connection);
    const start = connection.call(p.domainCreateWithFlags, { dom, flags: 0 }, { timeoutMs: 20 });
    await assert.rejects(start, is("timeout", "LIBVIRT_TIMEOUT"));
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    replyHostname(await eventually(() => client.received[0]));
    await first;
    await hostname(connection);
    assert.deepEqual(client.callsOf(p.domainCreateWithFlags.number), []);
  });

  it("is cancelled by its caller's signal, unless it has effects and was sent", async (t) => {
    const { connection } = await connected(t);
    const stop = new AbortController();
    const read = hostname(connection, { timeoutMs: 60_000, signal: stop.signal });
    const change = connection.call(
      p.domainCreateWithFlags,
      { dom, flags: 0 },
      { timeoutMs: 60_000, signal: stop.signal },
    );
    stop.abort();
    await assert.rejects(read, is("cancelled"));
    await assert.rejects(change, is("outcome_unknown"));
    await assert.rejects(hostname(connection, { timeoutMs: 60_000, signal: stop.signal }), is("cancelled"));
  });

  it("releases its place with its late reply: no number of them makes the connection worn", async (t) => {
    const { connection, client, daemon } = await connected(t);
    daemon.on(p.connectGetUri, (call) => call.reply(encoded(p.connectGetUri.result, { uri: "" })));
    for (let rounds = 1; rounds <= 4; rounds += 1) {
      await assert.rejects(hostname(connection, { timeoutMs: 10 }), is("timeout"));
      const late = await eventually(() => client.callsOf(p.connectGetHostname.number)[rounds - 1]);
      replyHostname(late);
      await connection.call(p.connectGetUri, {}, patient);
    }
    const state = await Promise.race([connection.worn.then(() => "worn"), Promise.resolve("fresh")]);
    assert.equal(state, "fresh");
  });

  it("keeps its place; with half of the places held like this, the connection is worn and sends nothing new", async (t) => {
    const { connection, client, daemon } = await connected(t);
    const slow = hostname(connection);
    await assert.rejects(hostname(connection, { timeoutMs: 20 }));
    await assert.rejects(hostname(connection, { timeoutMs: 20 }));
    await within(connection.worn, 60_000, "the connection to be worn");
    daemon.on(p.connectGetHostname, (call) => replyHostname(call, "moved"));
    const next = hostname(connection);

    const other = await Connection.open(
      { socketPath: daemon.socketPath, clock: systemClock, maxInFlight: 4, maxQueued: 100 },
      new AbortController().signal,
    );
    t.after(() => other.close(unreachable("CLOSED", "the test is over")));
    for (const call of connection.retire()) other.submit(call);
    assert.equal(await next, "moved");
    assert.equal(client.received.length, 3, "the worn connection wrote nothing new");
    assert.equal(connection.isClosed, false, "a live call is still open");
    const first = client.received[0];
    assert.ok(first);
    replyHostname(first, "slow");
    assert.equal(await slow, "slow");
    assert.equal((await connection.closed).reason, "LIBVIRT_CLOSED");
  });
});

describe("the end of the connection", () => {
  it("fails every call: unknown if it has effects and was sent, unavailable otherwise", async (t) => {
    const { connection, client } = await connected(t, { maxInFlight: 2 });
    const read = hostname(connection);
    const change = connection.call(p.domainCreateWithFlags, { dom, flags: 0 }, patient);
    const unsent = connection.call(p.domainDestroyFlags, { dom, flags: 0 }, patient);
    await eventually(() => client.received.length === 2);
    client.socket.destroy();
    await assert.rejects(read, is("unavailable", "LIBVIRT_DISCONNECTED"));
    await assert.rejects(change, is("outcome_unknown"));
    await assert.rejects(unsent, is("unavailable", "LIBVIRT_DISCONNECTED"));
    await assert.rejects(hostname(connection), is("unavailable", "LIBVIRT_DISCONNECTED"));
  });

  it("follows a frame that is cut in the middle", async (t) => {
    const { connection, client } = await connected(t);
    const read = hostname(connection);
    const call = await eventually(() => client.received[0]);
    client.send(call.replyFrame(encoded(p.connectGetHostname.result, { hostname: "host" })).subarray(0, 33));
    client.socket.end();
    await assert.rejects(read, is("unavailable", "LIBVIRT_DISCONNECTED"));
  });

  const violations: readonly [string, (call: Received) => Buffer][] = [
    [
      "an invalid length",
      (call) => frame({ procedure: call.procedure, type: 1, serial: call.serial, length: 5 }),
    ],
    [
      "a reply without a call",
      (call) => frame({ procedure: call.procedure, type: 1, serial: call.serial + 9 }),
    ],
    ["a reply of another procedure", (call) => frame({ procedure: 14, type: 1, serial: call.serial })],
    [
      "a reply of another program",
      (call) => frame({ program: 0x20008087, procedure: call.procedure, type: 1, serial: call.serial }),
    ],
    [
      "a reply to be continued",
      (call) => frame({ procedure: call.procedure, type: 1, serial: call.serial, status: 2 }),
    ],
    [
      "more descriptors than libvirt sends",
      (call) =>
        frame({ procedure: call.procedure, type: 5, serial: call.serial }, Buffer.from([0, 0, 0, 33])),
    ],
    ["bytes that are no frame", () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ];
  for (const [name, violation] of violations) {
    it(`follows ${name}`, async (t) => {
      const { connection, client } = await connected(t);
      const read = hostname(connection);
      client.send(violation(await eventually(() => client.received[0])));
      await assert.rejects(read, is("unavailable", "LIBVIRT_PROTOCOL_ERROR"));
      assert.equal((await connection.closed).reason, "LIBVIRT_PROTOCOL_ERROR");
    });
  }

  it("may be larger than one read, and cannot be decoded for as many reasons then", async (t) => {
    const { connection, daemon } = await connected(t);
    const domains = Array.from({ length: 10_000 }, (_, id) => ({ ...dom, id }));
    const whole = encoded(p.connectListAllDomains.result, { domains, ret: domains.length });
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    daemon.on(p.connectListAllDomains, (call) => call.reply(whole));
    const list = (): Promise<{ domains: readonly p.Domain[] }> =>
      connection.call(p.connectListAllDomains, { needResults: true, flags: 0 }, patient);
    assert.deepEqual((await list()).domains, domains);
    for (const body of [whole.subarray(0, -4), Buffer.concat([whole, Buffer.alloc(4)])]) {
      daemon.on(p.connectListAllDomains, (call) => call.reply(body));
      await assert.rejects(list(), is("internal", "LIBVIRT_BAD_REPLY"));
    }
    assert.equal(await hostname(connection), "host");
  });

  it("does not follow a body that cannot be decoded, which fails its call", async (t) => {
    const { connection, daemon } = await connected(t);
    daemon.on(p.domainGetXmlDesc, (call) => call.reply(Buffer.from([0xff, 0xff, 0xff, 0xff])));
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    daemon.on(p.connectGetUri, (call) =>
      call.reply(Buffer.concat([encoded(p.connectGetUri.result, { uri: "" }), Buffer.alloc(4)])),
    );
    daemon.on(p.domainCreateWithFlags, (call) => call.reply(Buffer.alloc(1)));
    daemon.on(p.connectGetType, (call) => call.reply(Buffer.alloc(3), 1));
    const bad = connection.call(p.domainGetXmlDesc, { dom, flags: 0 }, patient);
    await assert.rejects(bad, is("internal", "LIBVIRT_BAD_REPLY"));
    await assert.rejects(connection.call(p.connectGetUri, {}, patient), is("internal", "LIBVIRT_BAD_REPLY"));
    await assert.rejects(connection.call(p.connectGetType, {}, patient), is("internal", "LIBVIRT_BAD_REPLY"));
    // Its status is OK: the guest may run.
    await assert.rejects(
      connection.call(p.domainCreateWithFlags, { dom, flags: 0 }, patient),
      is("outcome_unknown"),
    );
    assert.equal(await hostname(connection), "host");
  });

  it("while opening is reported by cause: no socket, no permission, cancelled", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const options = { clock: systemClock, maxInFlight: 4, maxQueued: 100 };
    const nowhere = Connection.open(
      { ...options, socketPath: `${daemon.socketPath}-not` },
      new AbortController().signal,
    );
    await assert.rejects(nowhere, is("unavailable", "LIBVIRT_DISCONNECTED"));
    const reason = new Error("enough");
    const given = Connection.open({ ...options, socketPath: daemon.socketPath }, AbortSignal.abort(reason));
    await assert.rejects(given, reason);
  });
});

describe("keepalive", () => {
  const pingsTo = (client: Client): number =>
    client.received.filter(({ program, procedure }) => program === KEEPALIVE && procedure === 1).length;

  it("answers the daemon's pings", async (t) => {
    const { client } = await connected(t);
    client.send(frame({ program: KEEPALIVE, procedure: 1, type: 2 }));
    const pong = await eventually(() => client.received[0]);
    assert.deepEqual([pong.program, pong.procedure, pong.type, pong.status], [KEEPALIVE, 2, 2, 0]);
  });

  it("closes a silent daemon's connection after its pings, and fails the open calls", async (t) => {
    const clock = new FakeClock();
    const { connection, client } = await connected(t, { clock });
    void connection.keepAlive(5000, 2);
    const read = assert.rejects(hostname(connection), is("unavailable", "LIBVIRT_UNRESPONSIVE"));
    for (let pings = 1; pings <= 2; pings += 1) {
      clock.advance(5000);
      await eventually(() => pingsTo(client) === pings, { what: `ping ${pings}` });
    }
    clock.advance(5000);
    await read;
    assert.equal(pingsTo(client), 2);
  });

  it("keeps a daemon that shows any activity", async (t) => {
    const clock = new FakeClock();
    const { connection, client } = await connected(t, { clock });
    void connection.keepAlive(5000, 1);
    for (let rounds = 1; rounds <= 5; rounds += 1) {
      clock.advance(5000);
      await eventually(() => pingsTo(client) === rounds, { what: `ping ${rounds}` });
      client.send(frame({ program: KEEPALIVE, procedure: 2, type: 2 }));
      // The socket is read within two turns of the event loop. The next interval begins without a ping.
      for (let turns = 0; turns < 2; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(5000);
      for (let turns = 0; turns < 2; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(connection.isClosed, false);
  });
});
