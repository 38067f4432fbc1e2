// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { bool, text, uint } from "../rpc/xdr.ts";
import { hostInterface } from "./structs.ts";

export const interfaceLookupByName = /* @__PURE__ */ procedure(
  "INTERFACE_LOOKUP_BY_NAME",
  128,
  { name: text },
  { iface: hostInterface },
  { since: "0.6.4", family: "interface", onlyReads: true },
);
export const interfaceLookupByMacString = /* @__PURE__ */ procedure(
  "INTERFACE_LOOKUP_BY_MAC_STRING",
  129,
  { mac: text },
  { iface: hostInterface },
  { since: "0.6.4", family: "interface", onlyReads: true },
);
export const interfaceGetXmlDesc = /* @__PURE__ */ procedure(
  "INTERFACE_GET_XML_DESC",
  130,
  { iface: hostInterface, flags: uint },
  { xml: text },
  { since: "0.6.4", family: "interface", onlyReads: true },
);
export const interfaceDefineXml = /* @__PURE__ */ procedure(
  "INTERFACE_DEFINE_XML",
  131,
  { xml: text, flags: uint },
  { iface: hostInterface },
  { since: "0.6.4", family: "interface" },
);
export const interfaceUndefine = /* @__PURE__ */ procedure(
  "INTERFACE_UNDEFINE",
  132,
  { iface: hostInterface },
  {},
  { since: "0.6.4", family: "interface" },
);
export const interfaceCreate = /* @__PURE__ */ procedure(
  "INTERFACE_CREATE",
  133,
  { iface: hostInterface, flags: uint },
  {},
  { since: "0.6.4", family: "interface" },
);
export const interfaceDestroy = /* @__PURE__ */ procedure(
  "INTERFACE_DESTROY",
  134,
  { iface: hostInterface, flags: uint },
  {},
  { since: "0.6.4", family: "interface" },
);
export const interfaceIsActive = /* @__PURE__ */ procedure(
  "INTERFACE_IS_ACTIVE",
  156,
  { iface: hostInterface },
  { active: bool },
  { since: "0.7.3", family: "interface", onlyReads: true },
);
export const interfaceChangeBegin = /* @__PURE__ */ procedure(
  "INTERFACE_CHANGE_BEGIN",
  220,
  { flags: uint },
  {},
  { since: "0.9.2", family: "interface" },
);
export const interfaceChangeCommit = /* @__PURE__ */ procedure(
  "INTERFACE_CHANGE_COMMIT",
  221,
  { flags: uint },
  {},
  { since: "0.9.2", family: "interface" },
);
export const interfaceChangeRollback = /* @__PURE__ */ procedure(
  "INTERFACE_CHANGE_ROLLBACK",
  222,
  { flags: uint },
  {},
  { since: "0.9.2", family: "interface" },
);
