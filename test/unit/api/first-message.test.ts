import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { status, type ServiceError } from "@grpc/grpc-js";
import { FIRST_MESSAGE_MS } from "../../../agent/api/call-streams.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { ApiClient, errorOf, FakeConsole, protos, startApi } from "../../support/api/harness.ts";
import { eventually } from "../../support/wait.ts";

/** Ends the waits for first messages once it is called. */
function heldClock(): { clock: Clock; pass: () => void; waiting: () => number } {
  const waits = new Set<() => void>();
  const sleep: Clock["sleep"] = (ms, signal) =>
    ms === FIRST_MESSAGE_MS
      ? new Promise((resolve, reject) => {
          waits.add(resolve);
          signal?.addEventListener("abort", () => {
            waits.delete(resolve);
            reject(new Error("over"));
          });
        })
      : systemClock.sleep(ms, signal);
  return {
    clock: { ...systemClock, sleep },
    pass: () => {
      for (const end of waits) end();
    },
    waiting: () => waits.size,
  };
}

test("a stream whose first message does not come ends with a deadline, and one that has begun stays", async (t) => {
  const { clock, pass, waiting } = heldClock();
  const { socket, vms } = await startApi(t, {}, undefined, undefined, {}, undefined, {}, clock);
  const client = new ApiClient(t, `unix:${socket}`);
  const guest = new FakeConsole();
  vms.openConsole = () => Promise.resolve(guest);
  const begun = client.bidi(protos.vms.Console);
  let output = "";
  begun.on("data", ({ output: bytes }: { output: Buffer }) => (output += bytes.toString()));
  begun.on("error", () => undefined);
  begun.write({ vm: "web" });
  guest.print("login: ");
  await eventually(() => output === "login: ");
  const silent = [
    client.bidi(protos.vms.Console),
    client.bidi(protos.screens.OpenScreen),
    client.bidi(protos.backups.RestoreDisk),
    client.bidi(protos.images.UploadImage),
    client.bidi(protos.reflection.ServerReflectionInfo),
  ];
  const ends = silent.map(async (call) => {
    call.resume();
    const failure = once(call, "error").then(([error]: unknown[]) => Promise.reject(error as ServiceError));
    const { code, info } = await errorOf(failure);
    return [code, info.reason];
  });
  await eventually(() => waiting() === silent.length);
  pass();
  for (const end of await Promise.all(ends))
    assert.deepEqual(end, [status.DEADLINE_EXCEEDED, "FIRST_MESSAGE_MISSING"]);
  guest.print("bye");
  await eventually(() => output === "login: bye");
  begun.cancel();
});
