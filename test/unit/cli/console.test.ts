import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, rpcError, socle } from "../../support/cli/fake-agent.ts";

/** A terminal that records its settings. */
function terminal(): PassThrough & { isTTY: boolean; modes: boolean[]; setRawMode(raw: boolean): unknown } {
  const modes: boolean[] = [];
  return Object.assign(new PassThrough(), {
    isTTY: true,
    modes,
    setRawMode: (raw: boolean) => modes.push(raw),
  });
}

test("console passes keys and output unchanged, until Ctrl-]", async (context) => {
  const received: Buffer[] = [];
  let opened: [string, boolean] | undefined;
  const socket = await fakeAgent(context, {
    vms: {
      Console: (call) => {
        call.on("data", ({ vm, force, input }: { vm: string; force: boolean; input: Buffer }) => {
          opened ??= [vm, force];
          if (input.length === 0) call.write({ output: Buffer.from("login: ") });
          else {
            received.push(input);
            call.write({ output: Buffer.from([0x1b, 0x5b, 0x48, 0xff]) });
          }
        });
      },
    },
  });
  const stdin = terminal();
  const { exitCode, stderr } = await socle(["vm", "console", "web-1", "--force"], {
    socket,
    stdin,
    onStdout: (text) => {
      if (text === "login: ") stdin.write("\u0003root\r");
      else stdin.write(Buffer.from([0x61, 0x1d, 0x62]));
    },
  });
  assert.equal(exitCode, 0);
  assert.deepEqual(opened, ["web-1", true]);
  assert.equal(Buffer.concat(received).toString().replace(/a$/, ""), "\u0003root\r");
  assert.match(stderr, /^Console of web-1; Ctrl-\] leaves\.\n\r\nLeft the console\.\r\n$/);
  assert.deepEqual(stdin.modes, [true, false]);
});

test("console restores the terminal when the agent refuses or disconnects", async (context) => {
  const socket = await fakeAgent(context, {
    vms: {
      Console: (call) => {
        const refusal = rpcError(protos, status.FAILED_PRECONDITION, "web-1 is stopped", {
          reason: "VM_STOPPED",
        });
        call.emit("error", refusal);
      },
    },
  });
  const stdin = terminal();
  const { exitCode, stderr } = await socle(["vm", "console", "web-1"], { socket, stdin });
  assert.equal(exitCode, 5);
  assert.match(stderr, /socle: web-1 is stopped\n$/);
  assert.deepEqual(stdin.modes, [true, false]);
});

test("console ends with the VM, and reads input without a terminal", async (context) => {
  const socket = await fakeAgent(context, {
    vms: {
      Console: (call) => {
        call.on("data", ({ input }: { input: Buffer }) => {
          if (input.length === 0) return;
          call.write({ output: Buffer.concat([Buffer.from("echo "), input]) });
          call.end();
        });
      },
    },
  });
  const { exitCode, stdout, stderr } = await socle(["vm", "console", "web-1"], {
    socket,
    stdin: new PassThrough().end("poweroff\n\u001d"),
  });
  assert.deepEqual([exitCode, stdout, stderr], [0, "echo poweroff\n\u001d", ""]);
});
