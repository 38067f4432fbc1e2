import assert from "node:assert/strict";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago, operation, vmId } from "../../support/cli/samples.ts";

test("operations are listed and shown with their steps and their error", async (context) => {
  const failed = operation({
    state: "STATE_FAILED",
    error: {
      code: status.UNAVAILABLE,
      message: "libvirt does not answer",
      details: [
        {
          type_url: "type.googleapis.com/google.rpc.ErrorInfo",
          value: protos.errorInfo.serialize({ reason: "LIBVIRT_DOWN" }),
        },
      ],
    },
    createdAt: ago(3600),
    endedAt: { seconds: ago(3600).seconds + 2, nanos: 0 },
  });
  const socket = await fakeAgent(context, {
    operations: {
      ListOperations: (_call, done) => done(null, { operations: [failed] }),
      GetOperation: (_call, done) => done(null, failed),
    },
  });
  assert.equal(
    (await socle(["operations", "ls"], { socket })).stdout,
    `OPERATION  KIND      STATE   STEP   PROGRESS  AGE  TOOK  VM
op-1       START_VM  failed  start      100%   1h  2.0s  ${vmId}
`,
  );
  assert.equal(
    (await socle(["operations", "show", "op-1"], { socket })).stdout,
    `operation   op-1
request id  r-1
kind        START_VM
vm          ${vmId}
caller      unix:0
state       failed
begun       1h ago
took        2.0s
error       LIBVIRT_DOWN: libvirt does not answer

STEP   OUTCOME  TOOK
start  done     1.5s
`,
  );
  const waited = await socle(["operations", "wait", "op-1"], { socket });
  assert.equal(waited.exitCode, 4);
  assert.match(waited.stderr, /done {3}start {2}1\.5s\nsocle: libvirt does not answer/);
});

test("an operation shows who cancelled it", async (context) => {
  const cancelled = operation({ state: "STATE_CANCELLED", cancelledBy: "unix:operator\u001b[31m" });
  const socket = await fakeAgent(context, {
    operations: { GetOperation: (_call, done) => done(null, cancelled) },
  });
  const { stdout } = await socle(["operations", "show", "op-1"], { socket });
  assert.match(stdout, /^state +cancelled\ncancelled by +unix:operator\ufffd\[31m$/m);
});

test("an operation shows its person and its ticket", async (context) => {
  const behalf = operation({
    person: "ann@example",
    ticket: "CHG-7\u001b[31m",
    breakGlass: "the provider is down",
  });
  const socket = await fakeAgent(context, {
    operations: {
      GetOperation: (_call, done) => done(null, behalf),
      ListOperations: (_call, done) => done(null, { operations: [behalf, operation({ ticket: "CHG-8" })] }),
    },
  });
  const { stdout } = await socle(["operations", "show", "op-1"], { socket });
  assert.match(stdout, /^person +ann@example\nticket +CHG-7\ufffd\[31m\nbreak-glass +the provider is down$/m);
  const listed = (await socle(["operations", "ls"], { socket })).stdout;
  assert.match(listed, /WHO +WHY *\n.*ann@example +the provider is down *\n.* - +CHG-8/);
});

test("an end that is newer than the command is shown by its number", async (context) => {
  const ended = operation({ state: 4711 as never });
  const socket = await fakeAgent(context, {
    operations: { GetOperation: (_call, done) => done(null, ended) },
  });
  const { exitCode, stderr } = await socle(["operations", "wait", "op-1"], { socket });
  assert.equal(exitCode, 1);
  assert.match(stderr, /the operation ended as 4711/);
});

test("an operation with a decided and unrecorded end offers no settlement and blocks nothing", async (context) => {
  const decided = operation({ state: "STATE_OUTCOME_UNKNOWN", done: false, endDecided: true });
  const socket = await fakeAgent(context, {
    operations: {
      GetOperation: (_call, done) => done(null, decided),
      WatchOperations: (call) => {
        call.write(decided);
        call.write(operation());
        call.end();
      },
    },
  });
  const { stdout } = await socle(["operations", "show", "op-1"], { socket });
  assert.match(stdout, /^end +decided; it shows once libvirt or the state directory records it$/m);
  assert.match(stdout, /^meanwhile +other changes of this VM are accepted$/m);
  assert.doesNotMatch(stdout, /UNSETTLED|operations settle/);
  const { stderr } = await socle(["operations", "wait", "op-1"], { socket });
  assert.match(stderr, /its end is decided/);
  assert.doesNotMatch(stderr, /libvirt does not answer/);
});

test("an operation with an unknown outcome is shown with its remedy, and settled by a person", async (context) => {
  const unknown = operation({ state: "STATE_OUTCOME_UNKNOWN", done: false });
  const requests: unknown[] = [];
  const socket = await fakeAgent(context, {
    operations: {
      GetOperation: (_call, done) => done(null, unknown),
      SettleOperation: ({ request }, done) => {
        requests.push(request);
        done(null, operation({ state: "STATE_SUCCEEDED" }));
      },
    },
  });
  const { stdout } = await socle(["operations", "show", "op-1"], { socket });
  assert.match(stdout, /OPERATION_UNSETTLED/);
  assert.match(stdout, /socle operations settle op-1 --as done\|not-done/);
  const settled = await socle(["operations", "settle", "op-1", "--as", "not-done"], { socket });
  assert.equal(settled.stdout, `START_VM ${vmId}: succeeded\n`);
  assert.deepEqual(requests, [{ operationId: "op-1", outcome: "OUTCOME_NOT_DONE" }]);
  for (const wrong of [[], ["--as", "maybe"]])
    assert.equal((await socle(["operations", "settle", "op-1", ...wrong], { socket })).exitCode, 2);
});

test("an operation whose disk is in doubt is settled as its error says, and not as done", async (context) => {
  for (const reason of ["MOVE_IN_DOUBT", "MERGE_IN_DOUBT"]) {
    const value = protos.errorInfo.serialize({ reason });
    const details = [{ type_url: "type.googleapis.com/google.rpc.ErrorInfo", value }];
    const error = { code: status.UNKNOWN, message: "two files", details };
    const doubt = operation({ state: "STATE_OUTCOME_UNKNOWN", done: false, error });
    const socket = await fakeAgent(context, {
      operations: { GetOperation: (_call, done) => done(null, doubt) },
    });
    const { stdout } = await socle(["operations", "show", "op-1"], { socket });
    assert.match(stdout, /Do not settle it as done/, reason);
    assert.doesNotMatch(stdout, /--as done/);
  }
});
