import { flag, type XmlElement } from "../element.ts";
import { parsePciAddress } from "../pci-address.ts";
import { oneOf, present } from "../present.ts";
import type { Bandwidth, Interface, InterfaceSource } from "./devices.ts";

const KIB = 1024;

export function readInterface(element: XmlElement): Interface {
  const filter = element.child("filterref");
  return present<Interface>({
    source: readSource(element),
    mac: element.child("mac")?.attr("address")?.toLowerCase(),
    model: element.child("model")?.attr("type"),
    targetDevice: element.child("target")?.attr("dev"),
    queues: element.child("driver")?.integerAttr("queues"),
    filter: filter && {
      name: filter.requireAttr("filter"),
      parameters: filter
        .all("parameter")
        .map((parameter) => ({ name: parameter.requireAttr("name"), value: parameter.requireAttr("value") })),
    },
    mtuBytes: element.child("mtu")?.integerAttr("size"),
    bootOrder: element.child("boot")?.integerAttr("order"),
    linkState: oneOf(element.child("link")?.attr("state"), ["up", "down"]),
    bandwidth: readBandwidths(element.child("bandwidth")),
    alias: element.child("alias")?.attr("name"),
  });
}

function readBandwidths(element: XmlElement | undefined): Interface["bandwidth"] {
  if (element === undefined) return undefined;
  return present<NonNullable<Interface["bandwidth"]>>({
    inbound: readBandwidth(element.child("inbound")),
    outbound: readBandwidth(element.child("outbound")),
  });
}

function readBandwidth(element: XmlElement | undefined): Bandwidth | undefined {
  if (element === undefined) return undefined;
  const bytes = (name: string): number | undefined => {
    const kibibytes = element.integerAttr(name);
    return kibibytes === undefined ? undefined : kibibytes * KIB;
  };
  return present<Bandwidth>({
    averageBytesPerSecond: bytes("average"),
    peakBytesPerSecond: bytes("peak"),
    floorBytesPerSecond: bytes("floor"),
    burstBytes: bytes("burst"),
  });
}

function readSource(element: XmlElement): InterfaceSource {
  const kind = element.attr("type") ?? "";
  const source = element.child("source");
  switch (kind) {
    case "network":
      return present<Extract<InterfaceSource, { type: "network" }>>({
        type: kind,
        network: source?.attr("network") ?? "",
        portGroup: source?.attr("portgroup"),
        bridge: source?.attr("bridge"),
      });
    case "bridge":
      return { type: kind, bridge: source?.attr("bridge") ?? "" };
    case "direct":
      return present<Extract<InterfaceSource, { type: "direct" }>>({
        type: kind,
        device: source?.attr("dev") ?? "",
        mode: source?.attr("mode"),
      });
    case "ethernet":
    case "user":
      return { type: kind };
    case "hostdev": {
      const address = source?.child("address");
      if (address === undefined) return { type: "other", kind };
      return present<Extract<InterfaceSource, { type: "hostdev" }>>({
        type: kind,
        address: parsePciAddress(address),
        managed: flag(element.attr("managed")),
      });
    }
    default:
      return { type: "other", kind };
  }
}
