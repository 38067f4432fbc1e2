import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { noDevices } from "../../../../../agent/libvirt/xml/index.ts";
import { fixture } from "../../../../support/libvirt/xml/oracles.ts";
import { parseVmDomain, type VmDomain } from "../../../../../agent/vm/model/vm-domain.ts";

const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

describe("a running domain of Socle's in libvirt 11.3", () => {
  const domain = parseVmDomain(fixture("domain-running"));

  it("has Socle's own facts", () => {
    assert.deepEqual(domain.metadata, {
      socle: {
        tenant: "acme",
        labels: { app: "web & <cache>", tier: "front" },
        spec: '{"name":"socle-xml-run","vcpus":2}',
        specDigest: "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        placementEpoch: 7,
        createdAt: "2025-11-24T15:40:00.000Z",
        accelerator: "tcg",
      },
    });
  });

  it("has its sizes, machine and features", () => {
    assert.deepEqual(
      [domain.memoryBytes, domain.currentMemoryBytes, domain.vcpus, domain.iothreads],
      [64 * mebibyte, 64 * mebibyte, { max: 2, current: 1 }, 1],
    );
    assert.deepEqual(domain.os, { type: "hvm", arch: "x86_64", machine: "pc-q35-10.0" });
    assert.deepEqual(domain.features, { acpi: true, apic: true, vmport: false, tcgCacheBytes: mebibyte });
    assert.deepEqual(domain.securityLabels, [
      { type: "dynamic", model: "dac", relabel: true, label: "+64055:+64055", imageLabel: "+64055:+64055" },
    ]);
  });

  it("has its disks with the chain of their backing files", () => {
    assert.deepEqual(domain.devices.disks, [
      {
        device: "disk",
        source: { type: "file", path: "/var/lib/libvirt/images/socle-xml/top.qcow2" },
        format: "qcow2",
        cache: "none",
        io: "native",
        discard: "unmap",
        iothread: 1,
        target: { device: "vda", bus: "virtio" },
        serial: "root",
        bootOrder: 1,
        ioTune: { totalOpsPerSecond: 500 },
        alias: "virtio-disk0",
        backingChain: [
          { format: "qcow2", source: { type: "file", path: "/var/lib/libvirt/images/socle-xml/mid.qcow2" } },
          { format: "qcow2", source: { type: "file", path: "/var/lib/libvirt/images/socle-xml/base.qcow2" } },
        ],
      },
      { device: "cdrom", target: { device: "sda", bus: "sata" }, readOnly: true, alias: "sata0-0-0" },
    ]);
  });

  it("has its terminal, its log and the guest agent's channel", () => {
    assert.deepEqual(domain.devices.serials, [
      {
        type: "pty",
        path: "/dev/pts/0",
        log: { path: "/var/log/libvirt/qemu/socle-xml-run-serial.log", append: true },
        target: { type: "isa-serial", port: 0, model: "isa-serial" },
        alias: "serial0",
      },
    ]);
    assert.deepEqual(domain.devices.channels, [
      {
        type: "unix",
        path: "/run/libvirt/qemu/channel/1-socle-xml-run/org.qemu.guest_agent.0",
        mode: "bind",
        targetType: "virtio",
        targetName: "org.qemu.guest_agent.0",
        state: "disconnected",
        alias: "channel0",
      },
    ]);
    assert.deepEqual(domain.devices.memoryBalloon, {
      model: "virtio",
      statsPeriodSeconds: 10,
      freePageReporting: true,
    });
  });
});

describe("an unmanaged domain of an OpenStack host", () => {
  const { devices, ...domain } = parseVmDomain(fixture("domain-openstack"));

  it("is read in all parts that Socle knows, and no others", () => {
    assert.deepEqual(domain, {
      type: "kvm",
      name: "instance-0000a1f3",
      uuid: "7d3f0a52-6c1b-4e88-9b0e-2f6a1c9d0e11",
      title: 'db <primary> & "cache"',
      description: "two\nlines",
      metadata: { foreign: true },
      memoryBytes: 64 * gibibyte,
      currentMemoryBytes: 64 * gibibyte,
      maxMemory: { bytes: 128 * gibibyte, slots: 16 },
      memoryBacking: {
        hugePages: [
          { pageSizeBytes: gibibyte, guestCells: [0] },
          { pageSizeBytes: 2 * mebibyte, guestCells: [1] },
        ],
        source: "memfd",
        access: "shared",
        allocation: "immediate",
        noSharePages: true,
        locked: true,
      },
      vcpus: {
        max: 16,
        current: 16,
        cpuSet: [2, 3, 4, 5, 6, 7, 8, 9, 130, 131, 132, 133, 134, 135, 136, 137],
      },
      iothreads: 2,
      cpuTune: {
        shares: 16_384,
        periodMicros: 100_000,
        quotaMicros: -1,
        vcpuPins: [
          { vcpu: 0, cpuSet: [2] },
          { vcpu: 1, cpuSet: [130] },
        ],
        emulatorPin: [0, 128, 129],
        iothreadPins: [{ iothread: 1, cpuSet: [0] }],
      },
      numaTune: {
        memory: { mode: "strict", nodeSet: [0, 1] },
        memNodes: [
          { guestCell: 0, mode: "strict", nodeSet: [0] },
          { guestCell: 1, mode: "preferred", nodeSet: [1] },
        ],
      },
      cpu: {
        mode: "host-passthrough",
        check: "none",
        migratable: true,
        topology: { sockets: 2, dies: 1, clusters: 1, cores: 4, threads: 2 },
        features: [
          { name: "topoext", policy: "require" },
          { name: "svm", policy: "disable" },
        ],
        cells: [
          { id: 0, cpus: [0, 1, 2, 3, 4, 5, 6, 7], memoryBytes: 32 * gibibyte, memoryAccess: "shared" },
          { id: 1, cpus: [8, 9, 10, 11, 12, 13, 14, 15], memoryBytes: 32 * gibibyte },
        ],
      },
      os: {
        type: "hvm",
        arch: "x86_64",
        machine: "pc-q35-rhel9.6.0",
        firmware: "efi",
        secureBoot: true,
        enrolledKeys: true,
        loader: {
          path: "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
          readOnly: true,
          type: "pflash",
          secure: true,
          format: "raw",
        },
        nvram: {
          path: "/var/lib/libvirt/qemu/nvram/instance-0000a1f3_VARS.fd",
          template: "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
          format: "raw",
        },
        bootDevices: ["hd", "network"],
      },
      features: {
        acpi: true,
        apic: true,
        smm: true,
        vmport: false,
        kvmHidden: true,
        ioapic: "qemu",
        hyperv: true,
      },
      clock: {
        offset: "localtime",
        timers: [
          { name: "pit", tickPolicy: "delay" },
          { name: "rtc", tickPolicy: "catchup" },
          { name: "hpet", present: false },
          { name: "tsc", mode: "native", frequencyHz: 2_445_405_000 },
        ],
      },
      onPoweroff: "destroy",
      onReboot: "restart",
      onCrash: "preserve",
      securityLabels: [
        {
          type: "dynamic",
          model: "selinux",
          relabel: true,
          label: "system_u:system_r:svirt_t:s0:c12,c900",
          imageLabel: "system_u:object_r:svirt_image_t:s0:c12,c900",
        },
      ],
      launchSecurity: { type: "sev", policy: 3, hasMore: true },
      hasCommandLine: true,
    } satisfies Omit<VmDomain, "devices">);
  });

  it("has its disks of every kind", () => {
    assert.deepEqual(
      devices.disks.map(({ target, source, device }) => [target.device, device, source]),
      [
        [
          "vda",
          "disk",
          {
            type: "network",
            protocol: "rbd",
            name: "vms/7d3f0a52_disk",
            hosts: ["10.9.0.11:6789", "fd00:9::12:6789"],
          },
        ],
        ["sdb", "lun", { type: "block", path: "/dev/mapper/36001405f" }],
        ["vdb", "disk", { type: "volume", pool: "nvme", volume: "scratch" }],
        ["vdc", "disk", { type: "other", kind: "vhostuser" }],
        ["sdc", "cdrom", undefined],
      ],
    );
    assert.equal(devices.disks[2]?.encryptionSecretUuid, "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f");
    assert.deepEqual([devices.disks[1]?.shareable, devices.disks[1]?.queues], [true, 4]);
  });

  it("has its interfaces of every kind", () => {
    assert.deepEqual(devices.interfaces, [
      {
        source: { type: "bridge", bridge: "br-int" },
        mac: "fa:16:3e:1b:22:9c",
        model: "virtio",
        targetDevice: "tap7d3f0a52-6c",
        queues: 8,
        mtuBytes: 8950,
        linkState: "down",
        alias: "net0",
      },
      {
        source: { type: "hostdev", address: { domain: 0, bus: 0x3b, slot: 2, function: 1 }, managed: true },
        mac: "fa:16:3e:1b:22:9d",
        alias: "hostdev0",
      },
      { source: { type: "direct", device: "eno1", mode: "vepa" }, mac: "52:54:00:00:00:03", model: "e1000e" },
      { source: { type: "other", kind: "vhostuser" }, mac: "52:54:00:00:00:04", model: "virtio" },
      {
        source: { type: "network", network: "blue", bridge: "virbr7" },
        mac: "52:54:00:00:00:05",
        model: "virtio",
        targetDevice: "vnet9",
        filter: {
          name: "clean-traffic",
          parameters: [
            { name: "IP", value: "10.1.0.7" },
            { name: "IP", value: "10.1.0.8" },
          ],
        },
      },
    ]);
  });

  it("has the host's devices and the rest", () => {
    assert.deepEqual(devices.hostDevices, [
      {
        type: "pci",
        address: { domain: 0, bus: 0xaf, slot: 0, function: 0 },
        managed: true,
        driver: "vfio",
        bootOrder: 3,
        rom: false,
        alias: "hostdev1",
      },
      { type: "mdev", managed: false, uuid: "c2177883-f1bb-47f0-914d-32a22e3a8804", model: "vfio-pci" },
      { type: "other", managed: false, kind: "usb" },
    ]);
    assert.deepEqual(devices.tpms, [
      {
        model: "tpm-crb",
        backend: "emulator",
        version: "2.0",
        encryptionSecretUuid: "6dd3e4a5-1d76-44ce-961f-f119f5aad935",
      },
    ]);
    assert.deepEqual(devices.graphics, [
      { type: "vnc", port: 5901, autoPort: true, listen: "10.0.0.7" },
      { type: "spice" },
    ]);
    assert.deepEqual(devices.channels[0]?.state, "connected");
    assert.deepEqual(devices.rngs, [{ model: "virtio", backend: "egd" }]);
    assert.deepEqual(devices.vsock, { model: "virtio", autoCid: false, cid: 41 });
    assert.deepEqual(devices.videos, [{ model: "qxl", vramBytes: 64 * mebibyte, heads: 2 }]);
    assert.deepEqual(
      devices.serials.map(({ type, path }) => [type, path]),
      [
        ["tcp", undefined],
        ["unix", "/run/serial1.sock"],
      ],
    );
  });
});

const bare = (inside: string) =>
  `<domain type='test'><name>n</name><uuid>3F0C9B52-7A54-4C1D-8F3E-0C3A9D3A1B01</uuid>` +
  `<memory>1024</memory><os><type>hvm</type></os>${inside}</domain>`;

describe("a domain's document", () => {
  it("may contain only what libvirt always writes", () => {
    assert.deepEqual(parseVmDomain(bare("")), {
      type: "test",
      name: "n",
      uuid: "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01",
      memoryBytes: mebibyte,
      vcpus: { max: 1, current: 1 },
      os: { type: "hvm" },
      devices: noDevices,
    });
  });

  it("may contain elements that Socle does not know", () => {
    const odd = `<zzz a='1'><devices><disk/></devices></zzz><devices><disk type='nvme'><source type='pci'/></disk>
      <disk/><interface/><hostdev/><hostdev type='pci'/><serial/><channel/><rng/><tpm/><graphics/><video/><input/>
      <panic/><controller/><memballoon/><vsock/><unknown/></devices><cpu/><features/><clock/><metadata/>
      <memoryBacking/><cputune/><numatune/><idmap/>`;
    assert.equal(parseVmDomain(bare(odd)).devices.disks.length, 2);
  });

  it("must have its name, uuid and memory, and names the missing one", () => {
    for (const name of ["name", "uuid", "memory"]) {
      const text = bare("").replace(new RegExp(`<${name}>.*</${name}>`), "");
      assert.throws(() => parseVmDomain(text), {
        kind: "internal",
        reason: "XML_UNEXPECTED",
        message: `libvirt XML: domain/${name} is missing`,
      });
    }
  });

  it("shows a chain of 200 backing files", () => {
    const store = "<backingStore type='file'><format type='qcow2'/><source file='/b'/>";
    const chain = `${store.repeat(200)}<backingStore/>${"</backingStore>".repeat(200)}`;
    const { devices } = parseVmDomain(
      bare(`<devices><disk type='file'><source file='/a'/>${chain}<target dev='vda'/></disk></devices>`),
    );
    assert.equal(devices.disks[0]?.backingChain?.length, 200);
  });

  it("is Socle's by the namespace, whatever its prefix", () => {
    const vm = (prefix: string) =>
      `<metadata><${prefix}:vm xmlns:${prefix}='urn:socle:vm:1'><${prefix}:tenant>t</${prefix}:tenant>` +
      `<${prefix}:spec>{}</${prefix}:spec><${prefix}:specDigest>d</${prefix}:specDigest>` +
      `<${prefix}:placementEpoch>0</${prefix}:placementEpoch><${prefix}:createdAt>c</${prefix}:createdAt>` +
      `</${prefix}:vm></metadata>`;
    assert.equal(parseVmDomain(bare(vm("socle"))).metadata?.socle?.tenant, "t");
    assert.equal(parseVmDomain(bare(vm("other"))).metadata?.socle?.tenant, "t");
    const claimed = vm("socle").replace("urn:socle:vm:1", "urn:someone:else");
    assert.deepEqual(parseVmDomain(bare(claimed)).metadata, { foreign: true });
  });

  it("is read-only for Socle if Socle's element cannot be read", () => {
    const broken =
      "<metadata><x xmlns='urn:socle:vm:1'><tenant>t</tenant><placementEpoch>-1</placementEpoch></x></metadata>";
    const { metadata } = parseVmDomain(bare(broken));
    assert.equal(metadata?.socle, undefined);
    assert.match(metadata?.problem ?? "", /placementEpoch is no integer/);
  });
});
