/** Devices of the host. Detaching, re-attaching and resetting are the hypervisor driver's. */
import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, optional, string, uint } from "../rpc/xdr.ts";
import { nodeDevice } from "./objects.ts";

const read = { family: "nodedev", idempotent: true } as const;

export const connectListAllNodeDevices = procedure(
  "CONNECT_LIST_ALL_NODE_DEVICES",
  285,
  { needResults: bool, flags: uint },
  { devices: array(nodeDevice, 65536), ret: uint },
  read,
);
export const nodeDeviceLookupByName = procedure(
  "NODE_DEVICE_LOOKUP_BY_NAME",
  113,
  { name: string() },
  { dev: nodeDevice },
  read,
);
export const nodeDeviceGetXmlDesc = procedure(
  "NODE_DEVICE_GET_XML_DESC",
  114,
  { name: string(), flags: uint },
  { xml: string() },
  read,
);
export const nodeDeviceGetParent = procedure(
  "NODE_DEVICE_GET_PARENT",
  115,
  { name: string() },
  { parentName: optional(string()) },
  read,
);
export const nodeDeviceListCaps = procedure(
  "NODE_DEVICE_LIST_CAPS",
  117,
  { name: string(), maxnames: int },
  { names: array(string(), 65536) },
  read,
);
export const nodeDeviceDetachFlags = procedure(
  "NODE_DEVICE_DETACH_FLAGS",
  301,
  { name: string(), driverName: optional(string()), flags: uint },
  {},
);
export const nodeDeviceReAttach = procedure("NODE_DEVICE_RE_ATTACH", 119, { name: string() }, {});
export const nodeDeviceReset = procedure("NODE_DEVICE_RESET", 120, { name: string() }, {});
