import { formatCpuSet } from "./cpuset.ts";
import type {
  Bandwidth,
  Channel,
  CharacterDevice,
  Controller,
  Disk,
  DomainDevices,
  Graphics,
  HostDevice,
  Interface,
  MemoryBalloon,
  MemoryDevice,
  Rng,
  Tpm,
  Video,
  Watchdog,
} from "./devices.ts";
import { ioTuneMembers, ioTuneNames, type IoTune } from "./io-tune.ts";
import { pciAddressAttributes } from "../pci-address.ts";
import { luksNode } from "../luks.ts";
import {
  flagNode,
  kibibytes,
  kibibytesNode,
  node,
  nodeIfAny,
  notWritable,
  on,
  textNode,
  yes,
  type XmlNode,
} from "../writer.ts";

export function deviceNodes(devices: DomainDevices): (XmlNode | undefined)[] {
  const { vsock } = devices;
  return [
    textNode("emulator", devices.emulator),
    ...devices.disks.map(diskNode),
    ...devices.controllers.map(controllerNode),
    ...devices.interfaces.map(interfaceNode),
    ...devices.serials.map((serial) => characterNode("serial", serial)),
    ...devices.consoles.map((console) => characterNode("console", console)),
    ...devices.channels.map(channelNode),
    ...devices.inputs.map(({ type, bus }) => node("input", { type, bus })),
    ...devices.tpms.map(tpmNode),
    ...devices.graphics.map(graphicsNode),
    ...devices.videos.map(videoNode),
    ...devices.hostDevices.map(hostDeviceNode),
    ...devices.watchdogs.map(watchdogNode),
    devices.memoryBalloon && memoryBalloonNode(devices.memoryBalloon),
    ...devices.rngs.map(rngNode),
    ...devices.memoryDevices.map(memoryDeviceNode),
    ...devices.panics.map(({ model }) => node("panic", { model })),
    vsock &&
      node("vsock", { model: vsock.model }, [
        nodeIfAny("cid", { auto: yes(vsock.autoCid), address: vsock.cid }),
      ]),
  ];
}

export function diskNode(disk: Disk): XmlNode {
  return node("disk", { type: disk.source?.type ?? "file", device: disk.device }, [
    nodeIfAny("driver", {
      name: disk.format === undefined ? undefined : "qemu",
      type: disk.format,
      cache: disk.cache,
      io: disk.io,
      discard: disk.discard,
      detect_zeroes: disk.detectZeroes,
      iothread: disk.iothread,
      queues: disk.queues,
    }),
    disk.source && node("source", diskSourceAttributes(disk.source), [luksNode(disk.encryptionSecretUuid)]),
    node("target", { dev: disk.target.device, bus: disk.target.bus }),
    disk.ioTune && ioTuneNode(disk.ioTune),
    flagNode("readonly", disk.readOnly),
    flagNode("shareable", disk.shareable),
    textNode("serial", disk.serial),
    bootNode(disk.bootOrder),
    aliasNode(disk.alias),
  ]);
}

function diskSourceAttributes(source: NonNullable<Disk["source"]>): XmlNode["attributes"] {
  switch (source.type) {
    case "file":
      return { file: source.path };
    case "block":
      return { dev: source.path };
    case "volume":
      return { pool: source.pool, volume: source.volume };
    default:
      throw notWritable("DOMAIN", `a disk of type ${source.type === "other" ? source.kind : source.type}`);
  }
}

const ioTuneNode = (tune: IoTune): XmlNode =>
  node(
    "iotune",
    {},
    ioTuneMembers.map((member) => textNode(ioTuneNames[member], tune[member])),
  );

export function interfaceNode(networkInterface: Interface): XmlNode {
  const { source, filter } = networkInterface;
  const managed = source.type === "hostdev" ? yes(source.managed) : undefined;
  return node("interface", { type: source.type, managed }, [
    nodeIfAny("mac", { address: networkInterface.mac }),
    interfaceSourceNode(source),
    nodeIfAny("target", { dev: networkInterface.targetDevice }),
    nodeIfAny("model", { type: networkInterface.model }),
    nodeIfAny("driver", { queues: networkInterface.queues }),
    filter &&
      node(
        "filterref",
        { filter: filter.name },
        filter.parameters.map(({ name, value }) => node("parameter", { name, value })),
      ),
    nodeIfAny("mtu", { size: networkInterface.mtuBytes }),
    bootNode(networkInterface.bootOrder),
    nodeIfAny("link", { state: networkInterface.linkState }),
    nodeIfAny("bandwidth", {}, [
      bandwidthNode("inbound", networkInterface.bandwidth?.inbound),
      bandwidthNode("outbound", networkInterface.bandwidth?.outbound),
    ]),
    aliasNode(networkInterface.alias),
  ]);
}

function bandwidthNode(direction: "inbound" | "outbound", limit: Bandwidth = {}): XmlNode | undefined {
  const inKibibytes = (bytes: number | undefined) => (bytes === undefined ? undefined : kibibytes(bytes));
  return nodeIfAny(direction, {
    average: inKibibytes(limit.averageBytesPerSecond),
    peak: inKibibytes(limit.peakBytesPerSecond),
    floor: inKibibytes(limit.floorBytesPerSecond),
    burst: inKibibytes(limit.burstBytes),
  });
}

function interfaceSourceNode(source: Interface["source"]): XmlNode | undefined {
  switch (source.type) {
    case "network":
      return node("source", { network: source.network, portgroup: source.portGroup });
    case "bridge":
      return node("source", { bridge: source.bridge });
    case "hostdev":
      return node("source", {}, [node("address", { type: "pci", ...pciAddressAttributes(source.address) })]);
    case "ethernet":
    case "user":
      return undefined;
    default:
      throw notWritable(
        "DOMAIN",
        `an interface of type ${source.type === "other" ? source.kind : source.type}`,
      );
  }
}

export function controllerNode(controller: Controller): XmlNode {
  const { type, index, model, port } = controller;
  return node("controller", { type, index, model }, [
    port && node("model", { name: port.device }),
    port && node("target", { chassis: port.chassis, port: port.number }),
    nodeIfAny("driver", { iothread: controller.iothread, queues: controller.queues }),
    aliasNode(controller.alias),
  ]);
}

function characterNode(name: "serial" | "console", device: CharacterDevice): XmlNode {
  const { target, log } = device;
  // The path of a pty is the running guest's, found by libvirt anew at each start.
  const source =
    device.type === "unix" ? nodeIfAny("source", { mode: device.mode, path: device.path }) : undefined;
  return node(name, { type: device.type }, [
    source,
    log && node("log", { file: log.path, append: on(log.append) }),
    target &&
      node("target", { type: target.type, port: target.port }, [nodeIfAny("model", { name: target.model })]),
    aliasNode(device.alias),
  ]);
}

function channelNode(channel: Channel): XmlNode {
  return node("channel", { type: channel.type }, [
    nodeIfAny("source", { mode: channel.mode, path: channel.path }),
    node("target", { type: channel.targetType, name: channel.targetName }),
    aliasNode(channel.alias),
  ]);
}

function rngNode(rng: Rng): XmlNode {
  return node("rng", { model: rng.model }, [
    rng.rate && node("rate", { bytes: rng.rate.bytes, period: rng.rate.periodMs }),
    node("backend", { model: rng.backend }, rng.path ?? []),
  ]);
}

export function memoryDeviceNode(device: MemoryDevice): XmlNode {
  const { model, access, discard, pageSizeBytes, hostCells, blockBytes, requestedBytes } = device;
  const { baseAddress, address } = device;
  if (model !== "dimm" && model !== "virtio-mem")
    throw notWritable("DOMAIN", `a memory device of model ${model}`);
  return node("memory", { model, access, discard: yes(discard) }, [
    nodeIfAny("source", {}, [
      kibibytesNode("pagesize", pageSizeBytes),
      textNode("nodemask", hostCells && formatCpuSet(hostCells)),
    ]),
    node("target", {}, [
      kibibytesNode("size", device.sizeBytes),
      textNode("node", device.guestCell),
      kibibytesNode("block", blockBytes),
      kibibytesNode("requested", requestedBytes),
      nodeIfAny("address", { base: baseAddress === undefined ? undefined : `0x${baseAddress.toString(16)}` }),
    ]),
    aliasNode(device.alias),
    address && node("address", { type: "pci", ...pciAddressAttributes(address) }),
  ]);
}

export function graphicsNode({ type, port, autoPort, listen, socket, password }: Graphics): XmlNode {
  if (type !== "vnc") throw notWritable("DOMAIN", `graphics of type ${type}`);
  if (socket !== undefined)
    return node("graphics", { type, passwd: password }, [node("listen", { type: "socket", socket })]);
  // The port of a running guest is libvirt's own choice where the port is automatic.
  const chosen = autoPort === true ? undefined : port;
  return node("graphics", { type, port: chosen, autoport: yes(autoPort), passwd: password }, [
    listen === undefined ? undefined : node("listen", { type: "address", address: listen }),
  ]);
}

export const videoNode = ({ model, vramBytes, heads }: Video): XmlNode =>
  node("video", {}, [
    node("model", {
      type: model,
      vram: vramBytes === undefined ? undefined : kibibytes(vramBytes),
      heads,
    }),
  ]);

export const watchdogNode = ({ model, action }: Watchdog): XmlNode => node("watchdog", { model, action });

function memoryBalloonNode(balloon: MemoryBalloon): XmlNode {
  return node(
    "memballoon",
    {
      model: balloon.model,
      autodeflate: on(balloon.autoDeflate),
      freePageReporting: on(balloon.freePageReporting),
    },
    [nodeIfAny("stats", { period: balloon.statsPeriodSeconds })],
  );
}

function tpmNode(tpm: Tpm): XmlNode {
  return node("tpm", { model: tpm.model }, [
    node("backend", { type: tpm.backend, version: tpm.version }, [
      nodeIfAny("encryption", { secret: tpm.encryptionSecretUuid }),
    ]),
  ]);
}

export function hostDeviceNode(device: HostDevice): XmlNode {
  if (device.type !== "pci") throw notWritable("DOMAIN", `a host device of type ${device.type}`);
  return node("hostdev", { mode: "subsystem", type: "pci", managed: yes(device.managed) }, [
    nodeIfAny("driver", { name: device.driver }),
    node("source", {}, [node("address", pciAddressAttributes(device.address))]),
    bootNode(device.bootOrder),
    nodeIfAny("rom", { bar: on(device.rom) }),
    aliasNode(device.alias),
  ]);
}

function bootNode(order: number | undefined): XmlNode | undefined {
  return nodeIfAny("boot", { order });
}

/** Only aliases that a user gave ("ua-") survive a define; libvirt makes up the others at each start. */
function aliasNode(alias: string | undefined): XmlNode | undefined {
  return alias?.startsWith("ua-") === true ? node("alias", { name: alias }) : undefined;
}
