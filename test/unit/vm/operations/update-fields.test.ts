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
    "labels autostart start_priority start_delay_seconds crash_policy vcpus max_vcpus cpu_topology cpu_mode cpu_model memory_bytes boot_order graphics watchdog",
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
  const { memoryBytes } = liveSizeOf(running, asked({ memoryBytes: 1024 * MIB }), ["memoryBytes"]);
  assert.equal(memoryBytes, 512 * MIB);
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
