import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { status, type ServiceError } from "@grpc/grpc-js";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { methods } from "../../../agent/contract/methods.ts";
import { freePort } from "../../support/ports.ts";
import { eventually, within } from "../../support/wait.ts";
import { folder } from "../../support/state/folder.ts";
import { ApiClient, errorOf, FakeConsole, protos, startApi, vm } from "../../support/api/harness.ts";

test("a socket left by a crash is replaced, with a mode for owner and group", async (t) => {
  const socket = join(await folder(t), "agent.sock");
  const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script, socket]);
  await access(socket);
  const { table } = await startApi(t, { socket });
  table.put(vm("a"));
  assert.equal((await stat(socket)).mode & 0o777, 0o660);
  const client = new ApiClient(t, `unix:${socket}`);
  assert.equal((await client.call(protos.vms.GetVm, { vm: "a" })).name, "name-a");
});

test("an address that cannot be bound is refused with a remedy", async (t) => {
  const first = await startApi(t, { listen: `127.0.0.1:${await freePort()}` });
  const refusal = (config: Parameters<typeof startApi>[1]) =>
    startApi(t, config).then(
      () => assert.fail("the server started"),
      (thrown: unknown) => thrown as SocleError,
    );
  assert.equal((await refusal({ socket: first.socket })).reason, "ADDRESS_IN_USE");
  assert.equal((await refusal({ listen: `127.0.0.1:${first.tcpPort ?? 0}` })).reason, "ADDRESS_IN_USE");
  const open = await refusal({ listen: "0.0.0.0:0" });
  assert.deepEqual([open.kind, open.reason], ["unsupported", "NOT_LOOPBACK"]);
  const file = join(await folder(t), "file");
  await writeFile(file, "precious");
  assert.equal((await refusal({ socket: file })).reason, "LISTEN_FAILED");
  assert.equal((await stat(file)).size, 8, "a file that is no socket stays");
  assert.equal((await refusal({ socket: `/tmp/${"x".repeat(120)}` })).reason, "LISTEN_FAILED");
  // The running server was not disturbed.
  const client = new ApiClient(t, `unix:${first.socket}`);
  await client.call(protos.host.GetHost, {});
});

test("errors carry a message for people and a reason for programs", async (t) => {
  const { socket, vms, table } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const missing = await errorOf(client.call(protos.vms.GetVm, { vm: "unknown-vm" }));
  assert.equal(missing.code, status.NOT_FOUND);
  assert.deepEqual(missing.info, { reason: "VM_NOT_FOUND", domain: "socle", metadata: {} });
  assert.match(missing.message, /unknown-vm/);

  table.markUnknown();
  const unknown = await errorOf(client.call(protos.vms.GetVm, { vm: "unknown-vm" }));
  assert.deepEqual([unknown.code, unknown.info.reason, unknown.retryMs], [14, "LIBVIRT_UNAVAILABLE", 2000]);

  vms.begin = () => {
    const details = {
      fields: { "spec.disks[0].name": "is wrong" },
      metadata: { a: "b" },
      retryAfterMs: 1500,
    };
    return Promise.reject(new SocleError("invalid", "SPEC_INVALID", "no", { details }));
  };
  const invalid = await errorOf(client.call(protos.vms.StartVm, { requestId: "r", vm: "v" }));
  assert.equal(invalid.code, status.INVALID_ARGUMENT);
  assert.deepEqual(invalid.fields, { "spec.disks[0].name": "is wrong" });
  assert.deepEqual(invalid.info.metadata, { a: "b" });
  assert.equal(invalid.retryMs, 1500);
});

test("an unexpected error is reported by an id only, which the log explains", async (t) => {
  const { socket, vms, logged } = await startApi(t);
  vms.begin = () => {
    throw new TypeError("secret inner text");
  };
  const client = new ApiClient(t, `unix:${socket}`);
  const error = await errorOf(client.call(protos.vms.StartVm, { requestId: "r", vm: "v" }));
  assert.equal(error.code, status.INTERNAL);
  assert.doesNotMatch(JSON.stringify(error), /secret/);
  const line = logged.find(({ errorId }) => errorId === error.info.metadata["error_id"]);
  assert.match(JSON.stringify(line), /secret inner text/);
});

test("text that cannot be sent does not end the agent", async (t) => {
  const { socket } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  // Half a surrogate pair in a name, as a careless client sends it; and a name that no trailer can hold.
  for (const name of ["\ud800", "x".repeat(100_000)]) {
    const error = await errorOf(client.call(protos.vms.GetVm, { vm: name }));
    assert.equal(error.code, status.NOT_FOUND);
  }
});

test("a long message is cut in the middle, so that the remedy at its end stays", async (t) => {
  const { socket, vms } = await startApi(t);
  vms.begin = () => {
    const message = `QEMU gave up (${"x".repeat(5000)}); repair it, or request the TCG accelerator`;
    throw new SocleError("conflict", "KVM_UNAVAILABLE", message);
  };
  const client = new ApiClient(t, `unix:${socket}`);
  const error = await errorOf(client.call(protos.vms.StartVm, { requestId: "r", vm: "v" }));
  assert.match(error.message, /QEMU gave up \(x{200,}…x+\); repair it, or request the TCG accelerator$/);
  assert.ok(error.message.length < 600, "it fits into a trailer");
});

test("a message of 5 MB is refused, and the agent goes on", async (t) => {
  const { socket } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const error = await client.call(protos.vms.GetVm, { vm: "x".repeat(5_000_000) }).then(
    () => assert.fail("the message was accepted"),
    (thrown: unknown) => thrown as ServiceError,
  );
  assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  assert.equal((await client.call(protos.host.GetHost, {})).identity?.hostname, "host-a");
});

test("bytes that are not gRPC do not disturb the agent", async (t) => {
  const { socket } = await startApi(t);
  for (const bytes of [
    "GET / HTTP/1.1\r\n\r\n",
    "\0".repeat(500),
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff",
  ]) {
    const raw = connect(socket);
    raw.on("error", () => undefined);

    raw.resume().end(bytes, "latin1");
    await once(raw, "close");
  }
  await new ApiClient(t, `unix:${socket}`).call(protos.host.GetHost, {});
});

test("a caller on TCP is a scheduler, and is denied the operators' methods", async (t) => {
  const { tcpPort, socket, requests, host } = await startApi(t, { listen: "127.0.0.1:0" });
  const scheduler = new ApiClient(t, `127.0.0.1:${tcpPort ?? 0}`);
  const operator = new ApiClient(t, `unix:${socket}`);
  await scheduler.call(protos.vms.StartVm, { requestId: "1", vm: "v" });
  await operator.call(protos.vms.StartVm, { requestId: "1", vm: "v" });
  assert.deepEqual(
    requests.map(([, , caller]) => caller),
    ["tcp:127.0.0.1", "unix:operator"],
  );
  const cordon = { requestId: "2", state: "LIFECYCLE_STATE_CORDONED", reason: "disk" } as const;
  const denied = await errorOf(scheduler.call(protos.host.SetSchedulingState, cordon));
  assert.deepEqual([denied.code, denied.info.reason], [status.PERMISSION_DENIED, "ROLE_DENIED"]);
  assert.equal(host.now.scheduling.state, "active");
  const cordoned = await operator.call(protos.host.SetSchedulingState, cordon);
  assert.equal(cordoned.schedulingState, "LIFECYCLE_STATE_CORDONED");
});

test("every served method has a row in the table of methods, and no other has", () => {
  const { audit, vms, guests, operations, host, reservations, events, trust, health, reflection } = protos;
  const { storage, networks, images, screens, snapshots, backups } = protos;
  const agents = [
    audit,
    vms,
    guests,
    operations,
    host,
    reservations,
    events,
    trust,
    storage,
    networks,
    images,
    screens,
    snapshots,
    backups,
  ];
  const served = [...agents, health, reflection].flatMap((definition) =>
    Object.values(definition).map(({ path }) => path),
  );
  assert.deepEqual(Object.keys(methods).sort(), served.sort());
  for (const path of served) assert.ok((methods[path]?.roles.length ?? 0) > 0, path);
});

test("a deadline and a cancellation reach the work", async (t) => {
  const { socket, operations, vms } = await startApi(t);
  const { operation } = await operations.begin({
    requestId: "r",
    caller: "c",
    kind: "K",
    vmId: "v",
    fingerprint: "f",
    intent: {},
  });
  const client = new ApiClient(t, `unix:${socket}`);
  const wait = client.call(protos.operations.WaitOperation, { operationId: operation.id }, 100);
  const error = await wait.then(
    () => assert.fail("it ended"),
    (thrown: unknown) => thrown as ServiceError,
  );
  assert.equal(error.code, status.DEADLINE_EXCEEDED);

  let given: AbortSignal | undefined;
  const guest = new FakeConsole();
  vms.openConsole = (_vm, _options, signal) => {
    given = signal;
    return Promise.resolve(guest);
  };
  const call = client.bidi(protos.vms.Console);
  call.on("error", () => undefined);
  call.write({ vm: "v" });
  await eventually(() => given !== undefined);
  call.cancel();
  await eventually(() => given?.aborted);
  await eventually(() => guest.aborted);
});

test("a stop ends streams and waits with a status, and lets short calls finish", async (t) => {
  const api = await startApi(t);
  const { socket, operations } = api;
  const { operation } = await operations.begin({
    requestId: "r",
    caller: "c",
    kind: "K",
    vmId: "v",
    fingerprint: "f",
    intent: {},
  });
  const client = new ApiClient(t, `unix:${socket}`);
  const watch = client.stream(protos.vms.WatchVms, {});
  const watched = once(watch, "error");
  watch.on("data", () => undefined);
  const wait = errorOf(client.call(protos.operations.WaitOperation, { operationId: operation.id }));
  const health = client.stream(protos.health.Watch, {});
  health.on("error", () => undefined);
  const statuses: string[] = [];
  health.on("data", ({ status: each }: { status: string }) => statuses.push(each));
  await eventually(() => statuses.length === 1);
  await within(api.stop(), 60_000, "the stop");
  const [error] = (await watched) as [ServiceError];
  assert.equal(error.code, status.UNAVAILABLE);
  assert.deepEqual([(await wait).code, (await wait).info.reason], [status.UNAVAILABLE, "AGENT_STOPPING"]);
  assert.deepEqual(statuses, ["SERVING", "NOT_SERVING"]);
  await assert.rejects(access(socket), "the socket file is gone");
});

test("a client that disappears or never reads does not delay the stop", async (t) => {
  const api = await startApi(t);
  const { socket, table } = api;
  for (let i = 0; i < 500; i += 1)
    table.put(vm(`vm-${String(i).padStart(4, "0")}`, { labels: { x: "y".repeat(200) } }));
  const reader = new ApiClient(t, `unix:${socket}`).stream(protos.vms.WatchVms, {});
  reader.on("error", () => undefined);
  await once(reader, "metadata");
  reader.pause();
  const gone = new ApiClient(t, `unix:${socket}`);
  const vanishing = gone.stream(protos.vms.WatchVms, {});
  vanishing.on("error", () => undefined);
  await once(vanishing, "data");
  gone.client.close();
  vanishing.cancel();
  await within(api.stop(), 60_000, "the stop");
});

test("the health service reports whether the agent serves", async (t) => {
  const { socket, api } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const check = async (service: string) => (await client.call(protos.health.Check, { service })).status;
  assert.equal(await check(""), "SERVING");
  assert.equal(await check("socle.v1.VmService"), "SERVING");
  api.setServing(false);
  assert.equal(await check("socle.v1.VmService"), "NOT_SERVING");
  assert.equal((await errorOf(client.call(protos.health.Check, { service: "x" }))).code, status.NOT_FOUND);
});
