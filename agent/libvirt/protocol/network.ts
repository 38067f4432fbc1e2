// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event, procedure } from "../rpc/procedure.ts";
import { array, bool, int, optionalText, text, uint, uuid } from "../rpc/xdr.ts";
import { network, networkPort, networkDhcpLease } from "./structs.ts";

export const networkCreate = /* @__PURE__ */ procedure(
  "NETWORK_CREATE",
  39,
  { net: network },
  {},
  { since: "0.3.0", family: "network" },
);
export const networkCreateXml = /* @__PURE__ */ procedure(
  "NETWORK_CREATE_XML",
  40,
  { xml: text },
  { net: network },
  { since: "0.3.0", family: "network" },
);
export const networkDefineXml = /* @__PURE__ */ procedure(
  "NETWORK_DEFINE_XML",
  41,
  { xml: text },
  { net: network },
  { since: "0.3.0", family: "network" },
);
export const networkDestroy = /* @__PURE__ */ procedure(
  "NETWORK_DESTROY",
  42,
  { net: network },
  {},
  { since: "0.3.0", family: "network" },
);
export const networkGetXmlDesc = /* @__PURE__ */ procedure(
  "NETWORK_GET_XML_DESC",
  43,
  { net: network, flags: uint },
  { xml: text },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const networkGetAutostart = /* @__PURE__ */ procedure(
  "NETWORK_GET_AUTOSTART",
  44,
  { net: network },
  { autostart: bool },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const networkGetBridgeName = /* @__PURE__ */ procedure(
  "NETWORK_GET_BRIDGE_NAME",
  45,
  { net: network },
  { name: text },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const networkLookupByName = /* @__PURE__ */ procedure(
  "NETWORK_LOOKUP_BY_NAME",
  46,
  { name: text },
  { net: network },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const networkLookupByUuid = /* @__PURE__ */ procedure(
  "NETWORK_LOOKUP_BY_UUID",
  47,
  { uuid },
  { net: network },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const networkSetAutostart = /* @__PURE__ */ procedure(
  "NETWORK_SET_AUTOSTART",
  48,
  { net: network, autostart: bool },
  {},
  { since: "0.3.0", family: "network" },
);
export const networkUndefine = /* @__PURE__ */ procedure(
  "NETWORK_UNDEFINE",
  49,
  { net: network },
  {},
  { since: "0.3.0", family: "network" },
);
export const networkIsActive = /* @__PURE__ */ procedure(
  "NETWORK_IS_ACTIVE",
  152,
  { net: network },
  { active: bool },
  { since: "0.7.3", family: "network", onlyReads: true },
);
export const networkIsPersistent = /* @__PURE__ */ procedure(
  "NETWORK_IS_PERSISTENT",
  153,
  { net: network },
  { persistent: bool },
  { since: "0.7.3", family: "network", onlyReads: true },
);
export const networkUpdate = /* @__PURE__ */ procedure(
  "NETWORK_UPDATE",
  291,
  { net: network, command: uint, section: uint, parentIndex: int, xml: text, flags: uint },
  {},
  { since: "0.10.2", family: "network" },
);
export const networkEventLifecycle = /* @__PURE__ */ event(
  "NETWORK_EVENT_LIFECYCLE",
  315,
  { callbackId: int, net: network, event: int, detail: int },
  { since: "1.2.1" },
);
export const networkGetDhcpLeases = /* @__PURE__ */ procedure(
  "NETWORK_GET_DHCP_LEASES",
  341,
  { net: network, mac: optionalText, needResults: bool, flags: uint },
  { leases: /* @__PURE__ */ array(networkDhcpLease, 65536), ret: uint },
  { since: "1.2.6", family: "network", onlyReads: true },
);
export const networkListAllPorts = /* @__PURE__ */ procedure(
  "NETWORK_LIST_ALL_PORTS",
  404,
  { network, needResults: bool, flags: uint },
  { ports: /* @__PURE__ */ array(networkPort, 16384), ret: uint },
  { since: "5.5.0", family: "network", onlyReads: true },
);
export const networkDefineXmlFlags = /* @__PURE__ */ procedure(
  "NETWORK_DEFINE_XML_FLAGS",
  432,
  { xml: text, flags: uint },
  { net: network },
  { since: "7.7.0", family: "network" },
);
export const networkCreateXmlFlags = /* @__PURE__ */ procedure(
  "NETWORK_CREATE_XML_FLAGS",
  437,
  { xml: text, flags: uint },
  { net: network },
  { since: "7.8.0", family: "network" },
);
export const networkSetMetadata = /* @__PURE__ */ procedure(
  "NETWORK_SET_METADATA",
  444,
  { network, type: int, metadata: optionalText, key: optionalText, uri: optionalText, flags: uint },
  {},
  { since: "9.7.0", family: "network" },
);
export const networkGetMetadata = /* @__PURE__ */ procedure(
  "NETWORK_GET_METADATA",
  445,
  { network, type: int, uri: optionalText, flags: uint },
  { metadata: text },
  { since: "9.7.0", family: "network", onlyReads: true },
);
export const networkEventCallbackMetadataChange = /* @__PURE__ */ event(
  "NETWORK_EVENT_CALLBACK_METADATA_CHANGE",
  446,
  { callbackId: int, net: network, type: int, nsuri: optionalText },
  { since: "9.7.0" },
);
