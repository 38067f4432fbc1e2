import { existsSync } from "node:fs";
import { noDevices } from "../../agent/libvirt/xml/index.ts";
import type { VmDomain } from "../../agent/vm/model/vm-domain.ts";

export const mebibyte = 1024 ** 2;

export const socle = {
  tenant: "acme & sons",
  labels: { app: "web <1>", blank: " ", empty: "", quotes: `'"`, unicode: "日本 🐧", edge: " two  blanks " },
  spec: `{"name":"x","a":"</socle:spec>"}`,
  specDigest: "sha256:00",
  placementEpoch: 3,
  createdAt: "2025-11-24T15:40:00.000Z",
  accelerator: "tcg",
} as const;

/** A VM of Socle's without parts that depend on this machine's hardware. */
export const domain: VmDomain = {
  type: "qemu",
  name: "socle-xml-round-trip",
  uuid: "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01",
  title: `Front <1> & "2" 'three'`,
  description: "first line\nsecond line, 日本",
  metadata: { socle },
  memoryBytes: 256 * mebibyte,
  currentMemoryBytes: 128 * mebibyte,
  memoryBacking: { source: "memfd", access: "shared", noSharePages: true },
  vcpus: { max: 4, current: 2, cpuSet: [0, 1] },
  iothreads: 1,
  cpuTune: {
    shares: 2048,
    periodMicros: 100_000,
    quotaMicros: 50_000,
    vcpuPins: [{ vcpu: 0, cpuSet: [0] }],
    emulatorPin: [0, 1],
    iothreadPins: [{ iothread: 1, cpuSet: [1] }],
  },
  numaTune: { memory: { mode: "strict", nodeSet: [0] } },
  memoryHardLimitBytes: 2 ** 32,
  cpu: {
    mode: "custom",
    match: "exact",
    check: "none",
    model: { name: "qemu64", fallback: "forbid" },
    topology: { sockets: 2, dies: 1, clusters: 1, cores: 2, threads: 1 },
    features: [{ name: "sse4.1", policy: "disable" }],
    cells: [
      { id: 0, cpus: [0, 1], memoryBytes: 128 * mebibyte, memoryAccess: "shared" },
      { id: 1, cpus: [2, 3], memoryBytes: 128 * mebibyte, memoryAccess: "shared" },
    ],
  },
  os: {
    type: "hvm",
    arch: "x86_64",
    machine: "pc-q35-10.0",
    kernel: "/srv/boot/vm linuz",
    initrd: "/srv/boot/initrd & co",
    commandLine: `console=ttyS0 root="LABEL=a b" x='<y>'`,
  },
  features: { acpi: true, apic: true, vmport: false, smm: true, tcgCacheBytes: 64 * mebibyte },
  clock: {
    offset: "utc",
    timers: [
      { name: "rtc", tickPolicy: "catchup" },
      { name: "hpet", present: false },
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
        serial: "root disk_1.+-",
        bootOrder: 1,
        ioTune: {
          ...{ readBytesPerSecond: 1_000_000, readMaxBytesPerSecond: 2_000_000, readMaxBytesSeconds: 5 },
          ...{ writeOpsPerSecond: 400, writeMaxOpsPerSecond: 800, writeMaxOpsSeconds: 1 },
        },
        alias: "ua-root",
      },
      {
        device: "disk",
        source: { type: "block", path: "/dev/vg/data" },
        format: "raw",
        target: { device: "vdb", bus: "virtio" },
        readOnly: true,
        encryptionSecretUuid: "0a81f5b2-8403-4b23-88d6-21ccc2f80d6f",
      },
      {
        device: "disk",
        source: { type: "volume", pool: "fast pool", volume: "vol & ume" },
        format: "raw",
        target: { device: "sdb", bus: "scsi" },
        shareable: true,
      },
      { device: "cdrom", target: { device: "sda", bus: "sata" }, readOnly: true },
    ],
    interfaces: [
      {
        source: { type: "network", network: "blue net", portGroup: "gold" },
        mac: "52:54:00:00:00:01",
        model: "virtio",
        queues: 2,
        filter: {
          name: "clean-traffic",
          parameters: [
            { name: "IP", value: "10.0.0.7" },
            { name: "IP", value: "10.0.0.8" },
          ],
        },
        mtuBytes: 8950,
        bootOrder: 2,
        linkState: "up",
        alias: "ua-net0",
      },
      { source: { type: "bridge", bridge: "br-int" }, mac: "52:54:00:00:00:02", model: "virtio" },
      { source: { type: "user" }, mac: "52:54:00:00:00:03", model: "e1000e", linkState: "down" },
      { source: { type: "ethernet" }, mac: "52:54:00:00:00:04", targetDevice: "tap4", model: "virtio" },
      {
        source: { type: "hostdev", address: { domain: 0, bus: 0x3b, slot: 2, function: 1 }, managed: true },
        mac: "52:54:00:00:00:05",
      },
    ],
    controllers: [
      { type: "scsi", index: 0, model: "virtio-scsi", iothread: 1, queues: 2, alias: "ua-scsi0" },
    ],
    serials: [
      {
        type: "pty",
        log: { path: "/var/log/libvirt/qemu/x.log", append: true },
        target: { type: "isa-serial", port: 0, model: "isa-serial" },
      },
      {
        type: "unix",
        path: "/run/socle/serial1.sock",
        mode: "bind",
        target: { type: "isa-serial", port: 1, model: "isa-serial" },
      },
    ],
    consoles: [
      {
        type: "pty",
        log: { path: "/var/log/libvirt/qemu/x.log", append: true },
        target: { type: "serial", port: 0 },
      },
    ],
    channels: [{ type: "unix", targetType: "virtio", targetName: "org.qemu.guest_agent.0" }],
    rngs: [
      { model: "virtio", backend: "random", path: "/dev/urandom", rate: { bytes: 1024, periodMs: 1000 } },
    ],
    memoryBalloon: { model: "virtio", statsPeriodSeconds: 10, freePageReporting: true, autoDeflate: true },
    watchdogs: [{ model: "i6300esb", action: "reset" }],
    // libvirt refuses an emulated TPM without an installed emulator.
    tpms: existsSync("/usr/bin/swtpm")
      ? [
          {
            model: "tpm-crb",
            backend: "emulator",
            version: "2.0",
            encryptionSecretUuid: "6dd3e4a5-1d76-44ce-961f-f119f5aad935",
          },
        ]
      : [],
    videos: [{ model: "vga", vramBytes: 16 * mebibyte, heads: 1 }],
    hostDevices: [
      {
        type: "pci",
        address: { domain: 0, bus: 0xaf, slot: 0x1f, function: 7 },
        managed: false,
        driver: "vfio",
        bootOrder: 3,
        rom: false,
      },
    ],
    inputs: [{ type: "tablet", bus: "usb" }],
    panics: [{ model: "pvpanic" }],
    vsock: { model: "virtio", autoCid: false, cid: 41 },
  },
};
