import assert from "node:assert/strict";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, rpcError, socle } from "../../support/cli/fake-agent.ts";

test("an error prints its remedy and exits by its kind", async (context) => {
  const errors = {
    gone: rpcError(protos, status.NOT_FOUND, "there is no VM gone", { reason: "VM_NOT_FOUND" }),
    full: rpcError(protos, status.RESOURCE_EXHAUSTED, "no room", { reason: "CAPACITY", retrySeconds: 30 }),
    odd: rpcError(protos, status.INVALID_ARGUMENT, "the name is not valid", {
      reason: "SPEC_INVALID",
      fields: { "spec.name": "must not contain '/'" },
    }),
    theirs: rpcError(protos, status.PERMISSION_DENIED, "theirs is not Socle's", { reason: "VM_UNMANAGED" }),
    running: rpcError(protos, status.FAILED_PRECONDITION, "stop it first, or delete it with force", {
      reason: "VM_RUNNING",
      fields: { keep_disks: "or keep its disks (keep_disks)" },
    }),
    lost: rpcError(protos, status.UNAVAILABLE, "the state was moved", { reason: "STATE_LOST" }),
    bare: Object.assign(new Error("x"), { code: status.INTERNAL, details: "oops" }),
  };
  const socket = await fakeAgent(context, {
    vms: { GetVm: (call, done) => done(errors[call.request.vm as keyof typeof errors]) },
  });
  const show = async (name: string): Promise<[number, string]> => {
    const { exitCode, stderr, stdout } = await socle(["vm", "show", name], { socket });
    assert.equal(stdout, "");
    return [exitCode, stderr];
  };
  assert.deepEqual(await show("gone"), [3, "socle: there is no VM gone\n"]);
  assert.deepEqual(await show("full"), [5, "socle: no room\n  Try again in 30 s.\n"]);
  assert.deepEqual(await show("odd"), [
    2,
    "socle: the name is not valid\n  spec.name: must not contain '/'\n",
  ]);
  assert.deepEqual(await show("theirs"), [
    5,
    "socle: theirs is not Socle's\n  Socle did not create this VM and never changes it: use the tool that created it.\n",
  ]);
  assert.deepEqual(await show("running"), [
    5,
    "socle: stop it first, or delete it with --force\n  --keep-disks: or keep its disks (--keep-disks)\n",
  ]);
  assert.deepEqual(await show("lost"), [4, "socle: the state was moved\n"]);
  assert.deepEqual(await show("bare"), [1, "socle: oops\n"]);
  const { stderr } = await socle(["vm", "show", "odd", "--json"], { socket });
  assert.deepEqual(JSON.parse(stderr), {
    error: {
      kind: "invalid",
      reason: "SPEC_INVALID",
      message: "the name is not valid",
      fields: { "spec.name": "must not contain '/'" },
      metadata: {},
      retryAfterMs: null,
      exitCode: 2,
    },
  });
});

test("an agent older than the command gets another message than a broken one", async (context) => {
  const socket = await fakeAgent(context, {});
  const { exitCode, stderr } = await socle(["status"], { socket });
  assert.equal(exitCode, 1);
  assert.match(stderr, /update the agent, or check that the address is an agent's/);
});

test("a person's token is read only from a file, and text that is no token is not sent", async () => {
  const missing = await socle(["--person-file", "/nonexistent", "uncordon"]);
  assert.deepEqual([missing.exitCode, /cannot be read/.test(missing.stderr)], [2, true]);
  const none = await socle(["--person-file", import.meta.filename, "uncordon"]);
  assert.deepEqual([none.exitCode, /holds no token/.test(none.stderr)], [2, true]);
  for (const reason of ["", " ", "a\nb", "x".repeat(129), "é"])
    assert.equal((await socle(["--break-glass", reason, "uncordon"])).exitCode, 2, reason);
});
