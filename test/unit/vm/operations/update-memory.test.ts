// The maximum of a VM's memory, as a change of the VM asks for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { checkSpec, type SpecPolicy } from "../../../../agent/vm/model/spec-check.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { updateVm } from "../../../../agent/vm/operations/update-vm.ts";

const MIB = 1024 ** 2;
const host: SpecPolicy = { bridges: [], allowSpoofing: false };
const id = "6f1c2f1e-0000-4000-8000-000000000001";

const admit = (changes: Readonly<Record<string, number>>, most?: number, maxMemoryBytes = 1024 * MIB) => {
  const kernelBoot = { kernel: { pool: "default", volume: "vmlinuz" } };
  const sizes = { kernelBoot, vcpus: 1, memoryBytes: 512 * MIB, maxMemoryBytes };
  const spec = checkSpec({ name: "web-1", id, ...sizes }, { ...host, maxMemoryBytes: 2 ** 46 });
  const vm = withEtag({
    ...{ id, name: "web-1", presence: "present", observedAtMs: 1, state: "running", stateReason: "" },
    ...{ managed: true, vcpus: 1, memoryBytes: 512 * MIB, cells: [], labels: {}, placementEpoch: 0 },
    ...{ tenant: "", spec, disks: [], nics: [] },
  });
  const updateMask = Object.keys(changes).map((name) =>
    name.replaceAll(/[A-Z]/g, (l) => `_${l.toLowerCase()}`),
  );
  const policy = most === undefined ? host : { ...host, maxMemoryBytes: most };
  return updateVm.admit?.({ spec: changes, updateMask }, vm, { policy } as Admission);
};

test("a change asks for a maximum, or for memory up to it, only where QEMU's memory has a limit", () => {
  const refused = { kind: "invalid", reason: "SPEC_INVALID", message: /vm\.memoryHeadroomMiB/ };
  assert.throws(() => admit({ maxMemoryBytes: 2048 * MIB }, undefined, 512 * MIB), refused);
  assert.throws(() => admit({ memoryBytes: 768 * MIB }), refused);
  assert.throws(() => admit({ maxMemoryBytes: 2048 * MIB }, 1024 * MIB), /the memory of this host/);
  assert.ok(admit({ maxMemoryBytes: 2048 * MIB }, 2048 * MIB));
  // What takes memory away, or leaves it, is always possible.
  assert.ok(admit({ memoryBytes: 256 * MIB }));
  assert.ok(admit({ maxMemoryBytes: 512 * MIB }));
  assert.ok(admit({ vcpus: 2 }));
});
