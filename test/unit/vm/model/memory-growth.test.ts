// How a running guest grows by devices of exactly what it is given.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LibvirtStatus } from "../../../../agent/libvirt/index.ts";
import { noDevices, type MemoryDevice } from "../../../../agent/libvirt/xml/index.ts";
import {
  bootBytesOf,
  canAddMemory,
  emptyDevices,
  grownBytesOf,
  grownTo,
  growthTowards,
  MOST_GROWTHS,
} from "../../../../agent/vm/model/memory-growth.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const device = (number: number, size: number, requested = size, current = requested): MemoryDevice => ({
  model: "virtio-mem",
  sizeBytes: size * MIB,
  requestedBytes: requested * MIB,
  currentBytes: current * MIB,
  alias: `ua-memory-${number}`,
});
/** Of libvirt's total. */
const guest = (bootMib: number, memoryDevices: MemoryDevice[], maxMib?: number) => ({
  memoryBytes: bootMib * MIB + memoryDevices.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  ...(maxMib === undefined ? {} : { maxMemory: { bytes: maxMib * MIB, slots: MOST_GROWTHS } }),
  devices: { ...noDevices, memoryDevices },
});
const steps = (memoryDevices: MemoryDevice[], mib: number) => {
  const { resized, added } = grownTo(guest(512, memoryDevices), mib * MIB);
  return [
    resized.map(({ alias, requestedBytes = 0 }) => `${alias} ${requestedBytes / MIB}`),
    added && `${added.alias} ${added.sizeBytes / MIB} ${(added.requestedBytes ?? 0) / MIB}`,
  ];
};

test("a growth adds a device of its size, after those that the guest has are full", () => {
  assert.deepEqual(steps([], 256), [[], "ua-memory-1 256 256"]);
  assert.deepEqual(steps([device(1, 256)], 384), [[], "ua-memory-2 128 128"]);
  assert.deepEqual(steps([device(1, 256, 128)], 512), [["ua-memory-1 256"], "ua-memory-2 256 256"]);
  assert.deepEqual(steps([device(1, 256, 0)], 256), [["ua-memory-1 256"], undefined]);
  // A repetition changes nothing, and a device that is gone leaves its alias.
  assert.deepEqual(steps([device(1, 256), device(2, 128)], 384), [[], undefined]);
  assert.deepEqual(steps([device(2, 128)], 256), [[], "ua-memory-1 128 128"]);
});

test("a shrink empties the devices that were added last, and only empty ones can be taken", () => {
  assert.deepEqual(steps([device(1, 256), device(2, 128)], 128), [
    ["ua-memory-1 128", "ua-memory-2 0"],
    undefined,
  ]);
  const aliases = (...all: MemoryDevice[]) => emptyDevices(guest(512, all)).map(({ alias }) => alias);
  assert.deepEqual(aliases(device(1, 256, 128), device(2, 128, 0)), ["ua-memory-2"]);
  // The guest has not given it back yet.
  assert.deepEqual(aliases(device(1, 256, 0, 64)), []);
});

test("only Socle's own devices are a growth: others are memory that the guest has", () => {
  const dimm: MemoryDevice = { model: "dimm", sizeBytes: 256 * MIB, alias: "dimm0" };
  const others = { ...device(1, 256, 64), alias: "virtiomem0" };
  const mixed = guest(512, [dimm, others, device(1, 128, 128, 64)], 4096);
  assert.equal(bootBytesOf(mixed), 1024 * MIB);
  assert.equal(grownBytesOf(mixed), 64 * MIB);
  assert.equal(growthTowards(mixed, 1280 * MIB), 256 * MIB);
});

test("a guest grows up to its maximum, in whole memory blocks of Linux, and by a number of devices", () => {
  const towards = (memoryMib: number, ...running: Parameters<typeof guest>): number =>
    growthTowards(guest(...running), memoryMib * MIB) / MIB;
  assert.equal(towards(1024, 512, [], 2048), 512);
  assert.equal(towards(4096, 512, [], 2048), 1536);
  assert.equal(towards(1023, 512, [], 2048), 384);
  assert.equal(towards(256, 512, [], 2048), 0);
  // It was started without a maximum.
  assert.equal(towards(1024, 512, []), 0);
  assert.equal(towards(1024, 512, [device(1, 256, 128)]), 256);
  const all = Array.from({ length: MOST_GROWTHS }, (_, index) => device(index + 1, 128));
  assert.equal(towards(4096, 512, all, 4096), 128 * MOST_GROWTHS);
  // The addresses below 4 GiB that are not memory count: from here on Linux has blocks of 2 GiB.
  assert.equal(growthTowards(guest(61 * 1024, [], 2 ** 20), 62 * GIB), GIB);
  assert.equal(growthTowards(guest(62 * 1024, [], 2 ** 20), 65 * GIB), 2 * GIB);
});

test("libvirt can add memory since 7.9, and one that is away is asked later", () => {
  const connected = (libVersion: number) => ({ connected: true, sinceMs: 0, libVersion }) as LibvirtStatus;
  assert.deepEqual(
    [7_008_000, 7_009_000].map((version) => canAddMemory(connected(version))),
    [false, true],
  );
  assert.equal(canAddMemory({ connected: false, sinceMs: 0 }), true);
});
