/** The host's own network interfaces, where libvirt was built to see them. */
import { procedure } from "../rpc/procedure.ts";
import { array, bool, string, uint } from "../rpc/xdr.ts";
import { hostInterface } from "./objects.ts";

const read = { family: "interface", idempotent: true } as const;

export const connectListAllInterfaces = procedure(
  "CONNECT_LIST_ALL_INTERFACES",
  284,
  { needResults: bool, flags: uint },
  { ifaces: array(hostInterface, 16384), ret: uint },
  read,
);
export const interfaceLookupByName = procedure(
  "INTERFACE_LOOKUP_BY_NAME",
  128,
  { name: string() },
  { iface: hostInterface },
  read,
);
export const interfaceLookupByMacString = procedure(
  "INTERFACE_LOOKUP_BY_MAC_STRING",
  129,
  { mac: string() },
  { iface: hostInterface },
  read,
);
export const interfaceGetXmlDesc = procedure(
  "INTERFACE_GET_XML_DESC",
  130,
  { iface: hostInterface, flags: uint },
  { xml: string() },
  read,
);
export const interfaceIsActive = procedure(
  "INTERFACE_IS_ACTIVE",
  156,
  { iface: hostInterface },
  { active: bool },
  read,
);
