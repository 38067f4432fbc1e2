import { luksRule } from "../luks.ts";
import { ioTuneNames } from "./io-tune.ts";
import { onOff, yesNo, type ElementRule } from "../writer.ts";

// The allow-list of a domain's devices, by element; also of a single device to attach or update.

const pciAddress: ElementRule = {
  attributes: { domain: "hex", bus: "hex", slot: "hex", function: "hex", type: ["pci"] },
};
const alias: ElementRule = { attributes: { name: "word" } };
export const bootOrder: ElementRule = { attributes: { order: "integer" } };
const integer: ElementRule = { text: "integer" };
const kibibytes: ElementRule = { attributes: { unit: ["KiB"] }, text: "integer" };

const bandwidth: ElementRule = {
  attributes: { average: "integer", peak: "integer", floor: "integer", burst: "integer" },
};

const disk: ElementRule = {
  attributes: { type: ["file", "block", "volume"], device: ["disk", "cdrom"] },
  children: {
    driver: {
      attributes: {
        name: ["qemu"],
        type: ["raw", "qcow2"],
        cache: ["default", "none", "writethrough", "writeback", "directsync", "unsafe"],
        io: ["native", "threads", "io_uring"],
        discard: ["unmap", "ignore"],
        detect_zeroes: ["off", "on", "unmap"],
        iothread: "integer",
        queues: "integer",
      },
    },
    source: {
      attributes: { file: "path", dev: "path", pool: "name", volume: "name" },
      children: {
        encryption: luksRule,
      },
    },
    target: {
      attributes: { dev: "word", bus: ["virtio", "scsi", "sata", "ide", "usb"] },
    },
    iotune: {
      children: Object.fromEntries(Object.values(ioTuneNames).map((name) => [name, integer])),
    },
    readonly: {},
    shareable: {},
    serial: { text: "serial" },
    boot: bootOrder,
    alias,
  },
};

const networkInterface: ElementRule = {
  attributes: { type: ["network", "bridge", "ethernet", "user", "hostdev"], managed: yesNo },
  children: {
    mac: { attributes: { address: "mac" } },
    source: {
      attributes: { network: "name", portgroup: "name", bridge: "word" },
      children: { address: pciAddress },
    },
    target: { attributes: { dev: "word" } },
    model: { attributes: { type: "word" } },
    driver: { attributes: { queues: "integer" } },
    filterref: {
      attributes: { filter: "word" },
      children: { parameter: { attributes: { name: "word", value: "filterValue" } } },
    },
    mtu: { attributes: { size: "integer" } },
    boot: bootOrder,
    link: { attributes: { state: ["up", "down"] } },
    bandwidth: { children: { inbound: bandwidth, outbound: bandwidth } },
    alias,
  },
};

const characterDevice: ElementRule = {
  attributes: { type: ["pty", "unix"] },
  children: {
    source: { attributes: { mode: ["bind", "connect"], path: "path" } },
    log: { attributes: { file: "path", append: onOff } },
    target: {
      attributes: { type: "word", port: "integer" },
      children: { model: { attributes: { name: "word" } } },
    },
    alias,
  },
};

export const deviceRules = {
  disk,
  interface: networkInterface,
  controller: {
    attributes: { type: "word", index: "integer", model: "word" },
    children: {
      model: { attributes: { name: "word" } },
      target: { attributes: { chassis: "integer", port: "integer" } },
      driver: { attributes: { iothread: "integer", queues: "integer" } },
      alias,
    },
  },
  serial: characterDevice,
  console: characterDevice,
  channel: {
    attributes: { type: ["unix"] },
    children: {
      source: { attributes: { mode: ["bind", "connect"], path: "path" } },
      target: { attributes: { type: ["virtio"], name: "word" } },
      alias,
    },
  },
  rng: {
    attributes: { model: "word" },
    children: {
      rate: { attributes: { bytes: "integer", period: "integer" } },
      backend: {
        attributes: { model: ["random", "builtin"] },
        text: ["/dev/urandom", "/dev/random", "/dev/hwrng"],
      },
    },
  },
  memballoon: {
    attributes: {
      model: ["virtio", "virtio-transitional", "virtio-non-transitional", "none"],
      autodeflate: onOff,
      freePageReporting: onOff,
    },
    children: { stats: { attributes: { period: "integer" } } },
  },
  memory: {
    attributes: { model: ["dimm", "virtio-mem"], access: ["shared", "private"], discard: yesNo },
    children: {
      source: { children: { pagesize: kibibytes, nodemask: { text: "set" } } },
      target: {
        children: {
          size: kibibytes,
          node: integer,
          block: kibibytes,
          requested: kibibytes,
          address: { attributes: { base: "hex" } },
        },
      },
      alias,
      address: pciAddress,
    },
  },
  // On TCP, a screen is for this host alone: a relay on the host authenticates its callers.
  graphics: {
    attributes: { type: ["vnc"], port: "integer", autoport: yesNo, passwd: "text" },
    children: {
      listen: {
        attributes: { type: ["socket", "address"], socket: "path", address: ["127.0.0.1", "::1"] },
      },
    },
  },
  watchdog: {
    attributes: {
      model: ["i6300esb", "itco", "ib700", "diag288"],
      action: ["reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi"],
    },
  },
  tpm: {
    attributes: { model: ["tpm-tis", "tpm-crb"] },
    children: {
      backend: {
        attributes: { type: ["emulator"], version: ["2.0"] },
        children: { encryption: { attributes: { secret: "uuid" } } },
      },
    },
  },
  video: {
    children: { model: { attributes: { type: "word", vram: "integer", heads: "integer" } } },
  },
  hostdev: {
    attributes: { mode: ["subsystem"], type: ["pci"], managed: yesNo },
    children: {
      source: { children: { address: pciAddress } },
      driver: { attributes: { name: ["vfio"] } },
      boot: bootOrder,
      rom: { attributes: { bar: onOff } },
      alias,
    },
  },
  input: {
    attributes: { type: ["tablet", "mouse", "keyboard"], bus: ["ps2", "usb", "virtio"] },
  },
  panic: { attributes: { model: ["isa", "hyperv", "pvpanic"] } },
  vsock: {
    attributes: { model: "word" },
    children: { cid: { attributes: { auto: yesNo, address: "integer" } } },
  },
} as const satisfies Readonly<Record<string, ElementRule>>;
