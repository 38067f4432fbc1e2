import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  formatPciAddress,
  parseCapabilities,
  parseDomainCapabilities,
  parseNodeDevice,
} from "../../../../agent/libvirt/xml/index.ts";
import { fixture } from "../../../support/libvirt/xml/oracles.ts";

const mebibyte = 1024 ** 2;

describe("the capabilities of a host with two sockets and four cells", () => {
  const host = parseCapabilities(fixture("capabilities-two-sockets"));

  it("have each cell's memory, pages, distances and cpus", () => {
    assert.equal(host.cells.length, 4);
    const [first, , third] = host.cells;
    assert.ok(first && third);
    assert.equal(first.memoryBytes, 263_929_752 * 1024);
    assert.deepEqual(
      third.distances.map(({ value }) => value),
      [32, 32, 10, 12],
    );
    assert.deepEqual(first.pages.slice(1), [
      { sizeBytes: 2 * mebibyte, count: 8192 },
      { sizeBytes: 1024 * mebibyte, count: 200 },
    ]);
    assert.deepEqual(
      host.cells.map(({ cpus }) => cpus.length),
      [64, 64, 64, 64],
    );
    assert.deepEqual(third.cpus[0], {
      id: 64,
      socket: 1,
      die: 1,
      cluster: 65_535,
      core: 0,
      siblings: [64, 192],
    });
    const all = host.cells.flatMap(({ cpus }) => cpus.map(({ id }) => id));
    assert.deepEqual(
      all.sort((a, b) => a - b),
      [...Array(256).keys()],
    );
  });

  it("have the cpu, migration, caches and bandwidth", () => {
    assert.equal(host.hostUuid, "4c4c4544-0051-3610-8054-b8c04f4a5931");
    assert.deepEqual(
      [host.cpu.arch, host.cpu.model, host.cpu.vendor, host.cpu.topology],
      ["x86_64", "EPYC-Milan", "AMD", { sockets: 1, dies: 1, clusters: 1, cores: 64, threads: 2 }],
    );
    assert.ok(host.cpu.features.includes("invtsc") && host.cpu.features.includes("sse4.1"));
    assert.deepEqual(host.cpu.counters, [{ name: "tsc", frequencyHz: 2_445_405_000, scaling: true }]);
    assert.deepEqual(host.cpu.pageSizesBytes, [4096, 2 * mebibyte, 1024 * mebibyte]);
    assert.deepEqual(
      [host.iommu, host.liveMigration, host.migrationTransports],
      [true, true, ["tcp", "rdma"]],
    );
    assert.deepEqual(host.cacheBanks[1], {
      id: 1,
      level: 3,
      type: "both",
      sizeBytes: 32 * mebibyte,
      cpus: [8, 9, 10, 11, 12, 13, 14, 15, 136, 137, 138, 139, 140, 141, 142, 143],
    });
    assert.deepEqual(host.memoryBandwidthNodes[15], {
      id: 15,
      cpus: [120, 121, 122, 123, 124, 125, 126, 127, 248, 249, 250, 251, 252, 253, 254, 255],
      granularityPercent: 1,
      minPercent: 1,
      maxAllocations: 15,
    });
    assert.deepEqual(
      host.securityModels.map(({ model }) => model),
      ["selinux", "dac"],
    );
  });

  it("list the guests that can run", () => {
    assert.deepEqual(host.guests, [
      {
        osType: "hvm",
        arch: "x86_64",
        wordSizeBits: 64,
        emulator: "/usr/libexec/qemu-kvm",
        machines: [
          { name: "pc-i440fx-rhel7.6.0", maxCpus: 240, deprecated: true },
          { name: "pc", canonical: "pc-i440fx-rhel7.6.0", maxCpus: 240, deprecated: true },
          { name: "pc-q35-rhel9.6.0", maxCpus: 4096 },
          { name: "q35", canonical: "pc-q35-rhel9.6.0", maxCpus: 4096 },
        ],
        domainTypes: ["qemu", "kvm"],
      },
    ]);
  });
});

describe("capabilities of other hosts", () => {
  it("are read from libvirt 11.3 of a small virtual machine", () => {
    const host = parseCapabilities(fixture("capabilities"));
    assert.deepEqual(
      [host.iommu, host.memoryBandwidthNodes, host.cells[0]?.memoryBytes, host.cells[0]?.cpus.length],
      [false, [], 5_073_108 * 1024, 2],
    );
    assert.deepEqual(
      host.guests.map(({ arch, domainTypes }) => [arch, domainTypes]),
      [
        ["i686", ["qemu", "kvm"]],
        ["x86_64", ["qemu", "kvm"]],
      ],
    );
  });

  it("may lack a topology, and the place of a cpu that is offline", () => {
    const bare = "<capabilities><host><cpu><arch>aarch64</arch></cpu></host></capabilities>";
    assert.deepEqual(parseCapabilities(bare).cells, []);
    const cell =
      "<topology><cells num='1'><cell id='1'><cpus num='1'><cpu id='9'/></cpus></cell></cells></topology>";
    assert.deepEqual(parseCapabilities(bare.replace("</host>", `${cell}</host>`)).cells, [
      { id: 1, memoryBytes: 0, pages: [], distances: [], cpus: [{ id: 9, siblings: [9] }] },
    ]);
  });
});

describe("domain capabilities", () => {
  it("describe a host for confidential guests", () => {
    const { devices, features, ...offer } = parseDomainCapabilities(
      fixture("domain-capabilities-confidential"),
    );
    assert.deepEqual(offer, {
      emulator: "/usr/libexec/qemu-kvm",
      domainType: "kvm",
      machine: "pc-q35-rhel9.6.0",
      arch: "x86_64",
      maxVcpus: 4096,
      os: {
        firmwares: ["bios", "efi"],
        loaderPaths: ["/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF.amdsev.fd"],
        loaderTypes: ["rom", "pflash"],
        secureBoot: true,
      },
      cpu: {
        hostPassthrough: true,
        hostPassthroughMigratable: true,
        maximum: false,
        hostModel: {
          model: "EPYC-Milan",
          vendor: "AMD",
          features: [
            { name: "x2apic", policy: "require" },
            { name: "svm", policy: "disable" },
          ],
        },
        customModels: [
          { name: "EPYC-Milan", usable: true, vendor: "AMD" },
          { name: "EPYC-Genoa", usable: false, vendor: "AMD" },
          { name: "qemu32", usable: true, vendor: "unknown", deprecated: true },
          { name: "Snowridge", vendor: "Intel" },
        ],
      },
      memoryBackingSources: ["file", "anonymous", "memfd"],
      launchSecurity: ["sev", "sev-snp"],
    });
    assert.deepEqual(devices["tpm"]?.values["backendModel"], ["passthrough", "emulator"]);
    assert.deepEqual(
      [features["sev"]?.supported, features["sgx"]?.supported, features["tdx"]],
      [true, false, undefined],
    );
    assert.deepEqual(features["hyperv"]?.values["features"], ["relaxed", "vapic"]);
  });

  it("describe a host without firmware files", () => {
    const offer = parseDomainCapabilities(fixture("domain-capabilities"));
    assert.deepEqual(offer.os, {
      firmwares: [],
      loaderPaths: [],
      loaderTypes: ["rom", "pflash"],
      secureBoot: false,
    });
    assert.deepEqual(
      [offer.cpu.hostPassthrough, offer.cpu.hostModel?.model, offer.launchSecurity],
      [true, "kvm64", []],
    );
    const usable = offer.cpu.customModels.filter((model) => model.usable === true).map(({ name }) => name);
    assert.ok(usable.includes("pentium3") && !usable.includes("Broadwell"));
    assert.deepEqual(offer.devices["disk"]?.values["bus"], ["fdc", "scsi", "virtio", "usb", "sata"]);
  });

  it("are read without the features that make a CPU model unusable", () => {
    const models = (blockers: string): string =>
      "<domainCapabilities><domain>kvm</domain><arch>x</arch><cpu><mode name='custom' supported='yes'>" +
      `<model usable='no'>Snowridge</model>${blockers}<model usable='yes'>qemu64</model>` +
      "</mode></cpu></domainCapabilities>";
    // More elements than the parser accepts.
    const features = "<feature name='mpx'/>\n".repeat(200_000);
    const { cpu } = parseDomainCapabilities(models(`<blockers model='Snowridge'>\n${features}</blockers>`));
    assert.deepEqual(
      cpu.customModels.map(({ name, usable }) => [name, usable]),
      [
        ["Snowridge", false],
        ["qemu64", true],
      ],
    );
    assert.throws(() => parseDomainCapabilities(models("<blockers model='Snowridge'><feature></blockers>")), {
      reason: "XML_MALFORMED",
    });
  });

  it("cannot reach into the prototype of their result", () => {
    const xml =
      "<domainCapabilities><domain>kvm</domain><arch>x</arch><devices><__proto__ supported='yes'>" +
      "<enum name='__proto__'><value>v</value></enum></__proto__></devices></domainCapabilities>";
    const { devices } = parseDomainCapabilities(xml);
    assert.deepEqual(Object.keys(devices), ["__proto__"]);
    assert.equal(Object.getPrototypeOf(devices), Object.prototype);
  });
});

describe("a device of the host", () => {
  it("is a network card with virtual functions", () => {
    assert.deepEqual(parseNodeDevice(fixture("node-device-sriov-pf")), {
      name: "pci_0000_3b_00_0",
      path: "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0",
      parent: "pci_0000_3a_00_0",
      driver: "mlx5_core",
      capability: {
        type: "pci",
        address: { domain: 0, bus: 0x3b, slot: 0, function: 0 },
        classCode: 0x020000,
        vendor: { id: 0x15b3, name: "Mellanox Technologies" },
        product: { id: 0x101d, name: "MT2892 Family [ConnectX-6 Dx]" },
        iommuGroup: { number: 41, addresses: [{ domain: 0, bus: 0x3b, slot: 0, function: 0 }] },
        numaCell: 1,
        virtualFunctions: {
          maxCount: 8,
          addresses: [
            { domain: 0, bus: 0x3b, slot: 0, function: 2 },
            { domain: 0, bus: 0x3b, slot: 0, function: 3 },
          ],
        },
        link: {
          capable: { gigatransfersPerSecond: 16, width: 16 },
          current: { gigatransfersPerSecond: 8, width: 16 },
        },
      },
    });
  });

  it("is one of those functions, with its link down", () => {
    const { capability } = parseNodeDevice(fixture("node-device-sriov-vf"));
    assert.ok(capability.type === "pci");
    assert.deepEqual(capability.physicalFunction, { domain: 0, bus: 0x3b, slot: 0, function: 0 });
    assert.equal(formatPciAddress(capability.address), "0000:3b:00.2");
    assert.deepEqual(capability.link, {
      capable: { gigatransfersPerSecond: 2.5, width: 16 },
      current: { width: 0 },
    });
  });

  it("is a GPU that can be divided, in no cell", () => {
    const { capability } = parseNodeDevice(fixture("node-device-gpu"));
    assert.ok(capability.type === "pci");
    assert.equal(capability.numaCell, undefined);
    assert.equal(capability.iommuGroup?.addresses.length, 2);
    assert.deepEqual(capability.mdevTypes, [
      { id: "nvidia-222", name: "GRID T4-1B", deviceApi: "vfio-pci", availableInstances: 16 },
      { id: "nvidia-233", name: "GRID T4-16A", deviceApi: "vfio-pci", availableInstances: 0 },
    ]);
  });

  it("is anything else that libvirt lists", () => {
    const capability = (name: string) => parseNodeDevice(fixture(`node-device-${name}`)).capability;
    assert.deepEqual(capability("mdev"), {
      type: "mdev",
      mdevType: "nvidia-222",
      uuid: "c2177883-f1bb-47f0-914d-32a22e3a8804",
      parentAddress: "0000:af:00.0",
      iommuGroup: 12,
    });
    assert.deepEqual(capability("net"), {
      type: "net",
      interface: "eth0",
      mac: "02:fc:00:00:00:01",
      linkState: "up",
    });
    assert.deepEqual(capability("disk"), {
      type: "storage",
      block: "/dev/vda",
      driveType: "disk",
      vendor: "0x1af4",
      sizeBytes: 274_877_906_944,
      logicalBlockBytes: 512,
    });
    assert.deepEqual(capability("system"), {
      type: "system",
      product: "PowerEdge R7525",
      hardware: { vendor: "Dell Inc.", serial: "5Q6TJY1", uuid: "4c4c4544-0051-3610-8054-b5c04f4a5931" },
      firmware: { vendor: "Dell Inc.", version: "2.15.2", releaseDate: "05/17/2024" },
    });
    assert.deepEqual(capability("scsi-host"), { type: "other", kind: "scsi_host" });
    assert.deepEqual(capability("pci-virtio"), {
      type: "pci",
      address: { domain: 0, bus: 0, slot: 3, function: 0 },
      classCode: 0x020000,
      vendor: { id: 0x1af4 },
      product: { id: 0x1041 },
    });
  });
});
