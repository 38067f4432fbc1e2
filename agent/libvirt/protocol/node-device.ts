// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event, procedure } from "../rpc/procedure.ts";
import { array, bool, int, optionalText, text, uint } from "../rpc/xdr.ts";
import { nodeDevice } from "./structs.ts";

export const nodeDeviceLookupByName = /* @__PURE__ */ procedure(
  "NODE_DEVICE_LOOKUP_BY_NAME",
  113,
  { name: text },
  { dev: nodeDevice },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceGetXmlDesc = /* @__PURE__ */ procedure(
  "NODE_DEVICE_GET_XML_DESC",
  114,
  { name: text, flags: uint },
  { xml: text },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceGetParent = /* @__PURE__ */ procedure(
  "NODE_DEVICE_GET_PARENT",
  115,
  { name: text },
  { parentName: optionalText },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceNumOfCaps = /* @__PURE__ */ procedure(
  "NODE_DEVICE_NUM_OF_CAPS",
  116,
  { name: text },
  { num: int },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceListCaps = /* @__PURE__ */ procedure(
  "NODE_DEVICE_LIST_CAPS",
  117,
  { name: text, maxnames: int },
  { names: /* @__PURE__ */ array(text, 65536) },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceDettach = /* @__PURE__ */ procedure(
  "NODE_DEVICE_DETTACH",
  118,
  { name: text },
  {},
  { since: "0.6.1" },
);
export const nodeDeviceReAttach = /* @__PURE__ */ procedure(
  "NODE_DEVICE_RE_ATTACH",
  119,
  { name: text },
  {},
  { since: "0.6.1" },
);
export const nodeDeviceReset = /* @__PURE__ */ procedure(
  "NODE_DEVICE_RESET",
  120,
  { name: text },
  {},
  { since: "0.6.1" },
);
export const nodeDeviceCreateXml = /* @__PURE__ */ procedure(
  "NODE_DEVICE_CREATE_XML",
  123,
  { xmlDesc: text, flags: uint },
  { dev: nodeDevice },
  { since: "0.6.3", family: "nodedev" },
);
export const nodeDeviceDestroy = /* @__PURE__ */ procedure(
  "NODE_DEVICE_DESTROY",
  124,
  { name: text },
  {},
  { since: "0.6.3", family: "nodedev" },
);
export const nodeDeviceLookupScsiHostByWwn = /* @__PURE__ */ procedure(
  "NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN",
  297,
  { wwnn: text, wwpn: text, flags: uint },
  { dev: nodeDevice },
  { since: "1.0.3", family: "nodedev", onlyReads: true },
);
export const nodeDeviceDetachFlags = /* @__PURE__ */ procedure(
  "NODE_DEVICE_DETACH_FLAGS",
  301,
  { name: text, driverName: optionalText, flags: uint },
  {},
  { since: "1.0.5" },
);
export const nodeDeviceEventLifecycle = /* @__PURE__ */ event(
  "NODE_DEVICE_EVENT_LIFECYCLE",
  376,
  { callbackId: int, dev: nodeDevice, event: int, detail: int },
  { since: "2.2.0" },
);
export const nodeDeviceEventUpdate = /* @__PURE__ */ event(
  "NODE_DEVICE_EVENT_UPDATE",
  377,
  { callbackId: int, dev: nodeDevice },
  { since: "2.2.0" },
);
export const nodeDeviceDefineXml = /* @__PURE__ */ procedure(
  "NODE_DEVICE_DEFINE_XML",
  428,
  { xmlDesc: text, flags: uint },
  { dev: nodeDevice },
  { since: "7.3.0", family: "nodedev" },
);
export const nodeDeviceUndefine = /* @__PURE__ */ procedure(
  "NODE_DEVICE_UNDEFINE",
  429,
  { name: text, flags: uint },
  {},
  { since: "7.3.0", family: "nodedev" },
);
export const nodeDeviceCreate = /* @__PURE__ */ procedure(
  "NODE_DEVICE_CREATE",
  430,
  { name: text, flags: uint },
  {},
  { since: "7.3.0", family: "nodedev" },
);
export const nodeDeviceGetAutostart = /* @__PURE__ */ procedure(
  "NODE_DEVICE_GET_AUTOSTART",
  433,
  { name: text },
  { autostart: bool },
  { since: "7.8.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceSetAutostart = /* @__PURE__ */ procedure(
  "NODE_DEVICE_SET_AUTOSTART",
  434,
  { name: text, autostart: bool },
  {},
  { since: "7.8.0", family: "nodedev" },
);
export const nodeDeviceIsPersistent = /* @__PURE__ */ procedure(
  "NODE_DEVICE_IS_PERSISTENT",
  435,
  { name: text },
  { persistent: bool },
  { since: "7.8.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceIsActive = /* @__PURE__ */ procedure(
  "NODE_DEVICE_IS_ACTIVE",
  436,
  { name: text },
  { active: bool },
  { since: "7.8.0", family: "nodedev", onlyReads: true },
);
export const nodeDeviceUpdate = /* @__PURE__ */ procedure(
  "NODE_DEVICE_UPDATE",
  447,
  { name: text, xmlDesc: text, flags: uint },
  {},
  { since: "10.1.0", family: "nodedev" },
);
