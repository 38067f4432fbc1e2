import type { XmlElement } from "../element.ts";
import { present } from "../present.ts";
import type { BackingImage, Disk, DiskSource, MirrorJob } from "./devices.ts";
import { ioTuneMembers, ioTuneNames, type IoTune } from "./io-tune.ts";

export function readDisk(element: XmlElement): Disk {
  const driver = element.child("driver");
  const target = element.child("target");
  const mirror = element.child("mirror");
  return present<Disk>({
    device: element.attr("device") ?? "disk",
    source: readSource(element),
    format: driver?.attr("type"),
    cache: driver?.attr("cache"),
    io: driver?.attr("io"),
    discard: driver?.attr("discard"),
    detectZeroes: driver?.attr("detect_zeroes"),
    iothread: driver?.integerAttr("iothread"),
    queues: driver?.integerAttr("queues"),
    target: present<Disk["target"]>({ device: target?.attr("dev") ?? "", bus: target?.attr("bus") }),
    readOnly: element.has("readonly") ? true : undefined,
    shareable: element.has("shareable") ? true : undefined,
    serial: element.textAt("serial"),
    bootOrder: element.child("boot")?.integerAttr("order"),
    ioTune: readIoTune(element.child("iotune")),
    encryptionSecretUuid: (
      element.child("source/encryption/secret") ?? element.child("encryption/secret")
    )?.attr("uuid"),
    alias: element.child("alias")?.attr("name"),
    backingChain: readBackingChain(element),
    mirror: mirror && readSource(mirror),
    mirrorJob:
      mirror &&
      present<MirrorJob>({
        job: mirror.attr("job"),
        format: mirror.child("format")?.attr("type"),
        ready: mirror.attr("ready"),
      }),
  });
}

/** The `type` attribute stands on the element that holds the `<source>`. */
function readSource(element: XmlElement): DiskSource | undefined {
  const source = element.child("source");
  const type = element.attr("type") ?? "file";
  if (source === undefined) return undefined;
  switch (type) {
    case "file":
    case "block": {
      const path = source.attr(type === "file" ? "file" : "dev");
      return path === undefined ? undefined : { type, path };
    }
    case "volume":
      return { type, pool: source.requireAttr("pool"), volume: source.requireAttr("volume") };
    case "network":
      return present<Extract<DiskSource, { type: "network" }>>({
        type,
        protocol: source.attr("protocol") ?? "",
        name: source.attr("name"),
        hosts: source.all("host").map((host) => {
          const port = host.attr("port");
          return `${host.attr("name") ?? host.attr("socket") ?? ""}${port === undefined ? "" : `:${port}`}`;
        }),
      });
    default:
      return { type: "other", kind: type };
  }
}

/** `<backingStore>` nests the next image inside the one before; an empty one ends a chain that libvirt has walked. */
function readBackingChain(disk: XmlElement): BackingImage[] | undefined {
  let store = disk.child("backingStore");
  if (store === undefined) return undefined;
  const chain: BackingImage[] = [];
  for (; store !== undefined && store.children.length > 0; store = store.child("backingStore")) {
    chain.push(
      present<BackingImage>({ format: store.child("format")?.attr("type"), source: readSource(store) }),
    );
  }
  return chain;
}

function readIoTune(element: XmlElement | undefined): IoTune | undefined {
  if (element === undefined) return undefined;
  return Object.fromEntries(
    ioTuneMembers.flatMap((member) => {
      const value = element.integerAt(ioTuneNames[member]);
      return value === undefined ? [] : [[member, value]];
    }),
  );
}
