import assert from "node:assert/strict";
import { test } from "node:test";
import type { Immutable } from "../../../../agent/kernel/immutable.ts";
import { noDevices } from "../../../../agent/libvirt/xml/index.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { definitionEdits } from "../../../../agent/vm/observation/domain-document.ts";
import {
  definedIn,
  fieldNamed,
  liveSizeOf,
  updatable,
  waiting,
  withChanges,
  type Changes,
} from "../../../../agent/vm/operations/update-fields.ts";

const MIB = 1024 ** 2;
const spec = checkSpec(
  {
    name: "web-1",
    id: "6f1c2f1e-0000-4000-8000-000000000001",
    vcpus: 2,
    maxVcpus: 4,
    memoryBytes: 512 * MIB,
    disks: [
      { name: "root", source: { kind: "new", pool: "default", capacityBytes: MIB } },
      { name: "both", source: { kind: "new", pool: "default", capacityBytes: MIB } },
    ],
    nics: [
      { name: "front", source: { kind: "network", network: "default" } },
      { name: "both", source: { kind: "network", network: "default" } },
    ],
    bootOrder: ["front", "both", "root"],
  },
  { bridges: [], allowSpoofing: false },
);
const running: VmDomain = {
  type: "kvm",
  name: spec.name,
  uuid: spec.id,
  memoryBytes: 512 * MIB,
  currentMemoryBytes: 256 * MIB,
  vcpus: { max: 4, current: 3, cpuSet: [0, 1], removable: 2 },
  os: { type: "hvm" },
  devices: { ...noDevices, memoryBalloon: { model: "virtio" } },
};
const asked = (changes: Changes) => withChanges(spec, changes);
const later = (guest: VmDomain | undefined, changes: Immutable<Changes>): readonly string[] =>
  waiting(guest, asked(changes), definedIn(changes));

test("the fields that can be changed are named as in the contract", () => {
  assert.deepEqual(
    updatable.join(" "),
    "labels autostart start_priority start_delay_seconds crash_policy vcpus max_vcpus cpu_topology cpu_mode cpu_model memory_bytes max_memory_bytes boot_order graphics watchdog",
  );
  assert.equal(fieldNamed("memory_bytes"), "memoryBytes");
  assert.equal(fieldNamed("memoryBytes"), undefined);
});

test("a value of null removes an optional field", () => {
  const changed = asked({ maxVcpus: null, bootOrder: null, cpuMode: "host-passthrough" });
  assert.deepEqual(
    ["maxVcpus" in changed, "bootOrder" in changed, changed.cpuMode],
    [false, false, "host-passthrough"],
  );
});

test("a running guest follows within its maximum, and the rest waits for the next start", () => {
  assert.deepEqual(later(running, { vcpus: 4, memoryBytes: 128 * MIB }), []);
  assert.deepEqual(later(running, { vcpus: 1 }), []);
  assert.deepEqual(later(running, { vcpus: 5, memoryBytes: 513 * MIB }), ["vcpus", "memoryBytes"]);
  assert.deepEqual(later({ ...running, vcpus: { max: 4, current: 3 } }, { vcpus: 2 }), ["vcpus"]);
  const other: Changes = {
    maxVcpus: 8,
    cpuModel: "EPYC",
    cpuMode: "custom",
    bootOrder: ["root"],
    labels: {},
  };
  assert.deepEqual(later(running, other), ["maxVcpus", "cpuMode", "cpuModel", "bootOrder"]);
  assert.deepEqual(later(undefined, { vcpus: 1 }), ["vcpus"]);
  // As far as the balloon goes.
  const { balloonBytes } = liveSizeOf(running, asked({ memoryBytes: 1024 * MIB }), ["memoryBytes"]);
  assert.equal(balloonBytes, 512 * MIB);
});

test("memory in huge pages, pinned memory, and a guest without a balloon wait for the next start", () => {
  const less = { memoryBytes: 256 * MIB };
  for (const guest of [
    { ...running, memoryBacking: { hugePages: [{}] } },
    { ...running, launchSecurity: { type: "sev" } },
    { ...running, devices: { ...noDevices, memoryBalloon: { model: "none" } } },
  ])
    assert.deepEqual(later(guest, less), ["memoryBytes"]);
});

const growing: VmDomain = {
  ...running,
  memoryBytes: 768 * MIB,
  maxMemory: { bytes: 2048 * MIB, slots: 8 },
  currentMemoryBytes: 512 * MIB,
  devices: {
    ...running.devices,
    memoryDevices: [
      {
        model: "virtio-mem",
        sizeBytes: 256 * MIB,
        blockBytes: 2 * MIB,
        requestedBytes: 128 * MIB,
        currentBytes: 64 * MIB,
        alias: "ua-memory-1",
      },
    ],
  },
};
const live = (mib: number, guest = growing) => {
  const { balloonBytes, grownBytes } = liveSizeOf(guest, asked({ memoryBytes: mib * MIB }), ["memoryBytes"]);
  return [balloonBytes, grownBytes].map((bytes) => bytes && bytes / MIB);
};

test("a running guest gets memory beyond what it was started with up to its maximum, and the balloon takes the rest", () => {
  assert.deepEqual(live(1024), [512, 512]);
  assert.deepEqual(live(512), [512, 0]);
  assert.deepEqual(live(256), [256, 0]);
  assert.deepEqual(live(4096), [512, 1536]);
  assert.deepEqual(later(growing, { memoryBytes: 1024 * MIB }), []);
  // Of a part of a memory block the rest waits, as what exceeds the maximum that the guest was started with.
  assert.deepEqual(live(1025), [512, 512]);
  assert.deepEqual(later(growing, { memoryBytes: 1025 * MIB }), ["memoryBytes"]);
  assert.deepEqual(later(growing, { memoryBytes: 4096 * MIB }), ["memoryBytes"]);
  assert.deepEqual(later(growing, { memoryBytes: 1024 * MIB, maxMemoryBytes: 4096 * MIB }), [
    "maxMemoryBytes",
  ]);
});

test("a guest with pinned memory, huge pages or protected memory does not grow, and one without a balloon does", () => {
  const more = { memoryBytes: 1024 * MIB };
  const pinned = { ...growing.devices, hostDevices: [{ type: "pci", mode: "subsystem" }] } as const;
  for (const guest of [
    { ...growing, memoryBacking: { hugePages: [{}] } },
    { ...growing, launchSecurity: { type: "sev" } },
    { ...growing, devices: { ...pinned } },
  ] as VmDomain[]) {
    assert.deepEqual(live(1024, guest), [undefined, undefined]);
    assert.deepEqual(later(guest, more), ["memoryBytes"]);
  }
  const devices = { ...growing.devices, memoryBalloon: { model: "none" } };
  assert.deepEqual(live(1024, { ...growing, devices }), [undefined, 512]);
  assert.deepEqual(later({ ...growing, devices }, more), []);
  assert.deepEqual(later({ ...growing, devices }, { memoryBytes: 256 * MIB }), ["memoryBytes"]);
});

test("a definition has the memory of the spec at its start, and what a growth needs", () => {
  const grows = asked({ memoryBytes: 1024 * MIB, maxMemoryBytes: 4096 * MIB });
  const defn: VmDomain = { ...running, maxMemory: { bytes: 2048 * MIB, slots: 8 } };
  const edits = definitionEdits(defn, grows, ["memoryBytes"], place);
  assert.equal(edits.memoryBytes, 1024 * MIB);
  const cells = [{ id: 0, cpus: [0, 1, 2, 3], memoryBytes: 1024 * MIB }];
  assert.deepEqual(edits.memoryGrowth, { maxMemory: { bytes: 4096 * MIB, slots: 8 }, cells });
  // The cell has all vCPUs.
  const more = definitionEdits(defn, { ...grows, maxVcpus: 6 }, ["maxVcpus"], place);
  assert.deepEqual(more.memoryGrowth !== "none" && more.memoryGrowth?.cells[0]?.cpus, [0, 1, 2, 3, 4, 5]);
  for (const maxMemoryBytes of [null, 512 * MIB]) {
    const less = definitionEdits(defn, asked({ maxMemoryBytes }), ["maxMemoryBytes"], place);
    assert.equal(less.memoryGrowth, "none");
  }
  // One that has no maximum and needs none, and one whose maximum another client's device needs.
  assert.equal(
    definitionEdits(running, asked({ maxMemoryBytes: null }), ["maxMemoryBytes"], place).memoryGrowth,
    undefined,
  );
  const others = { ...defn, devices: { ...noDevices, memoryDevices: [{ model: "dimm", sizeBytes: MIB }] } };
  assert.equal(definitionEdits(others, spec, ["memoryBytes"], place).memoryGrowth, undefined);
  const mode = definitionEdits(defn, { ...grows, cpuMode: "host-passthrough" }, ["cpuMode"], place);
  assert.deepEqual(mode.cpu, { mode: "host-passthrough", cells });
});

test("the limit of QEMU's memory has room for the maximum, and its headroom does not compound", () => {
  const limit = (mib: number): number => Math.ceil(mib + mib / 256 + 4 * 8 + 32 + 100) * MIB;
  const limitOf = (defn: VmDomain, changes: Changes): number | undefined =>
    definitionEdits(defn, asked(changes), ["memoryBytes", "maxMemoryBytes"], place).memoryHardLimitBytes;
  let defn: VmDomain = { ...running, memoryHardLimitBytes: limit(512) };
  for (const mib of [2048, 4096, 8192]) {
    const memoryHardLimitBytes = limitOf(defn, { maxMemoryBytes: mib * MIB });
    assert.equal(memoryHardLimitBytes, limit(mib));
    defn = { ...running, maxMemory: { bytes: mib * MIB, slots: 8 }, memoryHardLimitBytes };
  }
  assert.equal(limitOf(defn, { maxMemoryBytes: null }), limit(512));
});

const place = { architecture: "x86_64", socketDirectory: "/run/socle-guests" };

test("a definition gets the changed fields alone, and keeps the headroom of its limit", () => {
  const limit = (mib: number, vcpus: number): number => (mib + mib / 256 + vcpus * 8 + 32 + 100) * MIB;
  const before = { ...running, memoryHardLimitBytes: limit(512, 4) };
  assert.deepEqual(definitionEdits(before, asked({ vcpus: 1 }), ["vcpus"], place), {
    vcpus: { max: 4, current: 1, cpuSet: [0, 1] },
    memoryHardLimitBytes: limit(512, 4),
  });
  assert.deepEqual(definitionEdits(before, asked({ memoryBytes: 1024 * MIB }), ["memoryBytes"], place), {
    memoryBytes: 1024 * MIB,
    memoryHardLimitBytes: limit(1024, 4),
  });
  assert.deepEqual(definitionEdits(running, asked({ maxVcpus: null }), ["maxVcpus"], place).vcpus, {
    max: 2,
    current: 2,
    cpuSet: [0, 1],
  });
  assert.deepEqual(definitionEdits(running, spec, ["cpuMode"], place), { cpu: { mode: "host-model" } });
  assert.deepEqual(definitionEdits({ ...running, type: "qemu" }, spec, ["cpuModel"], place), { cpu: "none" });
  // A name that a disk and a NIC share means the disk.
  assert.deepEqual(definitionEdits(running, spec, ["bootOrder"], place), {
    bootOrder: ["ua-nic-front", "ua-disk-both", "ua-disk-root"],
  });
  assert.deepEqual(definitionEdits(running, asked({ bootOrder: null }), ["bootOrder"], place).bootOrder, [
    "ua-disk-root",
  ]);
});
