import assert from "node:assert/strict";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import type { SubscribeRequest__Output } from "../../../agent/gen/socle/v1/SubscribeRequest.ts";
import { fakeAgent, socle } from "./fake-agent.ts";
import { event, host } from "./samples.ts";

test("events print a line each, begin where they are told and end with the newest", async (context) => {
  const asked: SubscribeRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        asked.push(call.request);
        call.write(event(11));
        call.write(
          event(12, {
            kind: "EVENT_KIND_VM_IO_ERROR",
            vmState: "VM_STATE_UNSPECIFIED",
            reason: "ENOSPC",
            details: { device: "vda" },
          }),
        );
      },
    },
  });
  const { exitCode, stdout } = await socle(["events", "--after", "10", "--no-follow"], { socket });
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    `2026-01-02 03:04:05.678Z      11  vm_state_changed  web-1  running  BOOTED
2026-01-02 03:04:05.678Z      12  vm_io_error  web-1  ENOSPC  device=vda
`,
  );
  const filtered = await socle(["events", "--no-follow", "--kind", "vm-io-error", "--json"], { socket });
  const lines = filtered.stdout.trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence),
    [12],
  );
  assert.deepEqual(
    asked.map(({ afterSequence }) => afterSequence),
    [10, 0],
  );
  assert.equal((await socle(["events", "--kind", "nonsense"], { socket })).exitCode, 2);
});

test("events follow until Ctrl-C, which is a good end", async (context) => {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: { Subscribe: (call) => void call.write(event(13)) },
  });
  const { exitCode, stdout, stderr } = await socle(["events"], {
    socket,
    onStdout: () => process.emit("SIGINT"),
  });
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(stdout, / 13 {2}vm_state_changed/);
});

test("events go on where they were when the agent comes back", async (context) => {
  const asked: number[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        asked.push(call.request.afterSequence);
        call.write(event(12 + asked.length));
        const gone = Object.assign(new Error("gone"), {
          code: status.UNAVAILABLE,
          details: "the agent stops",
        });
        if (asked.length === 1) call.emit("error", gone);
      },
    },
  });
  const { exitCode, stdout, stderr } = await socle(["events"], {
    socket,
    onStdout: (text) => {
      if (text.includes(" 14 ")) process.emit("SIGINT");
    },
  });
  assert.equal(exitCode, 0);
  assert.equal(stdout.trim().split("\n").length, 2);
  assert.deepEqual(asked, [12, 13]);
  assert.equal(stderr, "the agent stops; waiting for the agent\n");
});
