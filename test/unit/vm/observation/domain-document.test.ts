import assert from "node:assert/strict";
import { test } from "node:test";
import { unbound, type Placement } from "../../../../agent/state/reservations/placement.ts";
import { domainDocument, type ResolvedSpec } from "../../../../agent/vm/observation/domain-document.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { vmFromDomain, vmWithoutXml } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { buildVmDomain, parseVmDomain } from "../../../../agent/vm/model/vm-domain.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const resolved = (
  changes: Record<string, unknown> = {},
  decided: Partial<ResolvedSpec> = {},
): ResolvedSpec => ({
  spec: checkSpec(
    {
      name: "web-1",
      id: ID,
      vcpus: 2,
      memoryBytes: 512 * 1024 * 1024,
      disks: [
        { name: "root", source: { kind: "new", pool: "default", capacityBytes: 1 << 30 } },
        {
          name: "data",
          source: { kind: "volume", volume: { pool: "default", volume: "data.raw" } },
          readOnly: true,
        },
      ],
      nics: [
        { name: "front", source: { kind: "network", network: "default" }, allowedAddresses: ["192.0.2.7"] },
      ],
      labels: { note: "a <b> & 'c'" },
      tenant: "blue",
      ...changes,
    },
    { bridges: [], allowSpoofing: true },
  ),
  accelerator: "kvm",
  architecture: "x86_64",
  socketDirectory: "/run/socle-guests",
  disks: [
    { path: "/pool/root.qcow2", format: "qcow2" },
    { path: "/pool/data.raw", format: "raw" },
  ],
  placement: unbound,
  placementEpoch: 3,
  createdAtMs: Date.UTC(2026, 0, 2),
  ...decided,
});
/** The document without white space between elements. */
const xmlOf = (each: ResolvedSpec): string => buildVmDomain(domainDocument(each)).replaceAll(/>\s+</g, "><");

test("a NIC with the link down begins so, and another has no word of it", () => {
  const source = { kind: "network", network: "default" };
  const nics = [
    { name: "front", source },
    { name: "back", source, linkDown: true },
  ];
  const [front = "", back = ""] = xmlOf(resolved({ nics })).match(/<interface.*?<\/interface>/g) ?? [];
  assert.doesNotMatch(front, /<link/);
  assert.match(back, /<link state="down"\/>/);
});

test("a VM is restored from its domain when the state directory is lost", () => {
  const requested = resolved();
  const vm = vmFromDomain(parseVmDomain(xmlOf(requested)), {
    state: "stopped",
    stateReason: "UNKNOWN",
    observedAtMs: 5,
  });
  assert.equal(vm.managed, true);
  assert.deepEqual(vm.spec, requested.spec);
  assert.deepEqual(
    {
      tenant: vm.tenant,
      labels: vm.labels,
      epoch: vm.placementEpoch,
      created: vm.createdAtMs,
      accelerator: vm.accelerator,
    },
    {
      tenant: "blue",
      labels: { note: "a <b> & 'c'" },
      epoch: 3,
      created: Date.UTC(2026, 0, 2),
      accelerator: "kvm",
    },
  );
  assert.deepEqual(
    vm.disks.map(({ name, device, path }) => ({ name, device, path })),
    [
      { name: "root", device: "vda", path: "/pool/root.qcow2" },
      { name: "data", device: "vdb", path: "/pool/data.raw" },
    ],
  );
});

test("a domain lists the volume keys that opened its VM, without the sealed secrets", () => {
  const keys = { "disk/root": "v1.aaaa.c2VhbGVk", "disk/data": "v1.bbbb.c2VhbGVk", tpm: "v1.aaaa.c2VhbGVk" };
  const vm = vmFromDomain(parseVmDomain(xmlOf(resolved({}, { keys }))), {
    state: "stopped",
    stateReason: "UNKNOWN",
    observedAtMs: 5,
  });
  assert.deepEqual(vm.sealedBy, ["aaaa", "bbbb"]);
  assert.ok(!JSON.stringify(vm).includes("c2VhbGVk"));
});

test("a NIC is filtered against spoofing unless the spec allows spoofing", () => {
  const filtered = xmlOf(resolved());
  assert.match(
    filtered,
    /<filterref filter=["']clean-traffic["']><parameter name=["']IP["'] value=["']192\.0\.2\.7["']\/?>/,
  );
  const open = resolved({
    nics: [{ name: "front", source: { kind: "network", network: "default" }, allowSpoofing: true }],
  });
  assert.doesNotMatch(xmlOf(open), /filterref/);
});

test("a NIC's MAC address is unique to its host, local, and never multicast or a tap device's", () => {
  const macs = Array.from({ length: 200 }, (_, index) => {
    const id = `6f1c2f1e-0000-4000-8000-${String(index).padStart(12, "0")}`;
    return domainDocument(resolved({ id })).devices.interfaces[0]?.mac ?? "";
  });
  assert.equal(new Set(macs).size, 200);
  for (const mac of macs) {
    const first = Number.parseInt(mac.slice(0, 2), 16);
    assert.equal(first & 0b11, 0b10, mac);
    assert.notEqual(first, 0xfe);
  }
  const again = domainDocument(resolved()).devices.interfaces[0]?.mac;
  assert.equal(domainDocument(resolved()).devices.interfaces[0]?.mac, again);
});

test("documents of emulated and KVM guests differ only where they must", () => {
  assert.match(xmlOf(resolved()), /<domain type=["']kvm["']/);
  assert.match(xmlOf(resolved()), /<cpu mode=["']host-model["']/);
  const emulated = xmlOf(resolved({}, { accelerator: "tcg" }));
  assert.match(emulated, /<domain type=["']qemu["']/);
  assert.doesNotMatch(emulated, /host-model/);
  assert.match(emulated, /<tb-cache/);
});

test("the first disk boots, unless the spec has a kernel", () => {
  assert.match(xmlOf(resolved()), /<boot order=["']1["']/);
  const kernelBoot = { kernel: { pool: "p", volume: "k" }, commandLine: "console=ttyS0 quiet" };
  const booted = xmlOf(resolved({ kernelBoot }, { kernelPath: "/pool/k", initrdPath: "/pool/i" }));
  assert.doesNotMatch(booted, /<boot order/);
  assert.match(
    booted,
    /<kernel>\/pool\/k<\/kernel><initrd>\/pool\/i<\/initrd><cmdline>console=ttyS0 quiet<\/cmdline>/,
  );
});

test("metadata of another domain makes a VM unmanaged", () => {
  const xml = xmlOf(resolved());
  const facts = { state: "running", stateReason: "BOOTED", observedAtMs: 0 } as const;
  const copied = xml.replace(`<uuid>${ID}</uuid>`, "<uuid>6f1c2f1e-0000-4000-8000-0000000000ff</uuid>");
  assert.equal(vmFromDomain(parseVmDomain(copied), facts).managed, false);
});

test("every disk that a spec may have gets a distinct device name", () => {
  const count = 24;
  const many = Array.from({ length: count }, (_, index) => ({
    name: `d${index}`,
    source: { kind: "volume", volume: { pool: "p", volume: `v${index}` } },
  }));
  const paths = many.map((_, index) => ({ path: `/pool/v${index}`, format: "raw" }));
  const devices = domainDocument(resolved({ disks: many }, { disks: paths })).devices.disks.map(
    ({ target }) => target.device,
  );
  assert.equal(new Set(devices).size, count);
  assert.deepEqual([devices[0], devices[23]], ["vda", "vdx"]);
});

const placed: Placement = {
  cells: [1],
  strict: true,
  vcpuCpus: [6, 14],
  sharedCpus: [],
  emulatorCpus: [4, 12],
  hugepageBytes: 2 ** 30,
  devices: ["0000:3b:00.1"],
};
const facts = { state: "stopped", stateReason: "UNKNOWN", observedAtMs: 5 } as const;

test("a VM is pinned to its CPUs, its NUMA cell, its pages and its devices", () => {
  const xml = xmlOf(resolved({ memoryBytes: 2 ** 30 }, { placement: placed }));
  for (const part of [
    "<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>",
    "<vcpu placement='static'>2</vcpu>",
    "<vcpupin vcpu='0' cpuset='6'/><vcpupin vcpu='1' cpuset='14'/><emulatorpin cpuset='4,12'/>",
    "<numatune><memory mode='strict' nodeset='1'/></numatune>",
    "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/></source>",
  ])
    assert.ok(xml.replaceAll('"', "'").includes(part), `${part}\nis not in\n${xml}`);
});

test("without shared CPUs, QEMU's own threads run only on the CPUs of their vCPUs", () => {
  const placement: Placement = { ...unbound, vcpuCpus: [2, 3] };
  const xml = xmlOf(resolved({ placement: { dedicatedCpus: true } }, { placement }));
  assert.match(xml, /<emulatorpin cpuset="2-3"\/>/);
});

test("a VM's claim is read back from its domain, and from the placement where the domain lacks it", () => {
  const document = parseVmDomain(xmlOf(resolved({ memoryBytes: 2 ** 30 }, { placement: placed })));
  const taken = {
    cells: [1],
    hugepageBytes: 2 ** 30,
    vcpuPins: [[6], [14]],
    emulatorPin: [4, 12],
    devices: ["0000:3b:00.1"],
  };
  const of = ({ cells, hugepageBytes, vcpuPins, emulatorPin, devices }: Vm): unknown => ({
    cells,
    hugepageBytes,
    vcpuPins,
    emulatorPin,
    devices,
  });
  assert.deepEqual(of(vmFromDomain(document, facts)), taken);
  const domain = { uuid: ID, name: "web-1", id: 3 };
  const size = { vcpus: undefined, memoryBytes: undefined };
  const silent = vmWithoutXml({ domain, size, facts, metadata: document.metadata });
  assert.ok(silent !== undefined);
  assert.deepEqual(of(silent), taken);
  // The size of an unmanaged VM without readings is unknown, not zero.
  assert.equal(vmWithoutXml({ domain, size, facts, metadata: undefined }), undefined);
});

test("VMs on shared CPUs and their QEMU threads are confined to the shared CPUs", () => {
  const xml = xmlOf(resolved({}, { placement: { ...unbound, sharedCpus: [0, 1, 8] } }));
  assert.match(xml, /<vcpu placement=['"]static['"] cpuset=['"]0-1,8['"]>2<\/vcpu>/);
  assert.doesNotMatch(xml, /cputune|numatune|hugepages/);
  assert.deepEqual(vmFromDomain(parseVmDomain(xml), facts).vcpuPins, [
    [0, 1, 8],
    [0, 1, 8],
  ]);
});

test("memory encryption is requested with a policy that forbids debugging", () => {
  const policies = { sev: "0x0003", "sev-snp": "0x30000", tdx: "0x10000000" };
  for (const [launchSecurity, policy] of Object.entries(policies)) {
    const document = domainDocument(resolved({ firmware: "uefi", launchSecurity }));
    const xml = buildVmDomain(document);
    assert.match(xml, new RegExp(`<launchSecurity type="${launchSecurity}">\\s*<policy>${policy}</policy>`));
    assert.deepEqual(parseVmDomain(xml).launchSecurity, document.launchSecurity);
  }
  assert.doesNotMatch(buildVmDomain(domainDocument(resolved())), /launchSecurity|memtune/);
});

test("a memory limit leaves room beyond the guest, its page tables and the headroom", () => {
  const GIB = 2 ** 30;
  const document = domainDocument(resolved({ memoryBytes: 64 * GIB }, { memoryHeadroomBytes: GIB }));
  const limit = parseVmDomain(buildVmDomain(document)).memoryHardLimitBytes ?? 0;
  assert.ok(limit >= 65 * GIB + (64 * GIB) / 512 && limit <= 66 * GIB, String(limit));
});

test("a guest that can grow has its memory in one cell, and counts with each device that it was given", () => {
  const GIB = 2 ** 30;
  const each = resolved(
    { memoryBytes: 2 * GIB, maxMemoryBytes: 8 * GIB, maxVcpus: 4 },
    { memoryHeadroomBytes: GIB },
  );
  const xml = xmlOf(each);
  for (const part of [
    `<maxMemory slots="8" unit="KiB">${8 * 2 ** 20}</maxMemory>`,
    `<memory unit="KiB">${2 * 2 ** 20}</memory>`,
    `<numa><cell id="0" cpus="0-3" memory="${2 * 2 ** 20}" unit="KiB"/></numa>`,
  ])
    assert.ok(xml.includes(part), `${part}\nis not in\n${xml}`);
  assert.doesNotMatch(xml, /virtio-mem/);
  // The kernel would kill a guest that grew beyond a limit of its first memory.
  assert.ok((parseVmDomain(xml).memoryHardLimitBytes ?? 0) >= 9 * GIB);
  assert.equal(vmFromDomain(parseVmDomain(xml), facts).memoryBytes, 2 * GIB);
  // Of a device that it was given the guest can take the whole, whatever it was asked to use, and whichever client added it.
  for (const alias of ["ua-memory-1", "virtiomem0"]) {
    const device = { model: "virtio-mem", sizeBytes: 4 * GIB, requestedBytes: 0, currentBytes: 0, alias };
    const live = parseVmDomain(xml);
    const devices = { ...live.devices, memoryDevices: [device] };
    assert.equal(vmFromDomain({ ...live, memoryBytes: 6 * GIB, devices }, facts).memoryBytes, 6 * GIB);
  }
  // Also of a guest that hangs, and was never read.
  const { metadata } = domainDocument(each);
  const domain = { name: "web-1", uuid: ID, id: 7 };
  const hung = vmWithoutXml({ domain, facts, metadata, size: { vcpus: 2, memoryBytes: 6 * GIB } });
  assert.equal(hung?.memoryBytes, 6 * GIB);
  for (const changes of [{}, { memoryBytes: GIB, maxMemoryBytes: GIB }])
    assert.doesNotMatch(xmlOf(resolved(changes)), /<maxMemory|<numa/);
});

test("a TPM is emulated, with its state encrypted by the VM's own secret", () => {
  const xml = buildVmDomain(domainDocument(resolved({ tpm: true })));
  assert.match(
    xml,
    /<tpm model="tpm-crb">\s*<backend type="emulator" version="2\.0">\s*<encryption secret="[\da-f-]{36}"/,
  );
});

test("a seed is a read-only disk behind all others, from which no guest boots", () => {
  const disks = Array.from({ length: 24 }, (_, index) => ({
    name: `d${index}`,
    source: { kind: "new", pool: "default", capacityBytes: 1 },
  }));
  const seeded = resolved(
    { disks, cloudInit: {} },
    {
      disks: disks.map(({ name }) => ({ path: `/pool/${name}`, format: "qcow2" })),
      seedPath: "/pool/seed.iso",
    },
  );
  const devices = domainDocument(seeded).devices.disks.map(({ target }) => target.device);
  assert.equal(new Set(devices).size, 25);
  const [, seed = ""] = /(<disk (?:(?!<disk ).)*seed\.iso.*?<\/disk>)/.exec(xmlOf(seeded)) ?? [];
  assert.match(
    seed,
    /<target dev="vdz" bus="virtio"\/><readonly\/><serial>cidata<\/serial><alias name="ua-seed"\/>/,
  );
  assert.doesNotMatch(seed, /boot/);
  // It has a place of its own, so that it never looks like a disk of the spec.
  const vm = vmFromDomain(parseVmDomain(xmlOf(seeded)), {
    state: "stopped",
    stateReason: "UNKNOWN",
    observedAtMs: 5,
  });
  assert.deepEqual(vm.disks.at(-1), { device: "vdz", path: "/pool/seed.iso", readOnly: true });
});

test("a NIC's limits are libvirt's, each rounded up to a KiB; one without limits has none", () => {
  const limits = {
    inboundBytesPerSecond: 2 ** 20 + 1,
    inboundBurstBytes: 4096,
    outboundBytesPerSecond: 2048,
  };
  const nics = [
    { name: "front", source: { kind: "network", network: "default" }, limits },
    {
      name: "back",
      source: { kind: "network", network: "default" },
      limits: { outboundBytesPerSecond: 1024 },
    },
    { name: "free", source: { kind: "network", network: "default" } },
  ];
  const xml = xmlOf(resolved({ nics }));
  assert.deepEqual(xml.match(/<bandwidth>.*?<\/bandwidth>/g), [
    `<bandwidth><inbound average="1025" burst="4"/><outbound average="2"/></bandwidth>`,
    `<bandwidth><outbound average="1"/></bandwidth>`,
  ]);
});
