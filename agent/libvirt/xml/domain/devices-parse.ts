import { flag, type XmlElement } from "../element.ts";
import { parseCpuSet } from "./cpuset.ts";
import { readDisk } from "./disk-parse.ts";
import { readInterface } from "./interface-parse.ts";
import { parsePciAddress } from "../pci-address.ts";
import { oneOf, present } from "../present.ts";
import {
  noDevices,
  type Channel,
  type CharacterDevice,
  type Controller,
  type DomainDevices,
  type Graphics,
  type HostDevice,
  type MemoryBalloon,
  type MemoryDevice,
  type Rng,
  type Tpm,
  type Video,
  type Watchdog,
} from "./devices.ts";

export function parseDevices(devices: XmlElement | undefined): DomainDevices {
  if (devices === undefined) return noDevices;
  const vsock = devices.child("vsock");
  return present<DomainDevices>({
    emulator: devices.textAt("emulator"),
    disks: devices.all("disk").map(readDisk),
    interfaces: devices.all("interface").map(readInterface),
    controllers: devices.all("controller").map(readController),
    serials: devices.all("serial").map(readCharacterDevice),
    consoles: devices.all("console").map(readCharacterDevice),
    channels: devices.all("channel").map(readChannel),
    rngs: devices.all("rng").map(readRng),
    memoryDevices: devices.all("memory").map(readMemoryDevice),
    memoryBalloon: readMemoryBalloon(devices.child("memballoon")),
    watchdogs: devices
      .all("watchdog")
      .map((dog) => present<Watchdog>({ model: dog.attr("model") ?? "", action: dog.attr("action") })),
    tpms: devices.all("tpm").map(readTpm),
    graphics: devices.all("graphics").map(readGraphics),
    videos: devices.all("video").map(readVideo),
    hostDevices: devices.all("hostdev").map(readHostDevice),
    inputs: devices
      .all("input")
      .map((input) =>
        present<DomainDevices["inputs"][number]>({ type: input.attr("type") ?? "", bus: input.attr("bus") }),
      ),
    panics: devices
      .all("panic")
      .map((panic) => present<DomainDevices["panics"][number]>({ model: panic.attr("model") })),
    vsock:
      vsock &&
      present<NonNullable<DomainDevices["vsock"]>>({
        model: vsock.attr("model"),
        autoCid: vsock.child("cid")?.flagAttr("auto"),
        cid: vsock.child("cid")?.integerAttr("address"),
      }),
  });
}

function aliasOf(element: XmlElement): string | undefined {
  return element.child("alias")?.attr("name");
}

function readController(element: XmlElement): Controller {
  const device = element.child("model")?.attr("name");
  const target = element.child("target");
  const [chassis, number] = [target?.integerAttr("chassis"), target?.integerAttr("port")];
  const isPort = device !== undefined && chassis !== undefined && number !== undefined;
  return present<Controller>({
    type: element.attr("type") ?? "",
    index: element.integerAttr("index"),
    model: element.attr("model"),
    port: isPort ? { device, chassis, number } : undefined,
    iothread: element.child("driver")?.integerAttr("iothread"),
    queues: element.child("driver")?.integerAttr("queues"),
    alias: aliasOf(element),
  });
}

function readCharacterDevice(element: XmlElement): CharacterDevice {
  const source = element.child("source");
  const log = element.child("log");
  const logPath = log?.attr("file");
  const target = element.child("target");
  type Log = NonNullable<CharacterDevice["log"]>;
  type Target = NonNullable<CharacterDevice["target"]>;
  return present<CharacterDevice>({
    type: element.attr("type") ?? "pty",
    path: source?.attr("path"),
    mode: oneOf(source?.attr("mode"), ["bind", "connect"]),
    log: logPath === undefined ? undefined : present<Log>({ path: logPath, append: log?.flagAttr("append") }),
    target:
      target &&
      present<Target>({
        type: target.attr("type"),
        port: target.integerAttr("port"),
        model: target.child("model")?.attr("name"),
      }),
    alias: aliasOf(element),
  });
}

function readChannel(element: XmlElement): Channel {
  const source = element.child("source");
  const target = element.child("target");
  return present<Channel>({
    type: element.attr("type") ?? "",
    path: source?.attr("path"),
    mode: oneOf(source?.attr("mode"), ["bind", "connect"]),
    targetType: target?.attr("type"),
    targetName: target?.attr("name"),
    state: oneOf(target?.attr("state"), ["connected", "disconnected"]),
    alias: aliasOf(element),
  });
}

function readRng(element: XmlElement): Rng {
  const backend = element.child("backend");
  const rate = element.child("rate");
  const bytes = rate?.integerAttr("bytes");
  return present<Rng>({
    model: element.attr("model"),
    backend: backend?.attr("model") ?? "",
    path: backend?.attr("model") === "random" ? backend.text.trim() || undefined : undefined,
    rate:
      bytes === undefined
        ? undefined
        : present<NonNullable<Rng["rate"]>>({ bytes, periodMs: rate?.integerAttr("period") }),
  });
}

function readMemoryBalloon(element: XmlElement | undefined): MemoryBalloon | undefined {
  if (element === undefined) return undefined;
  return present<MemoryBalloon>({
    model: element.attr("model") ?? "",
    statsPeriodSeconds: element.child("stats")?.integerAttr("period"),
    freePageReporting: element.flagAttr("freePageReporting"),
    autoDeflate: element.flagAttr("autodeflate"),
  });
}

function readTpm(element: XmlElement): Tpm {
  const backend = element.child("backend");
  return present<Tpm>({
    model: element.attr("model"),
    backend: backend?.attr("type") ?? "",
    version: backend?.attr("version"),
    encryptionSecretUuid: backend?.child("encryption")?.attr("secret"),
  });
}

function readMemoryDevice(element: XmlElement): MemoryDevice {
  const target = element.child("target");
  const address = element.child("address");
  const nodeMask = element.textAt("source/nodemask");
  return present<MemoryDevice>({
    model: element.attr("model") ?? "",
    access: oneOf(element.attr("access"), ["shared", "private"]),
    discard: element.flagAttr("discard"),
    sizeBytes: target?.bytesAt("size") ?? 0,
    guestCell: target?.integerAt("node"),
    pageSizeBytes: element.bytesAt("source/pagesize"),
    hostCells:
      nodeMask === undefined ? undefined : parseCpuSet(nodeMask, () => `${element.path}/source/nodemask`),
    blockBytes: target?.bytesAt("block"),
    requestedBytes: target?.bytesAt("requested"),
    currentBytes: target?.bytesAt("current"),
    baseAddress: target?.child("address")?.integerAttr("base"),
    alias: aliasOf(element),
    address: address?.attr("type") === "pci" ? parsePciAddress(address) : undefined,
  });
}

function readGraphics(element: XmlElement): Graphics {
  const port = element.integerAttr("port");
  return present<Graphics>({
    type: element.attr("type") ?? "",
    // -1 stands for a port that libvirt has not chosen yet.
    port: port === undefined || port < 0 ? undefined : port,
    autoPort: element.flagAttr("autoport"),
    listen: element.attr("listen") ?? element.child("listen")?.attr("address"),
    socket: element.attr("socket") ?? element.child("listen")?.attr("socket"),
    password: element.attr("passwd"),
  });
}

function readVideo(element: XmlElement): Video {
  const model = element.child("model");
  return present<Video>({
    model: model?.attr("type") ?? "",
    vramBytes: model?.bytesAttr("vram"),
    heads: model?.integerAttr("heads"),
  });
}

function readHostDevice(element: XmlElement): HostDevice {
  const common = { managed: flag(element.attr("managed")), alias: aliasOf(element) };
  const kind = element.attr("type") ?? element.attr("mode") ?? "";
  const address = element.child("source/address");
  if (kind === "pci" && address !== undefined) {
    return present<Extract<HostDevice, { type: "pci" }>>({
      ...common,
      type: "pci",
      address: parsePciAddress(address),
      driver: element.child("driver")?.attr("name"),
      bootOrder: element.child("boot")?.integerAttr("order"),
      rom: element.child("rom")?.flagAttr("bar"),
    });
  }
  if (kind === "mdev" && address !== undefined) {
    return present<Extract<HostDevice, { type: "mdev" }>>({
      ...common,
      type: "mdev",
      uuid: address.requireAttr("uuid"),
      model: element.attr("model"),
    });
  }
  return present<Extract<HostDevice, { type: "other" }>>({ ...common, type: "other", kind });
}
