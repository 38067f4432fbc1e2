import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test, { type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import type { DeleteVmRequest__Output } from "../../../agent/gen/socle/v1/DeleteVmRequest.ts";
import type { StopVmRequest__Output } from "../../../agent/gen/socle/v1/StopVmRequest.ts";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, rpcError, rpcStatus, socle } from "../../support/cli/fake-agent.ts";
import { operation, vm, vmId } from "../../support/cli/samples.ts";
import { running, endsWith } from "../../support/cli/change-stage.ts";

test("a change is followed to its end: steps on stderr, the outcome on stdout", async (context) => {
  const requestIds: string[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      StartVm: (call, done) => {
        requestIds.push(call.request.requestId);
        done(null, running);
      },
    },
    operations: endsWith(operation({ result: { console: "ready" } })),
  });
  const { exitCode, stdout, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.equal(exitCode, 0);
  assert.equal(stdout, `start vm web-1: done in 2.0s\n  id: ${vmId}\n  console: ready\n`);
  assert.equal(stderr, "  done   start  1.5s\n");
  await socle(["vm", "start", "web-1"], { socket });
  assert.match(requestIds[0] ?? "", /^[0-9a-f-]{36}$/);
  assert.notEqual(requestIds[0], requestIds[1]);
  await socle(["vm", "start", "web-1", "--request-id", "mine"], { socket });
  assert.equal(requestIds[2], "mine");
});

test("--json prints the operation and nothing else", async (context) => {
  const socket = await fakeAgent(context, {
    vms: { RebootVm: (_call, done) => done(null, running) },
    operations: endsWith(operation({ kind: "REBOOT_VM" })),
  });
  const { stdout, stderr } = await socle(["vm", "reboot", "web-1", "--json"], { socket });
  assert.equal((JSON.parse(stdout) as { state: string }).state, "STATE_SUCCEEDED");
  assert.equal(stderr, "");
});

test("--no-wait prints the operation's id", async (context) => {
  const socket = await fakeAgent(context, { vms: { PauseVm: (_call, done) => done(null, running) } });
  const { exitCode, stdout } = await socle(["vm", "pause", "web-1", "--no-wait"], { socket });
  assert.deepEqual([exitCode, stdout], [0, "op-1\n"]);
});

test("a failed operation exits by its error's kind, and prints its rollback", async (context) => {
  const error = rpcStatus(protos, status.RESOURCE_EXHAUSTED, "cell 0 has 1 GiB left", {
    reason: "CAPACITY",
  });
  const steps = [
    {
      name: "define",
      startedAt: { seconds: 1, nanos: 0 },
      endedAt: { seconds: 1, nanos: 1e8 },
      outcome: "undone",
    },
    {
      name: "start",
      startedAt: { seconds: 1, nanos: 0 },
      endedAt: { seconds: 2, nanos: 0 },
      outcome: "failed",
    },
  ];
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: endsWith(operation({ state: "STATE_FAILED", error, steps })),
  });
  const { exitCode, stdout, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.deepEqual([exitCode, stdout], [5, ""]);
  assert.equal(stderr, "  undone define  0.1s\n  failed start  1.0s\nsocle: cell 0 has 1 GiB left\n");
});

test("--timeout leaves the operation running, and prints how to find it again", async (context) => {
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: endsWith(),
  });
  const { exitCode, stderr } = await socle(["vm", "start", "web-1", "--timeout", "100ms"], { socket });
  assert.equal(exitCode, 6);
  assert.match(stderr, /did not end in 0\.1s: it goes on; see socle operations wait op-1/);
});

test("Ctrl-C leaves the operation running", async (context) => {
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: {
      WatchOperations: (call) => {
        call.write(running);
        process.emit("SIGINT");
      },
    },
  });
  const { exitCode, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.equal(exitCode, 130);
  assert.match(stderr, /interrupted: it goes on; see socle operations wait op-1/);
});

test("an unknown outcome is printed as unknown", async (context) => {
  const unknown = operation({ ...running, state: "STATE_OUTCOME_UNKNOWN" });
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: endsWith(unknown, unknown, operation()),
  });
  const { exitCode, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.equal(exitCode, 0);
  assert.equal(stderr.match(/the agent finds out the outcome/g)?.length, 1);
});

test("stop prints the grace and the force of the stop", async (context) => {
  const requests: StopVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      StopVm: (call, done) => {
        requests.push(call.request);
        done(null, operation());
      },
    },
  });
  await socle(["vm", "stop", "web-1"], { socket });
  await socle(["vm", "stop", "web-1", "--grace", "1500ms", "--force"], { socket });
  await socle(["vm", "stop", "web-1", "--grace", "0", "--force"], { socket });
  assert.deepEqual(
    requests.map(({ gracefulTimeout, force }) => [gracefulTimeout, force]),
    [
      [null, false],
      [{ seconds: 1, nanos: 5e8 }, true],
      [{ seconds: 0, nanos: 0 }, true],
    ],
  );
  assert.equal((await socle(["vm", "stop", "web-1", "--grace", "soon"], { socket })).exitCode, 2);
  const unforced = await socle(["vm", "stop", "web-1", "--grace", "0"], { socket });
  assert.equal(unforced.exitCode, 2);
  assert.match(unforced.stderr, /add --force to cut its power/);
  assert.equal(requests.length, 3, "the stop was not requested of the agent");
});

async function deleter(
  context: TestContext,
): Promise<{ socket: string; requests: DeleteVmRequest__Output[] }> {
  const requests: DeleteVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      GetVm: (_call, done) => done(null, vm()),
      DeleteVm: (call, done) => {
        requests.push(call.request);
        done(null, operation({ kind: "DELETE_VM" }));
      },
    },
  });
  return { socket, requests };
}

test("rm asks for confirmation, shows what it deletes, and deletes exactly that", async (context) => {
  const { socket, requests } = await deleter(context);
  const answer = (text: string) => Object.assign(new PassThrough(), { isTTY: true }).end(text);
  const no = await socle(["vm", "rm", "web-1"], { socket, stdin: answer("n\n") });
  assert.equal(no.exitCode, 5);
  assert.match(
    no.stderr,
    /VM web-1 \(.*\), running\n {2}is destroyed: disk root .*\n {2}is kept: disk data .*\nDelete web-1\?/,
  );
  assert.match(no.stderr, /nothing was deleted/);
  const nothing = await socle(["vm", "rm", "web-1"], { socket, stdin: answer("") });
  assert.equal(nothing.exitCode, 130);
  assert.equal(requests.length, 0);
  const yes = await socle(["vm", "rm", "web-1"], { socket, stdin: answer("yes\n") });
  assert.equal(yes.exitCode, 0);
  await socle(["vm", "rm", "web-1", "--yes", "--keep-disks", "--force"], { socket, stdin: answer("") });
  assert.deepEqual(
    requests.map(({ etag, keepDisks, force }) => [etag, keepDisks, force]),
    [
      ["e1", false, false],
      ["", true, true],
    ],
  );
});

test("rm deletes nothing without --yes where it cannot ask: no terminal, --json", async (context) => {
  const { socket, requests } = await deleter(context);
  const terminal = Object.assign(new PassThrough(), { isTTY: true }).end("yes\n");
  const refusals = [
    await socle(["vm", "rm", "web-1"], { socket }),
    await socle(["vm", "rm", "web-1", "--json"], { socket }),
    await socle(["vm", "rm", "web-1", "--json"], { socket, stdin: terminal }),
    await socle(["vm", "rm", "web-1", "--keep-disks", "--force"], { socket }),
  ];
  for (const { exitCode, stderr } of refusals) {
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, /VM web-1 was not deleted: .*--yes/);
  }
  assert.deepEqual(requests, []);
  assert.equal((await socle(["vm", "rm", "web-1", "--json", "--yes"], { socket })).exitCode, 0);
  assert.equal(requests.length, 1);
});

test("rm --dry-run shows what would be destroyed and changes nothing", async (context) => {
  const { socket, requests } = await deleter(context);
  const { stdout } = await socle(["vm", "rm", "web-1", "--dry-run"], { socket });
  assert.match(stdout, /is destroyed: disk root.*\n.*is kept: disk data.*\nnothing changed/);
  const kept = await socle(["vm", "rm", "web-1", "--dry-run", "--keep-disks", "--json"], { socket });
  assert.deepEqual((JSON.parse(kept.stdout) as { destroys: unknown }).destroys, []);
  assert.equal(requests.length, 0);
});

test("a missing reply prints how to repeat the request without a second effect", async (context) => {
  const late = rpcError(protos, status.DEADLINE_EXCEEDED, "too late", { reason: "DEADLINE" });
  const socket = await fakeAgent(context, { vms: { ResumeVm: (_call, done) => done(late) } });
  const { exitCode, stderr } = await socle(["vm", "resume", "web-1", "--request-id", "r7"], { socket });
  assert.equal(exitCode, 6);
  assert.match(stderr, /the agent may have begun: repeat it with --request-id r7/);
});

test("a saved state is discarded, and shown without a change by --dry-run", async (context) => {
  const discarded: string[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      GetVm: (_call, done) => done(null, { ...vm(), savedState: true }),
      DiscardSavedState: (call, done) => {
        discarded.push(call.request.vm);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "DISCARD_SAVED_STATE" })),
  });
  const line = ["vm", "discard-saved-state", "web-1"];
  const dry = await socle([...line, "--dry-run"], { socket });
  assert.match(dry.stdout, /web-1 would lose its saved state; nothing changed/);
  assert.deepEqual(JSON.parse((await socle(["--json", ...line, "--dry-run"], { socket })).stdout), {
    vm: "web-1",
    discards: true,
  });
  assert.deepEqual(discarded, []);
  assert.equal((await socle(line, { socket })).exitCode, 0);
  assert.deepEqual(discarded, ["web-1"]);
});
