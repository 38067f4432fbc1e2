// How many connections a listener holds, and that no caller can take them all.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { connect as connectSecured } from "node:tls";
import { ConnectionPlaces } from "../../../agent/api/connection-places.ts";
import { listenOnTls } from "../../../agent/api/tls-listener.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { replaceFile } from "../../../agent/state/durable-file.ts";
import { Trust } from "../../../agent/trust/index.ts";
import { eventually } from "../../lab/wait.ts";
import { Authority, installTrust, type Issued } from "../../scheduler/authority.ts";
import { folder } from "../state/folder.ts";
import { ApiClient, protos, startApi } from "./harness.ts";

const domain = "cloud.example";
const audit = { noteRepeatable: () => undefined };

/** True once the other end talks, false once it has closed. */
async function isTaken(t: TestContext, socket: Socket): Promise<boolean> {
  t.after(() => socket.destroy());
  return await new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
    socket.on("error", () => undefined);
  });
}

test("who opens more connections than one caller may have is turned away; another, and the operator, are not", async (t) => {
  const { tcpPort, socket, api, logged, audited } = await startApi(t, { listen: "127.0.0.1:0" });
  const from = (localAddress: string): Socket =>
    connect({ port: tcpPort ?? 0, host: "127.0.0.1", localAddress });
  const greedy = Array.from({ length: 128 }, () => from("127.0.0.1"));
  for (const taken of await Promise.all(greedy.map((each) => isTaken(t, each)))) assert.ok(taken);
  assert.equal(await isTaken(t, from("127.0.0.1")), false);
  assert.ok(await isTaken(t, from("127.0.0.2")), "another has a place");
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
  assert.ok(await isTaken(t, from("127.0.0.1")), "there is room for one again");
});

test("on the socket all are the same operator, who may have every place", () => {
  const places = new ConnectionPlaces({ callers: "one", most: 4, audit, log: silentLog });
  const operator = { name: "unix:operator" };
  const held = () => connect({ path: "/nonexistent" }).on("error", () => undefined);
  for (let place = 0; place < 4; place += 1) places.take(held(), operator);
  assert.throws(() => places.take(held(), operator), { reason: "TOO_MANY_CONNECTIONS", kind: "exhausted" });
});

test("over TLS a caller is who his certificate says, whatever address he comes from", async (t) => {
  const directory = await folder(t);
  const authority = await Authority.make(domain);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const trust = new Trust({ replaceFile, directory, domain, clock: systemClock, log: silentLog });
  const end = new AbortController();
  t.after(() => end.abort());
  await new Promise<void>((resolve) => void trust.run(end.signal, resolve));
  const places = new ConnectionPlaces({ callers: "many", most: 4, audit, log: silentLog });
  const listener = await listenOnTls("127.0.0.1:0", {
    trust,
    places,
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
  assert.equal(await by(third), false, "no place is left at all");
  assert.deepEqual([places.open, places.refused], [4, 2]);
});
