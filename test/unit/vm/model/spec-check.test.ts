import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";

const policy = { bridges: ["br0"], allowSpoofing: false };
const good = {
  name: "web-1",
  id: "6f1c2f1e-0000-4000-8000-000000000001",
  vcpus: 2,
  memoryBytes: 512 * 1024 * 1024,
  disks: [{ name: "root", source: { kind: "new", pool: "default", capacityBytes: 1 << 30 } }],
};

/** The refused fields with their messages. */
function refused(input: unknown): Readonly<Record<string, string>> {
  try {
    checkSpec(input, policy);
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError);
    assert.equal(thrown.kind, "invalid");
    assert.equal(thrown.reason, "SPEC_INVALID");
    return thrown.details.fields ?? {};
  }
  return {};
}

test("a minimal spec gets its defaults", () => {
  assert.deepEqual(checkSpec(good, policy), {
    ...good,
    firmware: "bios",
    disks: [{ ...good.disks[0], source: { ...good.disks[0]?.source, format: "qcow2" }, readOnly: false }],
    nics: [],
    guestAgent: false,
    tenant: "",
    labels: {},
    autostart: false,
  });
});

test("the order of a spec's keys does not change its JSON", () => {
  const turned = Object.fromEntries(Object.entries(good).reverse());
  assert.equal(JSON.stringify(checkSpec(turned, policy)), JSON.stringify(checkSpec(good, policy)));
});

test("the refusal names every wrong field at once", () => {
  const fields = refused({
    ...good,
    vcpus: 0,
    memoryBytes: 1000,
    nics: [{ name: "A", source: { kind: "network", network: "../etc" } }],
  });
  assert.deepEqual(Object.keys(fields).sort(), [
    "spec.memoryBytes",
    "spec.nics[0].name",
    "spec.nics[0].network",
    "spec.vcpus",
  ]);
});

test("a device address may occur once, an alias once for each device of its kind", () => {
  const named = (...devices: string[]) => refused({ ...good, placement: { devices } });
  assert.deepEqual(named("a100", "a100", "0000:3b:00.0"), {});
  assert.deepEqual(named("0000:3b:00.0", "0000:3b:00.0"), {
    "spec.placement.devices": "must not name a device twice",
  });
});

const hostile = [
  "",
  "a b",
  "../../etc/passwd",
  "/etc/passwd",
  "a/b",
  "x\u0000y",
  "x\ny",
  "x\u001b[2J",
  "<disk/>",
  "a&b",
  "a'\"b",
  "]]>",
  "\u202e",
  "-rf",
  ".",
  "..",
  "x".repeat(5000),
];
const volume = (pool: string, name: string): unknown => ({
  name: "root",
  source: { kind: "volume", volume: { pool, volume: name } },
});
const specWith: Readonly<Record<string, (text: string) => unknown>> = {
  "spec.name": (text) => ({ ...good, name: text }),
  "spec.id": (text) => ({ ...good, id: text }),
  "spec.disks[0].name": (text) => ({ ...good, disks: [{ ...good.disks[0], name: text }] }),
  "spec.disks[0].volume.pool": (text) => ({ ...good, disks: [volume(text, "v")] }),
  "spec.disks[0].volume.volume": (text) => ({ ...good, disks: [volume("p", text)] }),
  "spec.disks[0].baseVolume": (text) => ({
    ...good,
    disks: [{ name: "root", source: { kind: "new", pool: "p", baseVolume: text } }],
  }),
  "spec.kernelBoot.kernel.volume": (text) => ({
    ...good,
    kernelBoot: { kernel: { pool: "p", volume: text } },
  }),
  "spec.nics[0].network": (text) => ({
    ...good,
    nics: [{ name: "n", source: { kind: "network", network: text } }],
  }),
  "spec.nics[0].bridge": (text) => ({
    ...good,
    nics: [{ name: "n", source: { kind: "bridge", bridge: text } }],
  }),
  "spec.nics[0].mac": (text) => ({
    ...good,
    nics: [{ name: "n", source: { kind: "network", network: "d" }, mac: text }],
  }),
  "spec.nics[0].allowedAddresses[0]": (text) => ({
    ...good,
    nics: [{ name: "n", source: { kind: "network", network: "d" }, allowedAddresses: [text] }],
  }),
  "spec.cpuModel": (text) => ({ ...good, cpuMode: "custom", cpuModel: text }),
};
for (const [field, withText] of Object.entries(specWith)) {
  test(`hostile text in ${field} is refused with the field's name`, () => {
    for (const text of hostile)
      assert.ok(field in refused(withText(text)), `${JSON.stringify(text)} was accepted`);
  });
}

test("encrypted disks and a TPM are accepted with autostart: the agent gives libvirt their keys", () => {
  const source = { kind: "new", pool: "p", capacityBytes: 2 ** 20, encryption: "luks" };
  const sealed = { ...good, disks: [{ name: "root", source }] };
  assert.deepEqual(refused(sealed), {});
  assert.deepEqual(refused({ ...sealed, autostart: true }), {});
  assert.deepEqual(refused({ ...good, tpm: true, autostart: true }), {});
});

test("encrypted memory needs UEFI without secure boot, and KVM", () => {
  const sealed = { ...good, firmware: "uefi", launchSecurity: "sev-snp" };
  assert.deepEqual(refused(sealed), {});
  for (const more of [{ firmware: "bios" }, { firmware: "uefi-secure-boot" }, { accelerator: "tcg" }])
    assert.ok("spec.launchSecurity" in refused({ ...sealed, ...more }), JSON.stringify(more));
});

test("control characters are refused where free text is allowed", () => {
  for (const text of ["x\u0000", "x\u0007", "x\u2028", "\ud800", "\uffff"]) {
    assert.ok("spec.labels.note" in refused({ ...good, labels: { note: text } }), JSON.stringify(text));
    const kernelBoot = { kernel: { pool: "p", volume: "k" }, commandLine: text };
    assert.ok("spec.kernelBoot.commandLine" in refused({ ...good, kernelBoot }), JSON.stringify(text));
  }
  assert.deepEqual(refused({ ...good, labels: { note: "naïve <b> & 'q' \u{1f600}" } }), {});
});

test("a spec that the host's configuration does not allow is refused", () => {
  const nic = { name: "n", source: { kind: "bridge", bridge: "br1" }, allowSpoofing: true };
  assert.deepEqual(Object.keys(refused({ ...good, nics: [nic] })), [
    "spec.nics[0].bridge",
    "spec.nics[0].allowSpoofing",
  ]);
  assert.deepEqual(
    refused({ ...good, nics: [{ name: "n", source: { kind: "bridge", bridge: "br0" } }] }),
    {},
  );
});

test("parts of a spec that contradict each other are refused", () => {
  assert.ok("spec.cpuTopology" in refused({ ...good, cpuTopology: { sockets: 1, cores: 3, threads: 1 } }));
  assert.ok("spec.cpuModel" in refused({ ...good, cpuMode: "custom" }));
  assert.ok("spec.disks" in refused({ ...good, disks: [] }));
  assert.ok("spec.disks[1].name" in refused({ ...good, disks: [good.disks[0], good.disks[0]] }));
  const noSize = { name: "root", source: { kind: "new", pool: "p" } };
  assert.ok("spec.disks[0].capacityBytes" in refused({ ...good, disks: [noSize] }));
  const multicast = { name: "n", source: { kind: "network", network: "d" }, mac: "53:54:00:00:00:01" };
  assert.ok("spec.nics[0].mac" in refused({ ...good, nics: [multicast] }));
});

test("a maximum of memory is refused where memory is pinned, protected or in huge pages, or below the memory", () => {
  const mib = 1024 ** 2;
  const grows = { ...good, memoryBytes: 512 * mib, maxMemoryBytes: 1024 * mib };
  const pages = (pageSizeBytes: number) => ({ placement: { pageSizeBytes } });
  for (const changes of [pages(4096), { maxMemoryBytes: 513 * mib }, { maxMemoryBytes: 512 * mib }])
    assert.deepEqual(refused({ ...grows, ...changes }), {});
  const wrong: [object, string][] = [
    [{ memoryBytes: 1026 * mib }, "spec.memoryBytes"],
    [{ maxMemoryBytes: 1024 * mib + 1 }, "spec.maxMemoryBytes"],
    // Huge pages are not reserved for a growth.
    [pages(2 * mib), "spec.maxMemoryBytes"],
    [pages(1024 * mib), "spec.memoryBytes"],
    // A guest with 40 bits of addresses would not start.
    [{ maxMemoryBytes: 962 * 1024 * mib }, "spec.maxMemoryBytes"],
    [{ firmware: "uefi", launchSecurity: "sev" }, "spec.maxMemoryBytes"],
    [{ placement: { devices: ["gpu0"] } }, "spec.maxMemoryBytes"],
  ];
  for (const [changes, field] of wrong)
    assert.equal(Object.keys(refused({ ...grows, ...changes }))[0], field, JSON.stringify(changes));
});

test("a maximum of memory is refused on a host whose libvirt cannot add memory", () => {
  const mib = 1024 ** 2;
  const grows = { ...good, memoryBytes: 512 * mib, maxMemoryBytes: 1024 * mib };
  const old = { ...policy, canAddMemory: () => false };
  const isRefused = { reason: "SPEC_INVALID", message: /update libvirt/ };
  assert.throws(() => checkSpec(grows, old), isRefused);
  assert.ok(checkSpec({ ...grows, maxMemoryBytes: 512 * mib }, old));
  assert.ok(checkSpec(grows, { ...policy, canAddMemory: () => true }));
});

test("an unknown key is refused, not ignored", () => {
  assert.ok("spec" in refused({ ...good, emulator: "/bin/sh" }));
});

test("a VM name in the form of an id is refused", () => {
  assert.ok("spec.name" in refused({ ...good, name: "6f1c2f1e-0000-4000-8000-000000000001" }));
  assert.ok("spec.name" in refused({ ...good, name: "6F1C2F1E-0000-4000-8000-00000000000A" }));
});

test("limits of a NIC need a rate for each burst, and are within what libvirt can count", () => {
  const nic = (limits: object): object => ({
    ...good,
    nics: [{ name: "n", source: { kind: "network", network: "d" }, limits }],
  });
  const kib = 1024;
  const most = (2 ** 32 - 1) * kib;
  assert.doesNotThrow(() => checkSpec(nic({ inboundBytesPerSecond: kib, inboundBurstBytes: most }), policy));
  const wrong: [object, string][] = [
    [{}, ""],
    [{ inboundBytesPerSecond: kib - 1 }, ".inboundBytesPerSecond"],
    [{ outboundBytesPerSecond: most + kib }, ".outboundBytesPerSecond"],
    [{ outboundBytesPerSecond: 1.5 }, ".outboundBytesPerSecond"],
    [{ inboundBytesPerSecond: kib, outboundBurstBytes: kib }, ".outboundBurstBytes"],
    [{ peak: kib }, ""],
  ];
  for (const [limits, field] of wrong)
    assert.deepEqual(
      Object.keys(refused(nic(limits))),
      [`spec.nics[0].limits${field}`],
      JSON.stringify(limits),
    );
});
