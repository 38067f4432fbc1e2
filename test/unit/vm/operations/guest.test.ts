import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import { Freezes } from "../../../../agent/vm/hypervisor/freezes.ts";
import { GuestAgents } from "../../../../agent/vm/hypervisor/guest-agents.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { nothingPermitted } from "../../../../agent/vm/model/tenant-policy.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { Guest } from "../../../../agent/vm/operations/guest.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";

function vmOf(changes: Partial<Vm> = {}, guestAgent = true): Vm {
  const disks = [{ name: "root", source: { kind: "new", pool: "images", capacityBytes: 2 ** 20 } }];
  const spec = { name: "web", id: ID, vcpus: 1, memoryBytes: 2 ** 30, disks, guestAgent };
  return withEtag({
    ...{ id: ID, name: "web", presence: "present", observedAtMs: 1, state: "running", stateReason: "" },
    ...{ managed: true, vcpus: 1, memoryBytes: 2 ** 30, cells: [], labels: {}, placementEpoch: 0 },
    ...{ tenant: "", spec: checkSpec(spec, { bridges: [], allowSpoofing: false }), disks: [], nics: [] },
    ...changes,
  });
}

/** A guest whose agent gives these answers to its own commands, one after the other, the last one repeatedly. */
function guestOf(
  answers: readonly unknown[],
  { vm = vmOf(), guestExec = true, refusal }: { vm?: Vm; guestExec?: boolean; refusal?: SocleError } = {},
) {
  const commands: string[] = [];
  const left = [...answers];
  const call = <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
    if (name === "DOMAIN_AGENT_SET_RESPONSE_TIMEOUT") return Promise.resolve({ result: 0 } as R);
    const { cmd = "" } = args as { cmd?: string };
    commands.push(cmd === "" ? name : (JSON.parse(cmd) as { execute: string }).execute);
    return Promise.resolve({ result: JSON.stringify(left.length > 1 ? left.shift() : left[0]) } as R);
  };
  // Time passes in the sleeps of exec alone: a deadline must not end at once.
  const still = { ...sleepingClock(), sleep: () => new Promise<void>(() => undefined) };
  const agents = new GuestAgents({ call, openStream: () => Promise.reject(new Error("none")) }, still);
  const policy = { permissionsOf: () => ({ ...nothingPermitted, guestExec }) };
  const calls = { call, openStream: () => Promise.reject(new Error("none")) };
  const freezes = new Freezes(calls, still, agents);
  const parts = {
    domains: { guestAgents: agents, freezes },
    clock: sleepingClock(),
    policy,
    operations: { refusal },
  };
  return { guest: () => new Guest(vm, parts), commands };
}

const { signal } = new AbortController();
const program = {
  path: "/bin/true",
  arguments: [],
  environment: [],
  input: Buffer.alloc(0),
  timeoutMs: 10_000,
};
const reasonOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
    return "done";
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
};

test("a VM without a channel, and one that does not run, are refused before their guest is asked", () => {
  assert.throws(guestOf([], { vm: vmOf({}, false) }).guest, { reason: "GUEST_AGENT_NOT_CONFIGURED" });
  assert.throws(guestOf([], { vm: vmOf({ state: "stopped" }) }).guest, { reason: "VM_STATE_CONFLICT" });
});

test("an agent that may change nothing sends no change to a guest", async () => {
  const refusal = new SocleError("unavailable", "LEASE_HELD", "another agent has this libvirt");
  const { guest, commands } = guestOf([{ return: { pid: 7 } }], { refusal });
  const changes = [
    () => guest().setPassword("root", "x", false, signal),
    () => guest().setSshKeys("root", ["k"], "add", signal),
    () => guest().trim(signal),
    () => guest().syncTime(signal),
    () => guest().exec(program, signal),
  ];
  for (const change of changes) assert.equal(await reasonOf(change), "LEASE_HELD");
  assert.deepEqual(commands, []);
});

test("programs run only where they are allowed", async () => {
  const { guest, commands } = guestOf([{ return: { pid: 7 } }], { guestExec: false });
  assert.equal(await reasonOf(() => guest().exec(program, signal)), "GUEST_EXEC_NOT_ALLOWED");
  assert.deepEqual(commands, []);
});

test("a program is awaited until its end or the deadline, and started once", async () => {
  const runs = { return: { exited: false } };
  const ends = { return: { exited: true, exitcode: 2, "out-data": Buffer.from("out").toString("base64") } };
  const { guest, commands } = guestOf([{ return: { pid: 7 } }, runs, runs, ends]);
  const ended = await guest().exec(program, signal);
  assert.deepEqual([ended.exitCode, ended.output.toString(), ended.isTruncated], [2, "out", false]);
  assert.deepEqual(commands, ["guest-exec", ...Array<string>(3).fill("guest-exec-status")]);
  const long = guestOf([{ return: { pid: 7 } }, runs]);
  assert.equal(await reasonOf(() => long.guest().exec(program, signal)), "GUEST_EXEC_RUNNING");
  assert.equal(long.commands.filter((name) => name === "guest-exec").length, 1);
});

test("answers of another form are refusals of the guest", async () => {
  for (const answer of [{}, { return: { pid: "7" } }, { return: [] }, null, 7]) {
    const { guest } = guestOf([answer]);
    assert.equal(await reasonOf(() => guest().exec(program, signal)), "GUEST_REFUSED");
    assert.equal(await reasonOf(() => guest().trim(signal)), "GUEST_REFUSED");
    assert.equal(await reasonOf(() => guest().info(signal)), "GUEST_REFUSED");
  }
  const { guest } = guestOf([
    {
      return: {
        paths: [
          { path: "/\u0007", trimmed: -5 },
          { path: "/data", error: "no" },
        ],
      },
    },
  ]);
  assert.deepEqual(await guest().trim(signal), [
    { mountPoint: "/ ", trimmedBytes: 0 },
    { mountPoint: "/data", trimmedBytes: 0 },
  ]);
});
