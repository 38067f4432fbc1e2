import assert from "node:assert/strict";
import { test } from "node:test";
import { resourceName } from "../../../agent/contract/spec-values.ts";
import { newVolumeName, tenantOfVolume } from "../../../agent/contract/spec-volume-name.ts";

test("a tenant's volume has its tenant in its name, whatever characters the tenant has", () => {
  for (const tenant of ["acme", "a:b", "a:", "a::b-c_d.e", "A"])
    for (const name of ["data", "d.ata-1_2"]) {
      const volume = newVolumeName({ tenant, name, format: "raw" }) ?? "";
      assert.equal(tenantOfVolume(volume), tenant);
      assert.ok(resourceName.safeParse(volume).success, volume);
    }
});

test("no two tenants and names give one volume", () => {
  const parts = ["a", "a:", "a:b", "a-b", "a.b", "b"];
  const names = parts.flatMap((tenant) =>
    ["x", "b.x", "b-x"].map((name) => newVolumeName({ tenant, name, format: "qcow2" })),
  );
  assert.equal(new Set(names).size, names.length);
});

test("other volumes have no tenant, and a provider's volume has its plain name", () => {
  assert.equal(newVolumeName({ tenant: "", name: "data", format: "qcow2" }), "data.qcow2");
  for (const volume of [
    "data.qcow2",
    "socle-volume-acme.qcow2",
    "socle-volume-+x.raw",
    "socle-volume-a+b+x.raw",
    "socle-00000000-0000-4000-8000-000000000000-root.qcow2",
  ])
    assert.equal(tenantOfVolume(volume), undefined, volume);
});

test("a name that is too long beside its tenant's is none", () => {
  const name = "n".repeat(63);
  assert.equal(newVolumeName({ tenant: "t".repeat(128), name, format: "qcow2" }), undefined);
  assert.equal(newVolumeName({ tenant: "t".repeat(40), name, format: "qcow2" })?.length, 123);
});
