import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainModificationImpact } from "../../../../agent/libvirt/index.ts";
import { noDevices, type Disk } from "../../../../agent/libvirt/xml/index.ts";
import { DomainDevices } from "../../../../agent/vm/hypervisor/domain-devices.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const ALIAS = "ua-disk-data";
const disk: Disk = { device: "disk", alias: ALIAS, target: { device: "vda", bus: "virtio" } };
const domain = (hasDisk: boolean): VmDomain => ({
  type: "kvm",
  name: "web-1",
  uuid: ID,
  memoryBytes: 2 ** 20,
  vcpus: { max: 1, current: 1 },
  os: { type: "hvm" },
  devices: { ...noDevices, disks: hasDisk ? [disk] : [] },
});

/** A running guest with a disk; `keeps`: whether it still has it at this time. `asked`: the times of the requests. */
function guest(keeps: (nowMs: number, asked: readonly number[]) => boolean) {
  const clock = sleepingClock();
  const asked: number[] = [];
  const calls = {
    call: <R>(): Promise<R> => {
      asked.push(clock.monotonicMs());
      return Promise.resolve(undefined as R);
    },
    ...silent(),
  };
  const devices = new DomainDevices(calls, clock, {
    state: () => Promise.resolve({ state: "running" }),
    document: () => Promise.resolve(domain(keeps(clock.monotonicMs(), asked))),
  });
  return { devices, asked, clock };
}
const GUEST_KEEPS_DEVICE = { reason: "GUEST_KEEPS_DEVICE" };

test("a guest is asked at once for a device, and once", async () => {
  const { devices, asked, clock } = guest((now, requests) => now < (requests[0] ?? Infinity) + 3000);
  const startMs = clock.monotonicMs();
  await devices.release(ID, ALIAS);
  assert.deepEqual(asked, [startMs]);
});

test("a guest that kept a device may answer the first request before there is another", async () => {
  let resumedAtMs = Infinity;
  const { devices, asked, clock } = guest((now) => now < resumedAtMs + 5000);
  await assert.rejects(devices.release(ID, ALIAS), GUEST_KEEPS_DEVICE);
  resumedAtMs = clock.monotonicMs();
  await devices.release(ID, ALIAS);
  assert.equal(asked.length, 1);
});

test("a guest that lost the first request is asked again", async () => {
  const { devices, asked } = guest((_now, requests) => requests.length < 2);
  await assert.rejects(devices.release(ID, ALIAS), GUEST_KEEPS_DEVICE);
  await devices.release(ID, ALIAS);
  assert.equal(asked.length, 2);
});

test("a guest that an earlier run may have asked is not asked at once", async () => {
  const { devices, asked, clock } = guest((now) => now < startMs + 1000);
  const startMs = clock.monotonicMs();
  await devices.release(ID, ALIAS, true);
  assert.deepEqual(asked, []);
});

test("a guest that another client starts before the definition is changed has to release the device too", async () => {
  const clock = sleepingClock();
  const { CONFIG, LIVE } = DomainModificationImpact;
  const has = { defined: true, running: false };
  const asked: number[] = [];
  const calls = {
    call: <R>(_procedure: unknown, { flags }: { flags: number }): Promise<R> => {
      asked.push(flags);
      // It was started with the old definition a moment before.
      if (flags === CONFIG) Object.assign(has, { defined: false, running: true });
      else has.running = false;
      return Promise.resolve(undefined as R);
    },
    ...silent(),
  } as ConstructorParameters<typeof DomainDevices>[0];
  const devices = new DomainDevices(calls, clock, {
    state: () => Promise.resolve({ state: has.running ? "running" : "stopped" }),
    document: (_id, as) => Promise.resolve(as === "running" && !has.running ? undefined : domain(has[as])),
  });
  await devices.undefine(ID, ALIAS);
  assert.deepEqual([asked, has.running], [[CONFIG, LIVE], false]);
});
