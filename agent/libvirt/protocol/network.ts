import { procedure } from "../rpc/procedure.ts";
import {
  array,
  bool,
  hyper,
  int,
  optional,
  string,
  struct,
  typedParameters,
  uint,
  uuid,
} from "../rpc/xdr.ts";
import { network, networkPort } from "./objects.ts";

const read = { family: "network", idempotent: true } as const;
const change = { family: "network" } as const;

export const connectListAllNetworks = procedure(
  "CONNECT_LIST_ALL_NETWORKS",
  283,
  { needResults: bool, flags: uint },
  { nets: array(network, 16384), ret: uint },
  read,
);
export const networkLookupByName = procedure(
  "NETWORK_LOOKUP_BY_NAME",
  46,
  { name: string() },
  { net: network },
  read,
);
export const networkLookupByUuid = procedure("NETWORK_LOOKUP_BY_UUID", 47, { uuid }, { net: network }, read);

export const networkDefineXml = procedure(
  "NETWORK_DEFINE_XML",
  41,
  { xml: string() },
  { net: network },
  change,
);
export const networkDefineXmlFlags = procedure(
  "NETWORK_DEFINE_XML_FLAGS",
  432,
  { xml: string(), flags: uint },
  { net: network },
  change,
);
/** Starts a defined network. */
export const networkCreate = procedure("NETWORK_CREATE", 39, { net: network }, {}, change);
/** A transient network. */
export const networkCreateXml = procedure(
  "NETWORK_CREATE_XML",
  40,
  { xml: string() },
  { net: network },
  change,
);
export const networkCreateXmlFlags = procedure(
  "NETWORK_CREATE_XML_FLAGS",
  437,
  { xml: string(), flags: uint },
  { net: network },
  change,
);
export const networkUpdate = procedure(
  "NETWORK_UPDATE",
  291,
  { net: network, command: uint, section: uint, parentIndex: int, xml: string(), flags: uint },
  {},
  change,
);
export const networkDestroy = procedure("NETWORK_DESTROY", 42, { net: network }, {}, change);
export const networkUndefine = procedure("NETWORK_UNDEFINE", 49, { net: network }, {}, change);

export const networkGetXmlDesc = procedure(
  "NETWORK_GET_XML_DESC",
  43,
  { net: network, flags: uint },
  { xml: string() },
  read,
);
export const networkGetBridgeName = procedure(
  "NETWORK_GET_BRIDGE_NAME",
  45,
  { net: network },
  { name: string() },
  read,
);
export const networkIsActive = procedure("NETWORK_IS_ACTIVE", 152, { net: network }, { active: bool }, read);
export const networkIsPersistent = procedure(
  "NETWORK_IS_PERSISTENT",
  153,
  { net: network },
  { persistent: bool },
  read,
);
export const networkGetAutostart = procedure(
  "NETWORK_GET_AUTOSTART",
  44,
  { net: network },
  { autostart: bool },
  read,
);
export const networkSetAutostart = procedure(
  "NETWORK_SET_AUTOSTART",
  48,
  { net: network, autostart: bool },
  {},
  change,
);
export const networkGetMetadata = procedure(
  "NETWORK_GET_METADATA",
  445,
  { net: network, type: int, uri: optional(string()), flags: uint },
  { metadata: string() },
  read,
);
export const networkSetMetadata = procedure(
  "NETWORK_SET_METADATA",
  444,
  {
    net: network,
    type: int,
    metadata: optional(string()),
    key: optional(string()),
    uri: optional(string()),
    flags: uint,
  },
  {},
  change,
);

export const networkDhcpLease = struct({
  iface: string(),
  expirytime: hyper,
  type: int,
  mac: optional(string()),
  iaid: optional(string()),
  ipaddr: string(),
  prefix: uint,
  hostname: optional(string()),
  clientid: optional(string()),
});

/** `mac` null means every lease. `expirytime` is seconds since the epoch. */
export const networkGetDhcpLeases = procedure(
  "NETWORK_GET_DHCP_LEASES",
  341,
  { net: network, mac: optional(string()), needResults: bool, flags: uint },
  { leases: array(networkDhcpLease, 65536), ret: uint },
  read,
);

// Ports: what is plugged into a network
export const networkListAllPorts = procedure(
  "NETWORK_LIST_ALL_PORTS",
  404,
  { net: network, needResults: bool, flags: uint },
  { ports: array(networkPort, 16384), ret: uint },
  read,
);
export const networkPortLookupByUuid = procedure(
  "NETWORK_PORT_LOOKUP_BY_UUID",
  405,
  { net: network, uuid },
  { port: networkPort },
  read,
);
export const networkPortCreateXml = procedure(
  "NETWORK_PORT_CREATE_XML",
  406,
  { net: network, xml: string(), flags: uint },
  { port: networkPort },
  change,
);
export const networkPortGetXmlDesc = procedure(
  "NETWORK_PORT_GET_XML_DESC",
  409,
  { port: networkPort, flags: uint },
  { xml: string() },
  read,
);
/** Ask with `nparams` 0 for how many there are, then with that number. */
export const networkPortGetParameters = procedure(
  "NETWORK_PORT_GET_PARAMETERS",
  407,
  { port: networkPort, nparams: int, flags: uint },
  { params: typedParameters(16), nparams: int },
  read,
);
export const networkPortSetParameters = procedure(
  "NETWORK_PORT_SET_PARAMETERS",
  408,
  { port: networkPort, params: typedParameters(16), flags: uint },
  {},
  change,
);
export const networkPortDelete = procedure(
  "NETWORK_PORT_DELETE",
  410,
  { port: networkPort, flags: uint },
  {},
  change,
);
