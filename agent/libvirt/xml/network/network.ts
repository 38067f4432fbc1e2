import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { unexpected } from "../unexpected.ts";
import { oneOf, present } from "../present.ts";
import {
  type DocumentRules,
  node,
  nodeIfAny,
  notWritable,
  on,
  textNode,
  write,
  type XmlNode,
} from "../writer.ts";

export interface Network {
  readonly name: string;
  readonly uuid?: string;
  /** How guests reach beyond; absent for an isolated network. `buildNetwork` writes nat and bridge. */
  readonly forwardMode?: string;
  /** The host's interface that forwarding is bound to. */
  readonly forwardDevice?: string;
  readonly bridge?: { readonly name?: string; readonly stp?: boolean; readonly delaySeconds?: number };
  readonly mac?: string;
  readonly mtuBytes?: number;
  readonly domainName?: string;
  readonly addresses: readonly NetworkAddress[];
  /** Interfaces plugged in now; only on parse. */
  readonly connections?: number;
}

export interface NetworkAddress {
  readonly address: string;
  readonly family: "ipv4" | "ipv6";
  readonly prefixLength?: number;
  readonly dhcp?: {
    readonly ranges: readonly { readonly start: string; readonly end: string }[];
    readonly hosts: readonly { readonly mac?: string; readonly name?: string; readonly ip?: string }[];
  };
}

const rules: DocumentRules = {
  root: "network",
  rule: {
    children: {
      name: { text: "name" },
      uuid: { text: "uuid" },
      forward: { attributes: { mode: ["nat", "bridge"], dev: "word" } },
      bridge: { attributes: { name: "word", stp: ["on", "off"], delay: "integer" } },
      mtu: { attributes: { size: "integer" } },
      mac: { attributes: { address: "mac" } },
      domain: { attributes: { name: "word" } },
      ip: {
        attributes: { family: ["ipv4", "ipv6"], address: "address", prefix: "integer" },
        children: {
          dhcp: {
            children: {
              range: { attributes: { start: "address", end: "address" } },
              host: { attributes: { mac: "mac", name: "word", ip: "address" } },
            },
          },
        },
      },
    },
  },
};

export function parseNetwork(xml: string): Network {
  const root = parseDocument(xml, "network");
  const forward = root.child("forward");
  const bridge = root.child("bridge");
  return present<Network>({
    name: root.requireText("name"),
    uuid: root.textAt("uuid")?.toLowerCase(),
    forwardMode: forward && (forward.attr("mode") ?? "nat"),
    forwardDevice: forward?.attr("dev") ?? forward?.child("interface")?.attr("dev"),
    bridge:
      bridge &&
      present<NonNullable<Network["bridge"]>>({
        name: bridge.attr("name"),
        stp: bridge.flagAttr("stp"),
        delaySeconds: bridge.integerAttr("delay"),
      }),
    mac: root.child("mac")?.attr("address")?.toLowerCase(),
    mtuBytes: root.child("mtu")?.integerAttr("size"),
    domainName: root.child("domain")?.attr("name"),
    addresses: root.all("ip").map(readAddress),
    connections: root.integerAttr("connections"),
  });
}

function readAddress(ip: XmlElement): NetworkAddress {
  const dhcp = ip.child("dhcp");
  const netmask = ip.attr("netmask");
  type Host = NonNullable<NetworkAddress["dhcp"]>["hosts"][number];
  return present<NetworkAddress>({
    address: ip.requireAttr("address"),
    family: oneOf(ip.attr("family"), ["ipv4", "ipv6"]) ?? "ipv4",
    prefixLength:
      ip.integerAttr("prefix") ??
      (netmask === undefined ? undefined : prefixOf(netmask, `${ip.path}@netmask`)),
    dhcp: dhcp && {
      ranges: dhcp
        .all("range")
        .map((range) => ({ start: range.requireAttr("start"), end: range.requireAttr("end") })),
      hosts: dhcp
        .all("host")
        .map((host) =>
          present<Host>({ mac: host.attr("mac"), name: host.attr("name"), ip: host.attr("ip") }),
        ),
    },
  });
}

function prefixOf(netmask: string, path: string): number {
  const bits = netmask
    .split(".")
    .map((octet) => Number(octet).toString(2).padStart(8, "0"))
    .join("");
  if (!/^1*0*$/.test(bits) || bits.length !== 32) throw unexpected(path, `is no netmask: ${netmask}`);
  return bits.lastIndexOf("1") + 1;
}

/** For `virNetworkDefineXML`: isolated, nat, or a bridge of the host. Others are `unsupported`/NETWORK_NOT_WRITABLE. */
export function buildNetwork(network: Network): string {
  const { forwardMode, bridge } = network;
  if (forwardMode !== undefined && forwardMode !== "nat" && forwardMode !== "bridge") {
    throw notWritable("NETWORK", `networks of forward mode ${forwardMode}`);
  }
  return write(
    rules,
    node("network", {}, [
      textNode("name", network.name),
      textNode("uuid", network.uuid),
      nodeIfAny("forward", { mode: forwardMode, dev: network.forwardDevice }),
      bridge && node("bridge", { name: bridge.name, stp: on(bridge.stp), delay: bridge.delaySeconds }),
      nodeIfAny("mtu", { size: network.mtuBytes }),
      nodeIfAny("mac", { address: network.mac }),
      nodeIfAny("domain", { name: network.domainName }),
      ...network.addresses.map(addressNode),
    ]),
  );
}

function addressNode({ address, family, prefixLength, dhcp }: NetworkAddress): XmlNode {
  return node("ip", { family, address, prefix: prefixLength }, [
    dhcp &&
      node("dhcp", {}, [
        ...dhcp.ranges.map((range) => node("range", { start: range.start, end: range.end })),
        ...dhcp.hosts.map((host) => node("host", { mac: host.mac, name: host.name, ip: host.ip })),
      ]),
  ]);
}
