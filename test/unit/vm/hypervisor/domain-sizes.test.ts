import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { noDevices, type MemoryDevice } from "../../../../agent/libvirt/xml/index.ts";
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
  // The first request may still have its effect.
  const answers = [lost(), timeout()];
  const thenTimeout = guest(() => answers.shift() ?? timeout(), nothing);
  await assert.rejects(thenTimeout.sizes.setVcpus(ID, 6), { kind: "outcome_unknown" });
});

test("a size that the guest has needs no request, and a guest that stops has nothing to release", async () => {
  const same = guest(nothing, nothing);
  await same.sizes.setVcpus(ID, 4);
  assert.equal(same.requests(), 0);
  await guest(timeout, (at) => (at.runs = false)).sizes.setVcpus(ID, 2);
});

/** A guest with 512 MiB and free PCIe ports, which takes or gives back memory at each look. */
function growing(answer: (xml: string) => Error | undefined = nothing, ports = 16) {
  const clock = sleepingClock();
  let memory: (MemoryDevice & { readonly requestedBytes: number })[] = [];
  const asked: string[] = [];
  const mib = (xml: string, what: string): number =>
    (Number(new RegExp(`<${what} unit="KiB">(\\d+)`).exec(xml)?.[1]) * 1024) / MIB;
  const calls = {
    call<A, R>(procedure: Procedure<A, R>, args: A): Promise<R> {
      const { xml = "" } = args as { readonly xml?: string };
      const alias = /alias name="([^"]+)"/.exec(xml)?.[1] ?? "";
      const error = answer(xml);
      const requestedBytes = mib(xml, "requested") * MIB;
      const isNew = procedure.name === libvirt.domainAttachDeviceFlags.name;
      if (error === undefined || error.message === "no reply") {
        asked.push(`${isNew ? "+" : "="} ${alias} ${requestedBytes / MIB}`);
        const device = { model: "virtio-mem", sizeBytes: mib(xml, "size") * MIB, requestedBytes, alias };
        memory = [...memory.filter((each) => each.alias !== alias), device];
      }
      return error === undefined ? Promise.resolve(undefined as R) : Promise.reject(error);
    },
    openStream: (): Promise<never> => Promise.reject(new Error("no streams here")),
  };
  const controllers = Array.from({ length: ports }, () => ({ type: "pci", model: "pcie-root-port" }));
  const sizes = new DomainSizes(calls, clock, {
    state: () => Promise.resolve({ state: "running" }),
    document: () =>
      Promise.resolve<VmDomain>({
        type: "kvm",
        name: "web-1",
        uuid: ID,
        memoryBytes: 512 * MIB + memory.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        vcpus: { max: 8, current: 4 },
        os: { type: "hvm" },
        devices: {
          ...noDevices,
          controllers,
          memoryDevices: memory.map((each) => ({ ...each, currentBytes: each.requestedBytes })),
        },
      }),
  });
  return { sizes, asked };
}

test("a guest grows by devices of what it is given, and gives back from the last", async () => {
  const { sizes, asked } = growing();
  await sizes.setGrown(ID, 256 * MIB);
  await sizes.setGrown(ID, 384 * MIB);
  await sizes.setGrown(ID, 384 * MIB);
  await sizes.setGrown(ID, 128 * MIB);
  assert.deepEqual(asked, ["+ ua-memory-1 256", "+ ua-memory-2 128", "= ua-memory-1 128", "= ua-memory-2 0"]);
});

test("after a lost reply to a growth the domain shows the device, and no second one is added", async () => {
  const { sizes, asked } = growing(lost);
  await sizes.setGrown(ID, 256 * MIB);
  assert.deepEqual(asked, ["+ ua-memory-1 256"]);
});

test("a guest without a free port does not grow, and libvirt's refusal is the error", async () => {
  await assert.rejects(growing(nothing, 3).sizes.setGrown(ID, 256 * MIB), { reason: "NO_FREE_PORT" });
  // QEMU does not fill a device again that the guest was asked to release.
  let isPending = false;
  const pending = () =>
    isPending ? new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "unplug is pending") : undefined;
  const { sizes, asked } = growing(pending);
  await sizes.setGrown(ID, 256 * MIB);
  await sizes.setGrown(ID, 0);
  isPending = true;
  await assert.rejects(sizes.setGrown(ID, 256 * MIB), {
    reason: "GUEST_KEEPS_MEMORY",
    message: /stop the VM/,
  });
  assert.deepEqual(asked, ["+ ua-memory-1 256", "= ua-memory-1 0"]);
  const invalid = () => new SocleError("invalid", "LIBVIRT_CONFIG_UNSUPPORTED", "no virtio-mem");
  await assert.rejects(growing(invalid).sizes.setGrown(ID, 256 * MIB), { kind: "invalid" });
});
