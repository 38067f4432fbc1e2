// How many connections a listener holds, and that no caller can take all of them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { connect as connectSecured } from "node:tls";
import { ConnectionLimits } from "../../../agent/api/connection-limits.ts";
import type { Caller } from "../../../agent/api/auth/identity.ts";
import { PendingConnections } from "../../../agent/api/pending-connections.ts";
import { listenOnTls } from "../../../agent/api/tls-listener.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import type { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../agent/trust/index.ts";
import { eventually, within } from "../../support/wait.ts";
import { Authority, installTrust, type Issued } from "../../scheduler/authority.ts";
import { folder } from "../../support/state/folder.ts";
import { ApiClient, protos, startApi } from "../../support/api/harness.ts";

const domain = "cloud.example";
const audit = { noteRepeatable: () => undefined };

/** A client's first bytes: the preface and its settings, which are empty. */
const hello = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

/** True once the server answers, false once it has closed. */
async function isTaken(t: TestContext, socket: Socket): Promise<boolean> {
  t.after(() => socket.destroy());
  socket.write(hello);
  return await new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
    socket.on("error", () => undefined);
  });
}

test("a caller beyond its share of connections is refused; other callers and the operator are not", async (t) => {
  const { tcpPort, socket, api, logged, audited } = await startApi(t, { listen: "127.0.0.1:0" });
  const from = (localAddress: string): Socket =>
    connect({ port: tcpPort ?? 0, host: "127.0.0.1", localAddress });
  const greedy = Array.from({ length: 128 }, () => from("127.0.0.1"));
  for (const taken of await Promise.all(greedy.map((each) => isTaken(t, each)))) assert.ok(taken);
  assert.equal(await isTaken(t, from("127.0.0.1")), false);
  assert.ok(await isTaken(t, from("127.0.0.2")), "another caller has a place");
  const operator = new ApiClient(t, `unix:${socket}`);
  await operator.call(protos.host.GetHost, {});

  assert.ok(logged.some(({ reason }) => reason === "TOO_MANY_CONNECTIONS"));
  const [trace] = audited.filter(({ act }) => act === "connection_refused");
  assert.deepEqual([trace?.reason, trace?.caller?.name], ["TOO_MANY_CONNECTIONS", "tcp:127.0.0.1"]);
  assert.deepEqual(api.connectionCounts, [
    { listener: "unix", open: 1, refused: 0 },
    { listener: "tcp", open: 129, refused: 1 },
  ]);

  greedy[0]?.destroy();
  await eventually(() => api.connectionCounts[1]?.open === 128, { what: "its place to be free" });
  assert.ok(await isTaken(t, from("127.0.0.1")), "one place is free again");
});

test("all callers on the socket are the same operator, who may have every place", () => {
  const limits = new ConnectionLimits({ callers: "one", most: 4, audit, log: silentLog });
  const operator = { name: "unix:operator", role: "operator" } as const;
  const held = () => connect({ path: "/nonexistent" }).on("error", () => undefined);
  for (let taken = 0; taken < 4; taken += 1) limits.take(held(), operator);
  assert.throws(() => limits.take(held(), operator), { reason: "TOO_MANY_CONNECTIONS", kind: "exhausted" });
});

test("a tenant with many certificates displaces no other tenant, and all tenants together not the provider", () => {
  const displaced: string[] = [];
  const noteRepeatable = (entry: { caller?: { name: string } }): void =>
    void displaced.push(entry.caller?.name ?? "");
  const limits = new ConnectionLimits({
    callers: "many",
    most: 64,
    audit: { noteRepeatable },
    log: silentLog,
  });
  const held = () => connect({ path: "/nonexistent" }).on("error", () => undefined);
  const taken = (count: number, callerAt: (at: number) => Pick<Caller, "name" | "tenant">): number => {
    let got = 0;
    for (let at = 0; at < count; at += 1)
      try {
        limits.take(held(), { role: "scheduler", ...callerAt(at) });
        got += 1;
      } catch (thrown) {
        assert.equal((thrown as SocleError).reason, "TOO_MANY_CONNECTIONS");
      }
    return got;
  };
  const of =
    (tenant: string) =>
    (at: number): Pick<Caller, "name" | "tenant"> => ({ name: `${tenant}-${at}`, tenant });
  for (const tenant of ["red", "green", "black", "grey"]) assert.equal(taken(40, of(tenant)), 8);
  assert.equal(limits.open, 32);
  assert.deepEqual(displaced, []);
  assert.equal(
    taken(2, of("blue")),
    2,
    "tenants that hold all tenant places give some to a tenant that has fewer",
  );
  assert.deepEqual(displaced, ["grey-7", "black-7"]);
  assert.equal(taken(1, of("grey")), 0, "a displaced tenant has no right to the place");
  assert.equal(taken(40, of("blue")), 4, "until it has one place fewer than they");
  assert.equal(limits.open, 32);
  assert.equal(taken(1, of("white")), 1);
  assert.equal(
    taken(40, () => ({ name: "the provider's scheduler" })),
    32,
  );
});

test("over TLS the certificate names the caller, whatever its address", async (t) => {
  const directory = await folder(t);
  const authority = await Authority.make(domain);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const trust = new Trust({ replaceFile, directory, domain, clock: systemClock, log: silentLog });
  const end = new AbortController();
  t.after(() => end.abort());
  await new Promise<void>((resolve) => void trust.run(end.signal, resolve));
  const limits = new ConnectionLimits({ callers: "many", most: 4, audit, log: silentLog });
  const listener = await listenOnTls("127.0.0.1:0", {
    trust,
    places: limits,
    clock: systemClock,
    log: silentLog,
    onConnection: (socket) => void socket.write("welcome"),
  });
  t.after(() => listener.close());
  const by = async ({ certificatePem: cert, keyPem: key }: Issued): Promise<boolean> => {
    const socket = connectSecured({
      port: listener.port,
      ca: authority.certificatePem,
      cert,
      key,
      ALPNProtocols: ["h2"],
      checkServerIdentity: () => undefined,
    });
    return await isTaken(t, socket);
  };
  const [first, second, third] = [
    await authority.issue("scheduler/s-1"),
    await authority.issue("scheduler/s-2"),
    await authority.issue("operator/o-1"),
  ] as const;
  assert.deepEqual([await by(first), await by(first), await by(first)], [true, true, false]);
  assert.deepEqual([await by(second), await by(second)], [true, true]);
  const halfway = connect({ port: listener.port, host: "127.0.0.1" }).on("error", () => undefined);
  assert.equal(await by(third), false, "no place is left");
  assert.deepEqual([limits.open, limits.refused], [4, 2]);
  const closed = once(halfway.resume(), "close");
  listener.close();
  await within(closed, 60_000, "the unauthenticated connection to end with the listener");
});

test("5,000 silent connections do not keep other callers out, and log a few lines", async (t) => {
  const { tcpPort, socket, api, logged } = await startApi(t, { listen: "127.0.0.1:0" });
  const open: Socket[] = [];
  t.after(() => open.forEach((each) => each.destroy()));
  const startMs = performance.now();
  for (let at = 0; at < 5000; at += 1) {
    const silent = at % 2 === 0 ? connect(socket) : connect({ port: tcpPort ?? 0, host: "127.0.0.1" });
    open.push(silent.on("error", () => undefined));
    if (at % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  const operator = new ApiClient(t, `unix:${socket}`);
  const scheduler = new ApiClient(t, `127.0.0.1:${tcpPort}`);
  await operator.call(protos.host.GetHost, {});
  await scheduler.call(protos.host.GetHost, {});
  assert.deepEqual(
    api.connectionCounts.map(({ open: taken }) => taken),
    [1, 1],
    "a silent connection holds no place",
  );
  await eventually(() => api.connectionCounts.every(({ refused }) => refused > 1000), {
    what: "the silent connections to be refused",
  });
  const seconds = Math.ceil((performance.now() - startMs) / 1000);
  const lines = logged.filter(({ reason }) => reason === "CONNECTION_SILENT");
  assert.ok(lines.length <= 2 * (seconds + 1), `${lines.length} lines in ${seconds} s`);
});

test("a silent connection ends when the agent stops, and none is accepted after that", async (t) => {
  const host = await startApi(t, { listen: "127.0.0.1:0" });
  const { tcpPort, socket } = host;
  const silent = [connect(socket), connect({ port: tcpPort ?? 0, host: "127.0.0.1" })];
  const closed = silent.map((each) =>
    once(
      each.on("error", () => undefined),
      "close",
    ),
  );
  // The listeners accept in order: once the next connection is answered, the silent one was accepted.
  await new ApiClient(t, `unix:${socket}`).call(protos.host.GetHost, {});
  await new ApiClient(t, `127.0.0.1:${tcpPort}`).call(protos.host.GetHost, {});
  await host.stop();
  // An HTTP/2 session would keep the agent's process alive as long as its client likes.
  for (const [index, each] of silent.entries())
    assert.equal(await Promise.race([isTaken(t, each), closed[index]?.then(() => false)]), false);
});

test("a connection that speaks no HTTP/2, or too late, is closed; a slow one is accepted", async (t) => {
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  let newcomers = new PendingConnections({ most: 2, withinMs: 60_000 });
  const outcomes: string[] = [];
  server.on("connection", (socket) =>
    newcomers.receive(
      socket,
      () => outcomes.push(`spoke ${(socket.read() as Buffer | null)?.length}`),
      ({ reason }) => {
        outcomes.push(reason);
        socket.destroy();
      },
    ),
  );
  const client = (): Socket => {
    const socket = connect({ port, host: "127.0.0.1" }).on("error", () => undefined);
    t.after(() => socket.destroy());
    return socket;
  };
  client().write("GET / HTTP/1.1\r\n\r\n");
  await eventually(() => outcomes.at(-1) === "CONNECTION_NOT_HTTP2");
  const slow = client();
  slow.write(hello.subarray(0, 10));
  await eventually(() => newcomers.waiting === 1);
  slow.write(hello.subarray(10));
  await eventually(() => outcomes.at(-1)?.startsWith("spoke") === true);
  newcomers = new PendingConnections({ most: 2, withinMs: 200 });
  client();
  await eventually(() => outcomes.at(-1) === "CONNECTION_SILENT", { what: "its time to be over" });
  outcomes.length = 0;
  for (let at = 0; at < 3; at += 1) client();
  await eventually(() => outcomes.length === 3 && newcomers.waiting === 0);
  assert.deepEqual(outcomes, ["CONNECTION_SILENT", "CONNECTION_SILENT", "CONNECTION_SILENT"]);
});
