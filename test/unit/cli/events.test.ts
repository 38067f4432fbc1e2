import assert from "node:assert/strict";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import type { SubscribeRequest__Output } from "../../../agent/gen/socle/v1/SubscribeRequest.ts";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, rpcError, socle } from "../../support/cli/fake-agent.ts";
import { event, host } from "../../support/cli/samples.ts";

test("events print one line each, begin where requested and end with the newest", async (context) => {
  const requests: SubscribeRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        requests.push(call.request);
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
    requests.map(({ afterSequence }) => afterSequence),
    [10, 0],
  );
  assert.equal((await socle(["events", "--kind", "nonsense"], { socket })).exitCode, 2);
});

test("events --follow ends with Ctrl-C and exit code 0", async (context) => {
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

test("events continue after the last one when the agent is back", async (context) => {
  const requests: number[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        requests.push(call.request.afterSequence);
        call.write(event(12 + requests.length));
        const gone = Object.assign(new Error("gone"), {
          code: status.UNAVAILABLE,
          details: "the agent stops",
        });
        if (requests.length === 1) call.emit("error", gone);
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
  assert.deepEqual(requests, [12, 13]);
  assert.equal(stderr, "the agent stops; waiting for the agent\n");
});

test("events of a rolled back state are not taken for those after the last one", async (context) => {
  const requests: string[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        const { afterSequence, logId } = call.request;
        requests.push(`${afterSequence} ${logId}`);
        const refusal = { reason: "EVENT_LOG_REPLACED", metadata: { log_id: "log-2" } };
        if (logId === "log-1" && afterSequence === 13)
          call.emit("error", rpcError(protos, status.OUT_OF_RANGE, "another event log", refusal));
        else if (requests.length === 1) {
          call.write(event(13, { logId: "log-1" }));
          call.emit("error", Object.assign(new Error("gone"), { code: status.UNAVAILABLE, details: "gone" }));
        } else {
          call.write(event(9, { logId: "log-2", agentEpoch: 2 }));
          call.write(event(14, { logId: "log-2" }));
        }
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
  assert.match(stdout, /^[^\n]* 13 [^\n]*\n[^\n]* 14 [^\n]*\n$/);
  assert.deepEqual(requests, ["12 ", "13 log-1", "0 "]);
  assert.match(stderr, /another event log; its events since the agent's start follow\n$/);
});
