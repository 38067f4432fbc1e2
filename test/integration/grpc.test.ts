import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect as connectSocket, createServer, type Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { Client, credentials, status, type ServiceError } from "@grpc/grpc-js";
import type { ConsoleResponse__Output } from "../../agent/gen/socle/v1/ConsoleResponse.ts";
import type { WatchVmsResponse__Output } from "../../agent/gen/socle/v1/WatchVmsResponse.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { guestXml } from "../support/guest.ts";
import { untilUp } from "../support/linux-console.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually, within } from "../support/wait.ts";
import { operationService, vmService } from "../scheduler/contract.ts";

suite("the API of a real agent", { skip: libvirtdUnavailable(), timeout: 240_000 }, () => {
  let host: SocleHost;
  let client: Client;

  before(async () => {
    host = await SocleHost.start({ config: { vm: { accelerator: "tcg" } } });
    client = connect();
    await eventually(async () => (await host.list()).observation?.presence === "PRESENCE_PRESENT", {
      what: "libvirt to be listed",
    });
  });
  after(async () => {
    client.close();
    await host.stop();
  });

  const connect = (): Client =>
    new Client(`unix:${host.agent.socketPath}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });

  interface Callable<Request, Response> {
    readonly path: string;
    readonly requestSerialize: (request: Request) => Buffer;
    readonly responseDeserialize: (bytes: Buffer) => Response;
  }
  const call = <Request, Response>(
    method: Callable<Request, Response>,
    request: NoInfer<Request>,
    on: Client = client,
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + 30_000 };
      on.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        options,
        (error: ServiceError | null, response?: Response) => {
          if (error !== null) reject(error);
          else if (response !== undefined) resolve(response);
        },
      );
    });
  const refused = async (attempt: Promise<unknown>): Promise<ServiceError> =>
    await attempt.then(
      () => assert.fail("it was not refused"),
      (thrown: unknown) => thrown as ServiceError,
    );
  const openConsole = (on: Client) => {
    const { path, requestSerialize, responseDeserialize } = vmService.Console;
    const stream = on.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const received = { text: "", code: undefined as number | undefined };
    stream.on("data", ({ output }: ConsoleResponse__Output) => (received.text += output.toString("latin1")));
    stream.on("error", () => undefined);
    stream.on("status", ({ code }: { code: number }) => (received.code = code));
    return { stream, received };
  };

  test("a request that is sent twice, over two connections, creates one VM", async (t) => {
    const other = connect();
    t.after(() => other.close());
    const request = { requestId: randomUUID(), spec: bootSector("twice") };
    const [one, two] = await Promise.all([
      call(vmService.CreateVm, request),
      call(vmService.CreateVm, request, other),
    ]);
    assert.equal(one.operationId, two.operationId);
    const end = await host.end(one);
    assert.equal(end.state, "STATE_SUCCEEDED", end.error?.message);
    assert.equal((await host.domains()).filter((name) => name === "twice").length, 1);
    const another = { ...request, spec: bootSector("other") };
    const reused = await refused(call(vmService.CreateVm, another));
    assert.equal(reused.code, status.FAILED_PRECONDITION);
    const checked = await call(vmService.CreateVm, {
      requestId: randomUUID(),
      spec: bootSector("checked"),
      validateOnly: true,
    });
    assert.deepEqual([checked.done, checked.state], [true, "STATE_SUCCEEDED"]);
    assert.ok(!(await host.domains()).includes("checked"), "nothing was changed");
    await host.remove("twice");
  });

  test("a watch reports a guest's lifecycle", async () => {
    const { path, requestSerialize, responseDeserialize } = vmService.WatchVms;
    const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
      filter: { namePrefix: "life" },
    });
    watch.on("error", () => undefined);
    const reported: string[] = [];
    watch.on("data", ({ kind, vm }: WatchVmsResponse__Output) =>
      reported.push(`${kind} ${vm?.state ?? ""}`.trim()),
    );
    await eventually(() => reported.includes("KIND_SYNCED"));
    await host.create(bootSector("life"));
    await eventually(() => reported.at(-1)?.endsWith("VM_STATE_RUNNING"));
    await host.remove("life");
    await eventually(() => reported.at(-1)?.startsWith("KIND_REMOVED"));
    assert.match(reported[1] ?? "", /^KIND_ADDED/);
    watch.cancel();
  });

  test("an unmanaged VM is listed and never changed", async () => {
    const xml = guestXml({ name: "foreign", boot: { bootSector: host.files.bootSector } });
    const { writeFile } = await import("node:fs/promises");
    const file = `${host.agent.directory}/foreign.xml`;
    await writeFile(file, xml);
    await host.virsh("define", file);
    await eventually(async () =>
      (await host.list()).vms.some(({ name, managed }) => name === "foreign" && !managed),
    );
    const attempt = { requestId: randomUUID(), vm: "foreign", force: true };
    assert.equal((await refused(call(vmService.DeleteVm, attempt))).code, status.PERMISSION_DENIED);
    const start = { requestId: randomUUID(), vm: "foreign" };
    assert.equal((await refused(call(vmService.StartVm, start))).code, status.PERMISSION_DENIED);
    assert.equal(await host.virsh("domstate", "foreign"), "shut off");
    await host.virsh("undefine", "foreign");
  });

  test("a console is opened, taken over, and freed when its holder disconnects", async (t) => {
    await host.create(linux("talker"));
    // Its holder connects through a proxy that can cut the connection.
    const wires = new Set<Socket>();
    const relay = createServer((near) => {
      const far = connectSocket(host.agent.socketPath);
      for (const wire of [near, far]) wires.add(wire.on("error", () => undefined));
      near.pipe(far).pipe(near);
    });
    relay.listen(0, "127.0.0.1");
    await once(relay, "listening");
    t.after(() => relay.close());
    const at = relay.address();
    const holder = new Client(
      `127.0.0.1:${typeof at === "object" && at !== null ? at.port : 0}`,
      credentials.createInsecure(),
    );
    t.after(() => holder.close());
    const first = openConsole(holder);
    first.stream.write({ vm: "talker" });
    await untilUp(
      () => first.received.text,
      (input) => first.stream.write({ input }),
    );

    const second = openConsole(client);
    second.stream.write({ vm: "talker" });
    await eventually(() => second.received.code !== undefined);
    assert.notEqual(second.received.code, status.OK, "one at a time");

    // Without a half-close or a cancellation.
    for (const wire of wires) wire.destroy();
    const third = await eventually(async () => {
      const attempt = openConsole(client);
      attempt.stream.write({ vm: "talker" });
      attempt.stream.write({ input: Buffer.from("\n") });
      // The guest's shell replies on an open console.
      await eventually(() => attempt.received.code !== undefined || attempt.received.text !== "");
      return attempt.received.code === undefined && attempt;
    });
    const taker = openConsole(client);
    t.after(() => taker.stream.cancel());
    taker.stream.write({ vm: "talker", force: true });
    await eventually(() => third.received.code !== undefined, { what: "the one before to lose it" });
    await host.remove("talker");
    await eventually(() => taker.received.code !== undefined, { what: "the console to end with its guest" });
  });

  test("requests that are too large, unknown or malformed are refused, and the agent runs on", async () => {
    const big = await refused(call(vmService.GetVm, { vm: "x".repeat(5_000_000) }));
    assert.equal(big.code, status.RESOURCE_EXHAUSTED);
    assert.equal((await refused(call(vmService.GetVm, { vm: "missing" }))).code, status.NOT_FOUND);
    assert.equal((await refused(call(vmService.GetVm, { vm: "\ud800" }))).code, status.NOT_FOUND);
    const garbled = { ...vmService.CreateVm, requestSerialize: () => Buffer.from([0x12, 0xff, 0xff, 0xff]) };
    assert.equal((await refused(call(garbled, {}))).code, status.INVALID_ARGUMENT);
    const nothing = { ...vmService.GetVm, path: "/socle.v1.VmService/Nothing" };
    assert.equal((await refused(call(nothing, {}))).code, status.UNIMPLEMENTED);
    await call(operationService.ListOperations, {});
  });

  test("protobuf's own library builds the contract from the agent's reflection", async (t) => {
    if (!existsSync("/usr/lib/python3/dist-packages/grpc")) {
      t.skip("python3-grpcio is not installed");
      return;
    }
    const { stdout } = await promisify(execFile)(
      "/usr/bin/python3",
      [`${import.meta.dirname}/reflect.py`, `unix:${host.agent.socketPath}`, "socle.v1.VmService"],
      { timeout: 20_000 },
    );
    assert.deepEqual(stdout.trim().split("\n"), [
      "socle.v1.VmService in socle/v1/vm.proto",
      "CreateVm(socle.v1.CreateVmRequest) returns socle.v1.Operation",
    ]);
  });

  test("an agent whose port is in use exits with an error that names it", async (t) => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    t.after(() => taken.close());
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const config = { libvirt: { uri: "test:///default" }, api: { listen: `127.0.0.1:${port}` } };
    await assert.rejects(AgentProcess.start({ config }), new RegExp(`127\\.0\\.0\\.1:${port} is in use`));
  });

  test("a stopping agent ends its clients' streams and exits", async () => {
    const { path, requestSerialize, responseDeserialize } = vmService.WatchVms;
    const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
    watch.resume();
    const over = once(watch, "error");
    await once(watch, "metadata");
    assert.equal(await within(host.agent.terminate(), 60_000, "the agent's end"), 0, host.agent.output());
    const [error] = (await over) as [ServiceError];
    assert.equal(error.code, status.UNAVAILABLE);
    assert.match(error.details, /is stopping/);
  });
});
