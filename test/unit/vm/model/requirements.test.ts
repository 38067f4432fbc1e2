import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { traitsOf } from "../../../../agent/host/inventory/traits.ts";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { parseDomainCapabilities } from "../../../../agent/libvirt/xml/index.ts";
import { requireAbilities } from "../../../../agent/vm/model/requirements.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";

const plain = {
  name: "web",
  id: "11111111-2222-4333-8444-555555555555",
  vcpus: 1,
  memoryBytes: 2 ** 27,
  disks: [{ name: "root", source: { kind: "volume", volume: { pool: "p", volume: "v" } } }],
};
const sealedDisk = {
  name: "data",
  source: { kind: "new", pool: "p", capacityBytes: 2 ** 20, encryption: "luks" },
};
const noKey = new SocleError("unavailable", "VOLUME_KEY_MISSING", "this host has no volume key: give it one");

async function refusal(
  more: object,
  { traits, key = true }: { traits: readonly string[] | undefined; key?: boolean },
): Promise<SocleError | undefined> {
  const spec = checkSpec({ ...plain, ...more }, { bridges: [], allowSpoofing: false });
  const host = { trait: (name: string) => traits?.includes(name) };
  const keys = { check: () => (key ? Promise.resolve() : Promise.reject(noKey)) };
  return await requireAbilities(spec, { host, keys }).then(() => undefined, toSocleError);
}

test("a spec requires no more of a host than it needs", async () => {
  assert.equal(await refusal({}, { traits: undefined, key: false }), undefined);
  assert.equal(await refusal({ firmware: "uefi" }, { traits: ["uefi"], key: false }), undefined);
  const all = ["uefi", "secure-boot", "vtpm"];
  const most = { firmware: "uefi-secure-boot", tpm: true, disks: [sealedDisk] };
  assert.equal(await refusal(most, { traits: all }), undefined);
});

test("a missing trait is refused with its name, its field and a remedy", async () => {
  for (const [more, trait, field, words] of [
    [{ firmware: "uefi" }, "uefi", "spec.firmware", /ovmf/],
    [{ firmware: "uefi-secure-boot" }, "secure-boot", "spec.firmware", /ovmf/],
    [{ tpm: true }, "vtpm", "spec.tpm", /swtpm/],
  ] as const) {
    const traits = ["uefi", "secure-boot", "vtpm"].filter((each) => each !== trait);
    const error = await refusal(more, { traits });
    assert.equal(error?.reason, "HOST_LACKS_TRAIT");
    assert.equal(error.details.metadata?.["trait"], trait);
    assert.match(error.details.fields?.[field] ?? "", words);
  }
  const keyless = await refusal({ tpm: true, disks: [sealedDisk] }, { traits: ["vtpm"], key: false });
  assert.equal(keyless?.details.metadata?.["trait"], "disk-encryption");
  assert.deepEqual(keyless.details.fields, {
    "spec.tpm": noKey.message,
    "spec.disks[0].encryption": noKey.message,
  });
});

test("an unknown trait is not refused permanently", async () => {
  const error = await refusal({ tpm: true }, { traits: undefined });
  assert.deepEqual([error?.kind, error?.reason], ["unavailable", "CAPACITY_UNKNOWN"]);
  assert.ok((error?.details.retryAfterMs ?? 0) > 0);
});

test("encrypted memory is accepted only where libvirt reports the requested kind", async () => {
  const path = new URL("../../../fixtures/xml/domain-capabilities-confidential.xml", import.meta.url);
  const amd = readFileSync(path, "utf8");
  const intel = amd.replace("<value>sev</value>", "<value>tdx</value>").replace("<value>sev-snp</value>", "");
  const none = { kind: "unsupported", reason: "not read here" } as const;
  const traits = (xml: string): string[] =>
    traitsOf({
      kvm: { kind: "read", value: { nested: false } },
      kvmFails: false,
      capabilities: none,
      domain: { kind: "read", value: parseDomainCapabilities(xml) },
      cells: [],
      devices: [],
    });
  const requested = (launchSecurity: string, xml: string): ReturnType<typeof refusal> =>
    refusal({ firmware: "uefi", launchSecurity }, { traits: traits(xml) });
  for (const kind of ["sev", "sev-snp"]) assert.equal(await requested(kind, amd), undefined);
  assert.equal(await requested("tdx", intel), undefined);
  for (const [kind, xml] of [
    ["tdx", amd],
    ["sev", intel],
    ["sev-snp", intel],
  ] as const) {
    const error = await requested(kind, xml);
    assert.deepEqual([error?.reason, error?.details.metadata?.["trait"]], ["HOST_LACKS_TRAIT", kind]);
    assert.ok("spec.launchSecurity" in (error?.details.fields ?? {}));
  }
});
