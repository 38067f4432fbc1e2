import {
  type Network,
  noDevices,
  type Secret,
  type StoragePool,
  type StorageVolume,
} from "../../../../agent/libvirt/xml/index.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";

// One document of each kind with every member that Socle writes.

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

export const fullDomain: VmDomain = {
  type: "kvm",
  name: "socle-xml-full",
  uuid: "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01",
  title: "Front end <1> & \"2\" 'three'",
  description: "first line\nsecond line\twith a tab; 日本, émile, 🐧",
  metadata: {
    socle: {
      tenant: "acme & sons",
      labels: { "app.example/name": "web <1>", tier: "front", empty: "", spaced: " two  blanks " },
      spec: `{"name":"socle-xml-full","labels":{"a":"</socle:spec>"}}`,
      specDigest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      placementEpoch: 12,
      createdAt: "2025-11-24T15:40:00.000Z",
      accelerator: "kvm",
      keys: { "disk/root": "v1.0123456789abcdef.c2VhbGVk" },
    },
  },
  memoryBytes: 4 * gibibyte,
  currentMemoryBytes: 2 * gibibyte,
  maxMemory: { bytes: 16 * gibibyte, slots: 4 },
  memoryBacking: {
    hugePages: [{ pageSizeBytes: 2 * mebibyte, guestCells: [0] }],
    source: "memfd",
    access: "shared",
    allocation: "immediate",
    noSharePages: true,
    locked: true,
  },
  vcpus: { max: 4, current: 2, cpuSet: [0, 1, 2, 3, 8] },
  iothreads: 1,
  cpuTune: {
    shares: 2048,
    periodMicros: 100_000,
    quotaMicros: 50_000,
    vcpuPins: [
      { vcpu: 0, cpuSet: [0] },
      { vcpu: 1, cpuSet: [1, 2] },
    ],
    emulatorPin: [0, 1],
    iothreadPins: [{ iothread: 1, cpuSet: [1] }],
  },
  numaTune: {
    memory: { mode: "strict", nodeSet: [0] },
    memNodes: [{ guestCell: 0, mode: "preferred", nodeSet: [0] }],
  },
  cpu: {
    mode: "custom",
    match: "exact",
    check: "partial",
    model: { name: "EPYC-Milan", fallback: "forbid" },
    vendor: "AMD",
    topology: { sockets: 2, dies: 1, clusters: 1, cores: 2, threads: 1 },
    features: [
      { name: "invtsc", policy: "require" },
      { name: "sse4.1", policy: "disable" },
    ],
    cells: [
      { id: 0, cpus: [0, 1], memoryBytes: 2 * gibibyte, memoryAccess: "shared" },
      { id: 1, cpus: [2, 3], memoryBytes: 2 * gibibyte },
    ],
  },
  os: {
    type: "hvm",
    arch: "x86_64",
    machine: "pc-q35-10.0",
    firmware: "efi",
    secureBoot: true,
    enrolledKeys: true,
    loader: {
      path: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
      readOnly: true,
      type: "pflash",
      secure: true,
      format: "raw",
    },
    nvram: {
      path: "/var/lib/libvirt/qemu/nvram/full_VARS.fd",
      template: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
      format: "raw",
    },
    kernel: "/srv/boot/vm linuz",
    initrd: "/srv/boot/initrd & co",
    commandLine: "console=ttyS0 root=\"LABEL=a b\" x='<y>'",
    bootDevices: ["hd", "network"],
  },
  features: {
    acpi: true,
    apic: true,
    pae: true,
    smm: true,
    vmport: false,
    kvmHidden: true,
    ioapic: "kvm",
    tcgCacheBytes: 64 * mebibyte,
  },
  clock: {
    offset: "utc",
    timers: [
      { name: "rtc", tickPolicy: "catchup" },
      { name: "hpet", present: false },
      { name: "tsc", frequencyHz: 2_445_405_000, mode: "native" },
    ],
  },
  onPoweroff: "destroy",
  onReboot: "restart",
  onCrash: "preserve",
  devices: {
    ...noDevices,
    emulator: "/usr/bin/qemu-system-x86_64",
    disks: [
      {
        device: "disk",
        source: { type: "file", path: "/var/lib/libvirt/images/a b,c=d;é.qcow2" },
        format: "qcow2",
        cache: "none",
        io: "native",
        discard: "unmap",
        detectZeroes: "unmap",
        iothread: 1,
        queues: 2,
        target: { device: "vda", bus: "virtio" },
        shareable: true,
        serial: "root disk_1.+-",
        ioTune: {
          readBytesPerSecond: 1_000_000,
          writeBytesPerSecond: 2_000_000,
          readOpsPerSecond: 300,
          writeOpsPerSecond: 400,
          readMaxBytesPerSecond: 3_000_000,
          writeMaxBytesPerSecond: 4_000_000,
          readMaxOpsPerSecond: 600,
          writeMaxOpsPerSecond: 800,
          readMaxBytesSeconds: 10,
          writeMaxBytesSeconds: 20,
          readMaxOpsSeconds: 30,
          writeMaxOpsSeconds: 40,
        },
        encryptionSecretUuid: "0a81f5b2-8403-4b23-88d6-21ccc2f80d6f",
        alias: "ua-root",
      },
      {
        device: "disk",
        source: { type: "block", path: "/dev/vg/data" },
        format: "raw",
        target: { device: "vdb", bus: "virtio" },
        ioTune: {
          ...{ totalBytesPerSecond: 1_000_000, totalMaxBytesPerSecond: 2_000_000, totalMaxBytesSeconds: 5 },
          ...{ totalOpsPerSecond: 300, totalMaxOpsPerSecond: 500, totalMaxOpsSeconds: 5 },
        },
      },
      {
        device: "disk",
        source: { type: "volume", pool: "fast pool", volume: "vol & ume" },
        format: "raw",
        target: { device: "vdc", bus: "virtio" },
      },
      { device: "cdrom", target: { device: "sda", bus: "sata" }, readOnly: true },
    ],
    interfaces: [
      {
        source: { type: "network", network: "blue net", portGroup: "gold" },
        mac: "52:54:00:00:00:01",
        model: "virtio",
        targetDevice: "tap0",
        queues: 2,
        filter: {
          name: "clean-traffic",
          parameters: [
            { name: "IP", value: "10.0.0.7" },
            { name: "IP", value: "fd00::7" },
          ],
        },
        mtuBytes: 8950,
        linkState: "up",
        bandwidth: {
          inbound: { averageBytesPerSecond: 2 ** 20, peakBytesPerSecond: 2 ** 21, burstBytes: 2 ** 19 },
          outbound: { averageBytesPerSecond: 2 ** 10 },
        },
        alias: "ua-net0",
      },
      { source: { type: "bridge", bridge: "br0" }, mac: "52:54:00:00:00:02", model: "virtio" },
      { source: { type: "user" }, mac: "52:54:00:00:00:03", linkState: "down" },
      { source: { type: "ethernet" }, mac: "52:54:00:00:00:04", targetDevice: "tap4" },
      {
        source: { type: "hostdev", address: { domain: 0, bus: 0x3b, slot: 2, function: 1 }, managed: true },
        mac: "52:54:00:00:00:05",
      },
    ],
    controllers: [
      { type: "scsi", index: 0, model: "virtio-scsi", iothread: 1, queues: 2, alias: "ua-scsi0" },
      {
        type: "pci",
        index: 1,
        model: "pcie-root-port",
        port: { device: "pcie-root-port", chassis: 1, number: 8 },
      },
    ],
    serials: [
      {
        type: "pty",
        log: { path: "/var/log/libvirt/qemu/full.log", append: true },
        target: { type: "isa-serial", port: 0, model: "isa-serial" },
        alias: "ua-serial0",
      },
      {
        type: "unix",
        path: "/run/socle/serial1.sock",
        mode: "bind",
        target: { type: "isa-serial", port: 1, model: "isa-serial" },
      },
    ],
    consoles: [{ type: "pty", target: { type: "serial", port: 0 } }],
    channels: [
      {
        type: "unix",
        path: "/run/socle/agent.sock",
        mode: "bind",
        targetType: "virtio",
        targetName: "org.qemu.guest_agent.0",
        alias: "ua-agent",
      },
    ],
    memoryDevices: [
      {
        model: "dimm",
        access: "private",
        discard: true,
        sizeBytes: 128 * mebibyte,
        guestCell: 0,
        pageSizeBytes: 2 * mebibyte,
        hostCells: [0, 1],
        alias: "ua-dimm0",
      },
      {
        model: "virtio-mem",
        sizeBytes: 256 * mebibyte,
        guestCell: 0,
        blockBytes: 2 * mebibyte,
        requestedBytes: 64 * mebibyte,
        alias: "ua-memory-1",
        address: { domain: 0, bus: 30, slot: 0, function: 0 },
      },
    ],
    graphics: [
      { type: "vnc", socket: "/run/libvirt/qemu/screen.sock", password: "secret1" },
      { type: "vnc", autoPort: true, listen: "127.0.0.1" },
      { type: "vnc", port: 5907, autoPort: false, listen: "::1" },
    ],
    rngs: [
      { model: "virtio", backend: "random", path: "/dev/urandom", rate: { bytes: 1024, periodMs: 1000 } },
    ],
    memoryBalloon: {
      model: "virtio",
      statsPeriodSeconds: 10,
      freePageReporting: true,
      autoDeflate: true,
    },
    watchdogs: [{ model: "i6300esb", action: "reset" }],
    tpms: [
      {
        model: "tpm-crb",
        backend: "emulator",
        version: "2.0",
        encryptionSecretUuid: "6dd3e4a5-1d76-44ce-961f-f119f5aad935",
      },
    ],
    videos: [{ model: "vga", vramBytes: 16 * mebibyte, heads: 1 }],
    hostDevices: [
      {
        type: "pci",
        address: { domain: 1, bus: 0xaf, slot: 0x1f, function: 7 },
        managed: false,
        driver: "vfio",
        rom: false,
        alias: "ua-gpu",
      },
    ],
    inputs: [{ type: "tablet", bus: "usb" }],
    panics: [{ model: "pvpanic" }],
    vsock: { model: "virtio", autoCid: false, cid: 41 },
  },
};

export const fullPool: StoragePool = {
  type: "logical",
  name: "fast <pool> & co",
  uuid: "1a084600-3ff1-4bc0-807c-dcd1cc377a45",
  source: { name: "vg-nvme", devices: ["/dev/nvme0n1", "/dev/nvme1n1"], format: "lvm2" },
  path: "/dev/vg-nvme",
  permissions: { mode: 0o711, ownerId: 0, groupId: 64_055 },
};

export const fullVolume: StorageVolume = {
  name: "web & db.qcow2",
  capacityBytes: 10 * gibibyte + 512,
  allocationBytes: 0,
  format: "qcow2",
  permissions: { mode: 0o600, ownerId: 64_055, groupId: 64_055 },
  encryptionSecretUuid: "f52a81b2-424e-490c-823d-6bd4235bc572",
  backing: { path: "/var/lib/libvirt/images/base <1>.qcow2", format: "qcow2" },
};

export const fullNetwork: Network = {
  name: "blue <net>",
  uuid: "81ff0d90-c91e-4742-a4da-4a736edb9a9b",
  forwardMode: "nat",
  forwardDevice: "eno1",
  bridge: { name: "virbr7", stp: true, delaySeconds: 0 },
  mac: "52:54:00:a1:b2:c3",
  mtuBytes: 9000,
  domainName: "blue.example",
  addresses: [
    {
      address: "10.1.0.1",
      family: "ipv4",
      prefixLength: 20,
      dhcp: {
        ranges: [{ start: "10.1.0.100", end: "10.1.0.254" }],
        hosts: [{ mac: "52:54:00:00:00:05", name: "web", ip: "10.1.0.7" }],
      },
    },
    { address: "fd00:1::1", family: "ipv6", prefixLength: 64 },
  ],
};

export const fullSecret: Secret = {
  uuid: "6dd3e4a5-1d76-44ce-961f-f119f5aad935",
  ephemeral: false,
  private: true,
  description: "vTPM of <db-1>",
  usage: { type: "vtpm", id: "db & 1" },
};
