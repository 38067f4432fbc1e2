import assert from "node:assert/strict";
import { createServer, connect, type Socket } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { ServiceDependencies } from "../../../../agent/api/services/dependencies.ts";
import type { CallContext } from "../../../../agent/api/services/handler.ts";
import { screenService, type ScreenBounds } from "../../../../agent/api/services/screen-service.ts";
import type { Caller } from "../../../../agent/api/auth/identity.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { folder } from "../../../support/state/folder.ts";
import { startApi, vm } from "../../../support/api/harness.ts";
import { eventually } from "../../../support/wait.ts";

const operator: Caller = { name: "unix:operator", role: "operator" };
const blue: Caller = { name: "spiffe://c/blue", role: "scheduler", tenant: "blue" };
const red: Caller = { name: "spiffe://c/red", role: "scheduler", tenant: "red" };

/** A screen that says "hello" and repeats what it gets, in the place of QEMU's. */
async function stage(t: TestContext, bounds?: ScreenBounds) {
  const api = await startApi(t);
  const path = join(await folder(t), "screen");
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => open.delete(socket));
    socket.write("hello");
    socket.pipe(socket);
  });
  server.listen(path);
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const screens: ServiceDependencies["screens"] = {
    require: () => undefined,
    connect: async () => {
      const socket = connect(path);
      await once(socket, "connect");
      return socket;
    },
    screenshot: () => {
      throw new Error("no screenshots here");
    },
  };
  const clock = new FakeClock();
  const service = screenService({ ...api.dependencies, screens }, clock, bounds);
  for (const tenant of ["blue", "red"]) api.table.put({ ...vm(`${tenant}-vm`), tenant, managed: true });
  const end = new AbortController();
  t.after(() => end.abort());
  const as = (caller: Caller, signal = end.signal): CallContext => ({
    caller,
    signal,
    slice: () => Slice.thatRests(() => Promise.resolve()),
  });
  const ticketOf = async (name: string, caller: Caller): Promise<string> =>
    (await service.CreateScreenTicket({ vm: name }, as(caller))).ticket ?? "";
  const attempt = async (name: string, ticket: string, caller: Caller): Promise<string> => {
    async function* requests() {
      yield await Promise.resolve({ vm: name, ticket, data: Buffer.alloc(0) });
      await once(end.signal, "abort");
    }
    try {
      for await (const { data } of service.OpenScreen(requests(), as(caller))) return String(data);
      return "ended";
    } catch (thrown) {
      return toSocleError(thrown).reason;
    }
  };
  return { api, service, clock, open, as, ticketOf, attempt, end };
}

test("a ticket opens the screen of its VM once, for its caller, and before it expires", async (t) => {
  const { clock, open, ticketOf, attempt } = await stage(t);
  const ticket = await ticketOf("blue-vm", blue);
  assert.match(ticket, /^[\w-]{43}$/);
  assert.equal(await attempt("blue-vm", ticket, blue), "hello");
  assert.equal(await attempt("blue-vm", ticket, blue), "SCREEN_TICKET_INVALID", "used");
  assert.equal(
    await attempt("blue-vm", await ticketOf("blue-vm", blue), operator),
    "SCREEN_TICKET_INVALID",
    "of another caller",
  );
  assert.equal(
    await attempt("red-vm", await ticketOf("blue-vm", operator), operator),
    "SCREEN_TICKET_INVALID",
    "of another VM",
  );
  const late = await ticketOf("blue-vm", blue);
  clock.advance(30_000);
  assert.equal(await attempt("blue-vm", late, blue), "SCREEN_TICKET_INVALID", "expired");
  const onTime = await ticketOf("blue-vm", blue);
  clock.advance(29_999);
  assert.equal(await attempt("blue-vm", onTime, blue), "hello");
  await eventually(() => open.size === 0, { what: "the screens to be closed" });
});

test("a tenant neither gets a ticket for another tenant's VM nor uses one", async (t) => {
  const { service, as, ticketOf, attempt } = await stage(t);
  const refused = async (caller: Caller): Promise<string> =>
    await ticketOf("blue-vm", caller).catch((thrown: unknown) => toSocleError(thrown).reason);
  assert.equal(await refused(red), "VM_NOT_FOUND");
  const ticket = await ticketOf("blue-vm", blue);
  assert.equal(await attempt("blue-vm", ticket, red), "VM_NOT_FOUND");
  assert.equal(await attempt("blue-vm", ticket, blue), "hello", "the attempt did not take it");
  await assert.rejects(
    async () => {
      for await (const _ of service.GetScreenshot({ vm: "blue-vm", screen: 0 }, as(red))) assert.fail();
    },
    { reason: "VM_NOT_FOUND" },
  );
});

test("a VM that is made again with the same id needs a new ticket", async (t) => {
  const { api, ticketOf, attempt } = await stage(t);
  const put = (instance: string): void =>
    api.table.put({ ...vm("again"), tenant: "blue", managed: true, instance, etag: instance });
  put("first");
  const ticket = await ticketOf("again", blue);
  put("second");
  assert.equal(await attempt("again", ticket, blue), "SCREEN_TICKET_INVALID");
});

test("unused tickets of a caller are bounded, and expire", async (t) => {
  const { clock, ticketOf } = await stage(t);
  for (let each = 0; each < 16; each += 1) await ticketOf("blue-vm", blue);
  await assert.rejects(ticketOf("blue-vm", blue), { reason: "SCREEN_TICKETS_EXHAUSTED" });
  await ticketOf("red-vm", red);
  clock.advance(30_000);
  await ticketOf("blue-vm", blue);
});

test("a screen carries bytes both ways, and ends with its viewer, its guest and its bounds", async (t) => {
  const { service, as, open, ticketOf } = await stage(t, { idleMs: 300, totalMs: 3_600_000 });
  const ask = async function* (typed: Promise<unknown>) {
    yield { vm: "blue-vm", ticket: await ticketOf("blue-vm", blue), data: Buffer.alloc(0) };
    yield { vm: "", ticket: "", data: Buffer.from("typed") };
    await typed;
  };
  let leave: (value?: unknown) => void = () => undefined;
  let seen = "";
  for await (const { data } of service.OpenScreen(
    ask(new Promise((resolve) => (leave = resolve))),
    as(blue),
  )) {
    seen += String(data);
    if (seen === "hellotyped") leave();
  }
  assert.equal(seen, "hellotyped", "the viewer left");

  const never = new Promise(() => undefined);
  for await (const _ of service.OpenScreen(ask(never), as(blue))) for (const socket of open) socket.end();
  await assert.rejects(
    async () => {
      for await (const _ of service.OpenScreen(ask(never), as(blue)));
    },
    { kind: "timeout", reason: "SCREEN_IDLE" },
  );
  await eventually(() => open.size === 0, { what: "the screens to be closed" });
});
