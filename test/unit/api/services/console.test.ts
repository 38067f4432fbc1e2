import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { status, type ServiceError } from "@grpc/grpc-js";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { eventually } from "../../../support/wait.ts";
import { ApiClient, FakeConsole, protos, startApi } from "../../../support/api/harness.ts";

test("a console carries data both ways, and ends with either side", async (t) => {
  const { socket, vms } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const guest = new FakeConsole();
  const opened: unknown[] = [];
  vms.openConsole = (name, options) => {
    opened.push([name, options]);
    return Promise.resolve(guest);
  };
  const call = client.bidi(protos.vms.Console);
  let output = "";
  call.on("data", ({ output: bytes }: { output: Buffer }) => (output += bytes.toString()));
  call.write({ vm: "web", force: true, input: Buffer.from("hello") });
  guest.print("login: ");
  await eventually(() => output === "login: ");
  call.write({ input: Buffer.from("root\n") });
  await eventually(() => guest.typed.length === 2);
  assert.deepEqual([opened, guest.typed], [[["web", { force: true }]], ["hello", "root\n"]]);
  const endOf = once(call, "status");
  call.end();
  const [ended] = (await endOf) as [{ code: number }];
  assert.deepEqual([ended.code, guest.aborted], [status.OK, true]);

  const second = new FakeConsole();
  vms.openConsole = () => Promise.resolve(second);
  const other = client.bidi(protos.vms.Console);
  other.resume();
  other.write({ vm: "web" });
  second.print("bye");
  second.end();
  const [over] = (await once(other, "status")) as [{ code: number }];
  assert.equal(over.code, status.OK, "the guest ended it");
});

test("a refused console reports its reason", async (t) => {
  const { socket, vms } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const failure = async (first: object): Promise<ServiceError> => {
    const call = client.bidi(protos.vms.Console);
    call.resume();
    call.write(first);
    const [error] = (await once(call, "error")) as [ServiceError];
    return error;
  };
  assert.equal((await failure({ input: Buffer.from("x") })).code, status.INVALID_ARGUMENT);
  vms.openConsole = () => Promise.reject(new SocleError("conflict", "CONSOLE_HELD", "another has it"));
  assert.match((await failure({ vm: "v" })).details, /another has it/);
});

test("a caller that reads late gets a console's output and then why it ended", async (t) => {
  const { socket, vms } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  // The second piece waits for the caller, whose window has 64 KiB.
  const piece = Buffer.alloc(40 * 1024, "x");
  let failed: () => void = () => undefined;
  const failure = new Promise<void>((resolve) => (failed = resolve));
  vms.openConsole = () =>
    Promise.resolve({
      write: () => Promise.resolve(),
      abort: () => {
        failed();
        return Promise.resolve();
      },
      async *[Symbol.asyncIterator]() {
        yield piece;
        yield await Promise.resolve(piece);
        throw new SocleError("unavailable", "CONSOLE_TAKEN_OVER", "taken over");
      },
    });
  const call = client.bidi(protos.vms.Console);
  call.write({ vm: "web" });
  await failure;
  let bytes = 0;
  call.on("data", ({ output }: { output: Buffer }) => (bytes += output.length));
  const [error] = (await once(call, "error", { signal: AbortSignal.timeout(30_000) })) as [ServiceError];
  assert.deepEqual([error.code, error.details], [status.UNAVAILABLE, "taken over"]);
  assert.equal(bytes, 2 * piece.length);
});
