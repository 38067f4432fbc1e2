// TCP with certificates: which callers are accepted, in which role, and for how long.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectPlain } from "node:net";
import { test, type TestContext } from "node:test";
import { connect, createSecureContext, type SecureVersion } from "node:tls";
import { credentials, status, type ChannelCredentials, type ServiceError } from "@grpc/grpc-js";
import { configSchema, type Config } from "../../../../agent/config/schema.ts";
import { controlEpochKey } from "../../../../agent/api/auth/control-epoch.ts";
import { methods } from "../../../../agent/contract/methods.ts";
import { createLog } from "../../../../agent/kernel/log.ts";
import { systemClock, type Clock } from "../../../../agent/kernel/clock.ts";
import { replaceFile } from "../../../../agent/state/journal/durable-file.ts";
import { authorityKeyOf, Trust } from "../../../../agent/trust/index.ts";
import { eventually } from "../../../support/wait.ts";
import { Authority, installTrust, type Issued } from "../../../scheduler/authority.ts";
import { folder } from "../../../support/state/folder.ts";
import { ApiClient, errorOf, keptEpochs, protos, startApi, vm } from "../../../support/api/harness.ts";

const domain = "cloud.example";
const log = createLog({ level: "error", destination: { write: () => undefined } });

/** An API server whose trust a test changes. */
async function secured(
  t: TestContext,
  listOf?: (authority: Authority) => Promise<string>,
  limits?: Config["api"]["limits"],
  clock: Clock = systemClock,
) {
  const directory = await folder(t);
  const authority = await Authority.make(domain);
  const own = await authority.issue("agent/host-1");
  await installTrust(directory, authority, own, await listOf?.(authority));
  // The test itself triggers the periodic check.
  const looks: (() => void)[] = [];
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      looks.push(resolve);
      signal?.addEventListener("abort", () => reject(new Error("over")), { once: true });
    });
  const trust = new Trust({ replaceFile, directory, domain, clock: { ...systemClock, sleep }, log });
  const end = new AbortController();
  t.after(() => end.abort());
  await new Promise<void>((resolve) => void trust.run(end.signal, resolve));
  const api = await startApi(
    t,
    { listen: "127.0.0.1:0", ...(limits === undefined ? {} : { limits }) },
    trust,
    keptEpochs(0),
    {},
    undefined,
    {},
    clock,
  );
  const address = `127.0.0.1:${api.tcpPort ?? 0}`;
  const by = (issued: Issued, ca = authority): ChannelCredentials =>
    credentials.createFromSecureContext(
      createSecureContext({ ca: ca.certificatePem, cert: issued.certificatePem, key: issued.keyPem }),
      { checkServerIdentity: () => undefined },
    );
  const clientOf = (issued: Issued): ApiClient => new ApiClient(t, address, {}, by(issued));
  const look = (): void => looks.splice(0).forEach((wake) => wake());
  return { ...api, directory, authority, own, trust, address, clientOf, look };
}

type Secured = Awaited<ReturnType<typeof secured>>;

const codeOf = async (call: Promise<unknown>): Promise<number | undefined> =>
  await call.then(
    () => status.OK,
    (thrown: unknown) => (thrown as ServiceError).code,
  );

/** The protocol that a handshake agrees on; undefined after a refused handshake. */
async function handshake(
  { authority, tcpPort }: Secured,
  issued: Issued | undefined,
  maxVersion: SecureVersion,
) {
  const socket = connect({
    port: tcpPort ?? 0,
    ca: authority.certificatePem,
    ...(issued === undefined ? {} : { cert: issued.certificatePem, key: issued.keyPem }),
    maxVersion,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  // In TLS 1.3 the server refuses a client certificate after the client's side of the handshake.
  const ended = new Promise<undefined>((resolve) => {
    for (const event of ["error", "close"]) socket.once(event, () => resolve(undefined));
  });
  const talks = new Promise<string | null>((resolve) =>
    socket.once("data", () => resolve(socket.getProtocol())),
  );
  const agreed = await Promise.race([ended, talks]);
  socket.destroy();
  return agreed;
}

test("a client certificate of the domain is accepted in its role; every other one is refused", async (t) => {
  const host = await secured(t);
  const { authority, address, table } = host;
  table.put(vm("a"));
  const scheduler = host.clientOf(await authority.issue("scheduler/s-1"));
  assert.equal((await scheduler.call(protos.vms.GetVm, { vm: "a" })).name, "name-a");
  const stop = { requestId: "stop-1", vm: "a" };
  assert.equal(
    (await scheduler.call(protos.vms.StopVm, stop)).caller,
    "spiffe://cloud.example/scheduler/s-1",
  );

  const stranger = await Authority.make(domain);
  const past = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
  const future = { notBefore: new Date(Date.now() + 3_600_000), notAfter: new Date(Date.now() + 7_200_000) };
  const urls = (...values: string[]) => ({ names: values.map((value) => ({ type: "url" as const, value })) });
  const intruders: [certificate: string, issued: Issued][] = [
    ["of another authority", await stranger.issue("scheduler/s-1")],
    ["expired", await authority.issue("scheduler/s-1", past)],
    ["not valid yet", await authority.issue("scheduler/s-1", future)],
    ["of another domain", await authority.issue("x", urls("spiffe://other.example/scheduler/s-1"))],
    [
      "with two identities",
      await authority.issue("x", urls(`spiffe://${domain}/viewer/a`, `spiffe://${domain}/admin/a`)),
    ],
    ["with none", await authority.issue("x", { names: [{ type: "dns", value: "scheduler.cloud.example" }] })],
    ["of no role", await authority.issue("agent/host-2")],
    ["of an invented role", await authority.issue("root/me")],
  ];
  for (const [certificate, issued] of intruders) {
    assert.equal(
      await codeOf(host.clientOf(issued).call(protos.host.GetHost, {})),
      status.UNAVAILABLE,
      certificate,
    );
  }
  const anonymous = credentials.createSsl(Buffer.from(authority.certificatePem), null, null, {
    checkServerIdentity: () => undefined,
  });
  for (const credential of [anonymous, credentials.createInsecure()]) {
    const client = new ApiClient(t, address, {}, credential);
    assert.equal(await codeOf(client.call(protos.host.GetHost, {}, 2000)), status.UNAVAILABLE);
  }
});

test("with a revocation list older than the last one, changes are accepted only on the socket", async (t) => {
  const { authority, clientOf, trust, socket, table, dependencies } = await secured(t);
  table.put(vm("a"));
  const scheduler = clientOf(await authority.issue("scheduler/s-1"));
  const [key] = trust.material?.roots.map(authorityKeyOf) ?? [];
  assert.ok(key !== undefined);
  trust.noteListTimes({ [key]: Date.now() });
  const cordon = { requestId: "c", state: "LIFECYCLE_STATE_CORDONED" } as const;
  const refused = [
    await errorOf(
      scheduler.call(protos.vms.StopVm, { requestId: "s", vm: "a" }, undefined, { [controlEpochKey]: "7" }),
    ),
    await errorOf(scheduler.call(protos.host.SetSchedulingState, cordon)),
  ];
  for (const { code, info } of refused)
    assert.deepEqual([code, info.reason], [status.UNAVAILABLE, "REVOCATIONS_ROLLED_BACK"]);
  assert.equal(dependencies.controlEpochs.controlEpoch, 0);
  assert.equal((await scheduler.call(protos.vms.GetVm, { vm: "a" })).name, "name-a");
  const operator = new ApiClient(t, `unix:${socket}`);
  assert.equal((await operator.call(protos.host.SetSchedulingState, cordon)).schedulingState, cordon.state);
});

test("after its revocation list expires a host accepts the same callers, and none that is on the list", async (t) => {
  let dismissed: Issued | undefined;
  const { authority, clientOf, trust } = await secured(t, async (of) => {
    dismissed = await of.issue("scheduler/dismissed");
    of.revoke(dismissed.serial);
    const hour = 3_600_000;
    const dates = { issuedAt: new Date(Date.now() - 2 * hour), nextAt: new Date(Date.now() - hour) };
    return await of.revocationList(dates);
  });
  assert.equal(trust.problem, undefined);
  const scheduler = clientOf(await authority.issue("scheduler/s-1"));
  assert.equal(await codeOf(scheduler.call(protos.host.GetHost, {})), status.OK);
  assert.ok(dismissed !== undefined);
  assert.equal(await codeOf(clientOf(dismissed).call(protos.host.GetHost, {})), status.UNAVAILABLE);
});

test("each method accepts its roles and denies all others", async (t) => {
  const { authority, clientOf } = await secured(t);
  const roles = ["viewer", "metrics", "scheduler", "operator", "auditor", "admin"] as const;
  let tries = 0;
  for (const role of roles) {
    const { client } = clientOf(await authority.issue(`${role}/s-1`));
    for (const [path, { roles: allowed }] of Object.entries(methods)) {
      if (allowed.includes(role)) continue;
      tries += 1;
      const code = await new Promise<number | undefined>((resolve) => {
        const call = client.makeServerStreamRequest(
          path,
          () => Buffer.alloc(0),
          (bytes) => bytes,
          {},
        );
        call.on("error", (error: ServiceError) => resolve(error.code));
        call.on("end", () => resolve(undefined));
        call.resume();
      });
      assert.equal(code, status.PERMISSION_DENIED, `${role} on ${path}`);
    }
  }
  assert.ok(tries > 40, `${tries} calls`);
});

test("a tenant's caller is denied host-wide methods, and sees nothing of other tenants", async (t) => {
  const { authority, clientOf, table } = await secured(t);
  table.put(vm("a", { tenant: "acme" }));
  table.put(vm("b", { tenant: "other" }));
  const client = clientOf(await authority.issue("scheduler/s/tenant/acme"));
  const denied = await errorOf(client.call(protos.host.GetHost, {}));
  assert.deepEqual([denied.code, denied.info.reason], [status.PERMISSION_DENIED, "TENANT_DENIED"]);
  const { vms, totalSize } = await client.call(protos.vms.ListVms, {});
  assert.deepEqual([vms.map(({ vmId }) => vmId), totalSize], [["a"], 1]);
  assert.equal(await codeOf(client.call(protos.vms.GetVm, { vm: "b" })), status.NOT_FOUND);
});

test("callers of one tenant share its limits across certificates, and other callers keep theirs", async (t) => {
  const api = configSchema.parse({ api: { limits: { readsPerSecond: 1 } } }).api;
  // The clock stands still, so no limit is renewed.
  const clock = { ...systemClock, monotonicMs: () => 0 };
  const { authority, clientOf } = await secured(t, undefined, api.limits, clock);
  const lists = async (name: string, count: number): Promise<(number | undefined)[]> => {
    const client = clientOf(await authority.issue(name));
    const codes = [];
    for (let at = 0; at < count; at += 1) codes.push(await codeOf(client.call(protos.vms.ListVms, {})));
    return codes;
  };
  const { OK, RESOURCE_EXHAUSTED } = status;
  assert.equal((await lists("scheduler/a/tenant/acme", 20)).at(-1), RESOURCE_EXHAUSTED);
  assert.ok((await lists("scheduler/b/tenant/acme", 20)).includes(RESOURCE_EXHAUSTED));
  assert.deepEqual(await lists("scheduler/a/tenant/other", 5), [OK, OK, OK, OK, OK]);
  assert.deepEqual(await lists("scheduler/a", 5), [OK, OK, OK, OK, OK]);
});

test("TLS 1.2 is refused, also after the certificates were replaced; open streams go on", async (t) => {
  const host = await secured(t);
  const { authority, directory, trust, events } = host;
  const issued = await authority.issue("viewer/v");
  assert.deepEqual(
    [
      await handshake(host, issued, "TLSv1.3"),
      await handshake(host, issued, "TLSv1.2"),
      await handshake(host, undefined, "TLSv1.3"),
    ],
    ["TLSv1.3", undefined, undefined],
  );
  events.append({ kind: "resync", reason: "BEFORE", details: {} });
  const stream = host.clientOf(issued).stream(protos.events.Subscribe, {});
  stream.on("error", () => undefined);
  await once(stream, "data");

  const renewed = await authority.issue("agent/host-1");
  await installTrust(directory, authority, renewed);
  await trust.reload();
  await eventually(async () => (await serialSeen(host, issued)) === renewed.serial.toUpperCase());
  assert.deepEqual(
    [
      await handshake(host, issued, "TLSv1.3"),
      await handshake(host, issued, "TLSv1.2"),
      await handshake(host, undefined, "TLSv1.3"),
    ],
    ["TLSv1.3", undefined, undefined],
  );
  events.append({ kind: "resync", reason: "AFTER", details: {} });
  const [event] = (await once(stream, "data")) as [{ reason: string }];
  assert.equal(event.reason, "AFTER");

  // A key that does not match its certificate changes nothing.
  await installTrust(directory, authority, { ...renewed, keyPem: host.own.keyPem });
  await trust.reload();
  assert.equal(await serialSeen(host, issued), renewed.serial.toUpperCase());
});

test("a revoked or expired certificate loses its connections and opens no new ones", async (t) => {
  let aheadMs = 0;
  const host = await secured(t, undefined, undefined, { ...systemClock, now: () => Date.now() + aheadMs });
  const { authority, directory, own, trust } = host;
  const [bad, good] = [await authority.issue("scheduler/s-1"), await authority.issue("scheduler/s-2")];
  const brief = await authority.issue("scheduler/s-3", { notAfter: new Date(Date.now() + 3_600_000) });
  const watches = [bad, good, brief].map((issued) => {
    const stream = host.clientOf(issued).stream(protos.vms.WatchVms, {});
    const watch = { ended: undefined as number | undefined };
    stream.on("error", ({ code }: ServiceError) => (watch.ended = code));
    stream.resume();
    return { watch, open: once(stream, "data") };
  });
  await Promise.all(watches.map(({ open }) => open));
  authority.revoke(bad.serial);
  await installTrust(directory, authority, own, await authority.revocationList());
  await trust.reload();
  const ends = (): (number | undefined)[] => watches.map(({ watch }) => watch.ended);
  await eventually(() => ends()[0] !== undefined, { what: "the revoked one's stream to end" });
  assert.equal(ends()[1], undefined);
  assert.equal(await codeOf(host.clientOf(bad).call(protos.host.GetHost, {})), status.UNAVAILABLE);
  assert.equal(await codeOf(host.clientOf(good).call(protos.host.GetHost, {})), status.OK);
  aheadMs = 2 * 3_600_000;
  await eventually(
    () => {
      host.look();
      return ends()[2] !== undefined;
    },
    { what: "the expired one's stream to end" },
  );
  assert.equal(ends()[1], undefined);
  assert.equal(await codeOf(host.clientOf(brief).call(protos.host.GetHost, {})), status.UNAVAILABLE);
});

test("silent connections do not keep other callers out", async (t) => {
  const host = await secured(t);
  const sockets = Array.from({ length: 400 }, () => {
    const socket = connectPlain({ port: host.tcpPort ?? 0, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    return socket.resume(); // A client that does not read does not notice the end.
  });
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map((socket) => Promise.race([once(socket, "connect"), once(socket, "close")])));
  const client = host.clientOf(await host.authority.issue("viewer/v"));
  await client.call(protos.host.GetHost, {});
  // Some of them may never have passed the kernel's own queue.
  const closed = (): number => sockets.filter((socket) => socket.closed).length;
  await eventually(() => closed() >= 200, { what: "the oldest to be closed" });
});

test("certificates installed late are loaded; until then no caller is accepted", async (t) => {
  const directory = await folder(t);
  const trust = new Trust({ replaceFile, directory, domain, clock: systemClock, log });
  const end = new AbortController();
  t.after(() => end.abort());
  await new Promise<void>((resolve) => void trust.run(end.signal, resolve));
  const { tcpPort } = await startApi(t, { listen: "127.0.0.1:0" }, trust);
  const authority = await Authority.make(domain);
  const viewer = await authority.issue("viewer/v");
  const context = { ca: authority.certificatePem, cert: viewer.certificatePem, key: viewer.keyPem };
  const channel = credentials.createFromSecureContext(createSecureContext(context), {
    checkServerIdentity: () => undefined,
  });
  const call = () =>
    codeOf(new ApiClient(t, `127.0.0.1:${tcpPort ?? 0}`, {}, channel).call(protos.host.GetHost, {}));
  assert.equal(await call(), status.UNAVAILABLE);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  await trust.reload();
  await eventually(async () => (await call()) === status.OK, { what: "a call to get through" });
});

test("an error over TLS lists the permitted roles", async (t) => {
  const { authority, clientOf } = await secured(t);
  const client = clientOf(await authority.issue("viewer/v"));
  const error = await errorOf(client.call(protos.vms.StopVm, { requestId: "r", vm: "a" }));
  assert.deepEqual([error.code, error.info.reason], [status.PERMISSION_DENIED, "ROLE_DENIED"]);
  assert.match(error.message, /viewer may not call .*StopVm, but scheduler, operator, admin may/);
  const reset = await errorOf(client.call(protos.host.ResetControlEpoch, { requestId: "r" }));
  assert.match(reset.message, /viewer may not call .*; run socle on the host, over the agent's unix socket/);
});

/** The serial number of the server's certificate. */
async function serialSeen({ tcpPort, authority }: Secured, issued: Issued): Promise<string | undefined> {
  const socket = connect({
    port: tcpPort ?? 0,
    ca: authority.certificatePem,
    cert: issued.certificatePem,
    key: issued.keyPem,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  await once(socket, "secureConnect");
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  socket.destroy();
  return serial;
}
