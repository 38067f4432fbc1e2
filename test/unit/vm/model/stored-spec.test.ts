import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { vmToProto } from "../../../../agent/api/convert/vm.ts";
import { loadContract } from "../../../../agent/contract/load.ts";
import { vmFromDomain } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { parseVmDomain } from "../../../../agent/vm/model/vm-domain.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
/** A spec that 0.1.0 wrote: defaults filled in, in the order of its schema. */
const stored = {
  name: "web-1",
  id: ID,
  vcpus: 2,
  memoryBytes: 512 * 1024 * 1024,
  firmware: "bios",
  disks: [
    {
      name: "root",
      source: { kind: "new", pool: "default", capacityBytes: 1 << 30, format: "qcow2" },
      readOnly: false,
    },
    {
      name: "data",
      source: { kind: "volume", volume: { pool: "default", volume: "data.raw" } },
      readOnly: true,
    },
  ],
  nics: [
    {
      name: "front",
      source: { kind: "network", network: "default" },
      allowSpoofing: false,
      allowedAddresses: ["192.0.2.7"],
    },
  ],
  guestAgent: false,
  tenant: "blue",
  labels: { note: "one" },
  autostart: false,
  placement: {
    dedicatedCpus: false,
    cellPolicy: "any",
    pageSizeBytes: 4096,
    isolatedEmulator: false,
    devices: [],
  },
};

interface Parts {
  readonly spec: string;
  readonly specDigest?: string;
  readonly tenant?: string;
  readonly labels?: string;
  readonly placement?: string;
  readonly epoch?: string;
}

function vmOf({ spec, tenant = "blue", labels, placement, specDigest, epoch = "3" }: Parts): Vm {
  const digest = specDigest ?? createHash("sha256").update(spec).digest("hex");
  const text = (value: string): string => value.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const metadata =
    `<socle:vm xmlns:socle="urn:socle:vm:1"><socle:tenant>${tenant}</socle:tenant>` +
    `<socle:labels>${labels ?? '<socle:label key="note">one</socle:label>'}</socle:labels>` +
    `<socle:spec>${text(spec)}</socle:spec><socle:specDigest>${digest}</socle:specDigest>` +
    `<socle:placementEpoch>${epoch}</socle:placementEpoch>` +
    `<socle:createdAt>2026-01-02T00:00:00.000Z</socle:createdAt>` +
    (placement === undefined ? "" : `<socle:placement>${text(placement)}</socle:placement>`) +
    `</socle:vm>`;
  const xml =
    `<domain type='qemu'><name>web-1</name><uuid>${ID}</uuid><metadata>${metadata}</metadata>` +
    `<memory unit='KiB'>4096</memory><vcpu>3</vcpu><os><type>hvm</type></os><devices/></domain>`;
  return vmFromDomain(parseVmDomain(xml), { state: "stopped", stateReason: "UNKNOWN", observedAtMs: 5 });
}

/** The same spec on the wire. */
function onTheWire(vm: Vm): Record<string, unknown> {
  const { GetVm } = loadContract("proto").vms;
  return GetVm.responseDeserialize(GetVm.responseSerialize(vmToProto(vm))) as never;
}

test("a spec that 0.1.0 wrote is read without a change", () => {
  const placement = JSON.stringify({
    cells: [0],
    strict: false,
    vcpuCpus: [],
    sharedCpus: [0, 1],
    emulatorCpus: [],
    devices: [],
  });
  const vm = vmOf({ spec: JSON.stringify(stored), placement });
  assert.deepEqual(vm.spec, stored);
  assert.deepEqual(
    [vm.managed, vm.tenant, vm.labels, vm.unreadable],
    [true, "blue", { note: "one" }, undefined],
  );
});

const broken: readonly (readonly [string, Parts, RegExp])[] = [
  ["no JSON", { spec: "{" }, /not JSON/],
  ["null", { spec: "null" }, /spec is not valid/],
  ...Object.entries({
    disks: [null],
    nics: [{}],
    placement: 5,
    labels: "xyz",
    vcpus: "many",
    kernelBoot: { kernel: 1 },
    cpuTopology: null,
    fromTheFuture: true,
  }).map(
    ([field, value]) =>
      [
        `${field} is ${JSON.stringify(value)}`,
        { spec: JSON.stringify({ ...stored, [field]: value }) },
        /^spec: spec/,
      ] as const,
  ),
  ["changed after it was stored", { spec: JSON.stringify(stored), specDigest: "00" }, /SHA-256/],
  ["another tenant in the metadata", { spec: JSON.stringify(stored), tenant: "red" }, /another tenant/],
  ["other labels in the metadata", { spec: JSON.stringify(stored), labels: "" }, /other labels/],
  ["an invalid placement", { spec: JSON.stringify(stored), placement: `{"cells":"all"}` }, /placement/],
  ["an invalid epoch", { spec: JSON.stringify(stored), epoch: "soon" }, /placementEpoch/],
];

for (const [what, parts, reason] of broken)
  test(`an unreadable spec (${what}) is reported as unreadable, with libvirt's size and no tenant`, () => {
    const vm = vmOf(parts);
    assert.match(vm.unreadable ?? "", reason);
    const { managed, tenant, labels, spec, vcpus, memoryBytes } = vm;
    assert.deepEqual(
      { managed, tenant, labels, spec, vcpus, memoryBytes },
      { managed: true, tenant: "", labels: {}, spec: undefined, vcpus: 3, memoryBytes: 4096 * 1024 },
    );
    assert.equal(onTheWire(vm)["unreadable"], vm.unreadable);
    assert.equal(onTheWire(vm)["tenant"], "");
  });

test("the reason for an unreadable spec is one short line, whatever the metadata holds", () => {
  const vm = vmOf({ spec: JSON.stringify({ ...stored, [`\u001b[2J${"x".repeat(5000)}\n`]: 1 }) });
  assert.ok((vm.unreadable ?? "").length <= 203);
  assert.doesNotMatch(vm.unreadable ?? "", /\p{Cc}/u);
});
