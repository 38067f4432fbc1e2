import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import { noDevices } from "../../../../agent/libvirt/xml/index.ts";
import { DomainSizes } from "../../../../agent/vm/hypervisor/domain-sizes.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const MIB = 1024 ** 2;
const ID = "6f1c2f1e-0000-4000-8000-000000000001";

/** A guest with 4 vCPUs and 512 MiB. `answer`: of each request; `behave`: what the guest does until each look. */
function guest(
  answer: () => Error | undefined,
  behave: (now: { vcpus: number; mib: number; runs: boolean }, look: number, asked: number) => void,
) {
  const now = { vcpus: 4, mib: 512, runs: true };
  const clock = sleepingClock();
  let [looks, asked, requests] = [0, 0, 0];
  const calls = {
    call: <A, R>(_procedure: Procedure<A, R>, args: A): Promise<R> => {
      requests += 1;
      const { nvcpus, memory = 0 } = args as { readonly nvcpus?: number; readonly memory?: number };
      asked = nvcpus ?? memory / 1024;
      const error = answer();
      return error === undefined ? Promise.resolve(undefined as R) : Promise.reject(error);
    },
    openStream: (): Promise<never> => Promise.reject(new Error("no streams here")),
  };
  const document = (): VmDomain => ({
    type: "kvm",
    name: "web-1",
    uuid: ID,
    memoryBytes: 512 * MIB,
    currentMemoryBytes: now.mib * MIB,
    vcpus: { max: 8, current: now.vcpus },
    os: { type: "hvm" },
    devices: noDevices,
  });
  const sizes = new DomainSizes(calls, clock, {
    state: () => Promise.resolve({ state: now.runs ? "running" : "stopped" }),
    document() {
      if (requests > 0) behave(now, (looks += 1), asked);
      return Promise.resolve(document());
    },
  });
  return { sizes, now, clock, requests: () => requests };
}
const timeout = () => new SocleError("timeout", "LIBVIRT_OPERATION_TIMEOUT", "vcpu unplug request timed out");
const lost = () => new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "no reply");
const nothing = (): undefined => undefined;

test("a guest is waited for as long as its balloon moves", async () => {
  const { sizes, now, clock } = guest(nothing, (at, look, asked) => {
    if (look % 50 === 0) at.mib = Math.max(asked, at.mib - 64);
  });
  await sizes.setMemory(ID, 128 * MIB);
  assert.equal(now.mib, 128);
  assert.ok(clock.monotonicMs() > 60_000, "longer than a guest may stand still");
});

test("a guest whose balloon stands still keeps its memory", async () => {
  const { sizes, clock } = guest(nothing, (at, look) => {
    if (look === 4) at.mib = 400;
  });
  await assert.rejects(sizes.setMemory(ID, 128 * MIB), (thrown: SocleError) => {
    assert.equal(thrown.reason, "GUEST_KEEPS_MEMORY");
    assert.match(thrown.message, /still has 400 MiB/);
    return true;
  });
  assert.ok(clock.monotonicMs() < 20_000);
});

test("a guest that releases a vCPU after libvirt has given up on it has released it", async () => {
  const { sizes, now, requests } = guest(timeout, (at, look) => {
    if (look === 30) at.vcpus = 3;
  });
  await sizes.setVcpus(ID, 3);
  assert.equal(now.vcpus, 3);
  assert.ok(requests() > 1, "libvirt may notice it only at a further request");
});

test("a guest that refuses to release a vCPU keeps it", async () => {
  const refused = () => new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "rejected by the guest");
  for (const answer of [timeout, refused])
    await assert.rejects(guest(answer, nothing).sizes.setVcpus(ID, 3), { reason: "GUEST_KEEPS_VCPUS" });
  const invalid = () => new SocleError("invalid", "LIBVIRT_INVALID_ARG", "no such number");
  await assert.rejects(guest(invalid, nothing).sizes.setVcpus(ID, 3), { reason: "LIBVIRT_INVALID_ARG" });
  await assert.rejects(guest(refused, nothing).sizes.setVcpus(ID, 6), { reason: "LIBVIRT_INTERNAL_ERROR" });
});

test("after a lost reply the domain shows the outcome", async () => {
  const grows = guest(lost, (at, look) => {
    if (look === 3) at.vcpus = 6;
  });
  await grows.sizes.setVcpus(ID, 6);
  await assert.rejects(guest(lost, nothing).sizes.setVcpus(ID, 6), { kind: "outcome_unknown" });
});

test("a size that the guest has needs no request, and a guest that stops has nothing to release", async () => {
  const same = guest(nothing, nothing);
  await same.sizes.setVcpus(ID, 4);
  assert.equal(same.requests(), 0);
  await guest(timeout, (at) => (at.runs = false)).sizes.setVcpus(ID, 2);
});

/** A guest of 512 MiB that can have 512 MiB more. `behave`: what it has of that at each look. */
function growingGuest(
  behave: (at: { grownMib: number; requestedMib: number }) => void,
  memoryHardLimitBytes?: number,
) {
  const at = { grownMib: 0, requestedMib: 0, surplusMib: 0 };
  const sent: unknown[] = [];
  const calls = {
    call: <A, R>(_procedure: Procedure<A, R>, args: A): Promise<R> => {
      const { xml, params, flags } = args as { xml?: string; params?: unknown; flags: number };
      sent.push(params ?? flags);
      if (xml !== undefined) {
        assert.match(xml, /<address base="0x100000000"\/>/);
        at.requestedMib = Number(/<requested unit="KiB">(\d+)/.exec(xml)?.[1]) / 1024;
      }
      return Promise.resolve(undefined as R);
    },
    openStream: (): Promise<never> => Promise.reject(new Error("no streams here")),
  };
  const sizes = new DomainSizes(calls, sleepingClock(), {
    state: () => Promise.resolve({ state: "running" }),
    document() {
      if (sent.length > 0) behave(at);
      const document: VmDomain = {
        type: "kvm",
        name: "web-1",
        uuid: ID,
        memoryBytes: 1024 * MIB,
        currentMemoryBytes: (512 + at.grownMib + at.surplusMib) * MIB,
        ...(memoryHardLimitBytes === undefined ? {} : { memoryHardLimitBytes }),
        vcpus: { max: 1, current: 1 },
        os: { type: "hvm" },
        devices: {
          ...noDevices,
          memoryDevices: [
            {
              model: "virtio-mem",
              sizeBytes: 512 * MIB,
              blockBytes: 2 * MIB,
              requestedBytes: at.requestedMib * MIB,
              currentBytes: at.grownMib * MIB,
              baseAddress: 0x100000000,
              alias: "ua-memory",
            },
          ],
        },
      };
      return Promise.resolve(document);
    },
  });
  return { sizes, at, sent };
}

test("a guest is waited for while it takes memory or gives it back, in the running guest alone", async () => {
  const step = (at: { grownMib: number; requestedMib: number }): void => {
    at.grownMib += Math.sign(at.requestedMib - at.grownMib) * 2;
  };
  const { sizes, at, sent } = growingGuest(step);
  await sizes.setGrown(ID, 256 * MIB);
  assert.deepEqual([at.grownMib, at.requestedMib], [256, 256]);
  await sizes.setGrown(ID, 64 * MIB);
  assert.deepEqual([at.grownMib, at.requestedMib], [64, 64]);
  assert.deepEqual([...new Set(sent)], [1]);
  // The balloon counts without it.
  await sizes.setMemory(ID, 512 * MIB);
  // Also where libvirt counts it twice, as after a restore from a saved state.
  at.surplusMib = 64;
  await sizes.setMemory(ID, 512 * MIB);
});

test("a guest that takes no memory, or keeps some, fails with what it has", async () => {
  const none = growingGuest(() => undefined);
  await assert.rejects(none.sizes.setGrown(ID, 256 * MIB), {
    kind: "conflict",
    reason: "GUEST_KEEPS_MEMORY",
    message: /has 0 of 256 MiB/,
  });
  const keeps = growingGuest((at) => (at.grownMib = Math.max(2, at.requestedMib)));
  await keeps.sizes.setGrown(ID, 256 * MIB);
  await assert.rejects(keeps.sizes.setGrown(ID, 0), { reason: "GUEST_KEEPS_MEMORY" });
});

test("the limit of a running guest's QEMU is set or raised, never lowered", async () => {
  const limited = growingGuest(() => undefined, 700 * MIB);
  await limited.sizes.raiseMemoryLimit(ID, 600 * MIB);
  assert.deepEqual(limited.sent, []);
  await limited.sizes.raiseMemoryLimit(ID, 900 * MIB);
  assert.deepEqual(limited.sent, [[{ field: "hard_limit", value: { type: "ullong", value: 900 * 1024 } }]]);
  const free = growingGuest(() => undefined);
  await free.sizes.raiseMemoryLimit(ID, 900 * MIB);
  assert.deepEqual(free.sent, limited.sent);
});
