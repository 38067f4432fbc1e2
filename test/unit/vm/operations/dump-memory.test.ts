import assert from "node:assert/strict";
import { test } from "node:test";
import { dumpMemory } from "../../../../agent/vm/operations/dump-memory.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { methods } from "../../../../agent/contract/methods.ts";

const disk = {
  name: "root",
  source: { kind: "new", pool: "p", format: "qcow2", encryption: "luks" },
  readOnly: false,
};
const admit = (spec: object, allowEncrypted: boolean) =>
  dumpMemory.admit?.(
    { format: "elf", allowEncrypted },
    // The admission reads the name and the spec alone.
    { name: "web", spec: { disks: [], ...spec } } as unknown as Vm,
    {} as Admission,
  );

test("no role but operator and admin, and no caller of a tenant, may dump memory", () => {
  const { roles, tenancy, audit } = methods["/socle.v1.VmService/DumpMemory"] ?? {};
  assert.deepEqual([roles, tenancy], [["operator", "admin"], "denied"]);
  assert.ok(audit?.includes("allowEncrypted"));
});

test("the data of encrypted disks is dumped only if that is allowed, and encrypted memory never", () => {
  assert.deepEqual(admit({}, false), { format: "elf", name: "web" });
  for (const spec of [{ disks: [disk] }, { tpm: true }]) {
    assert.throws(() => admit(spec, false), { reason: "DUMP_NOT_ENCRYPTED", message: /--allow-encrypted/ });
    assert.deepEqual(admit(spec, true), { format: "elf", name: "web" });
  }
  for (const allow of [false, true])
    assert.throws(() => admit({ launchSecurity: "sev" }, allow), { reason: "DUMP_UNSUPPORTED" });
});
